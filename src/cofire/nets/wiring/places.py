"""Where the output of a module shows units, at each of its calls, and where its activation function's output is."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .activations import Behind, Flow
from .calls import Signal, Use
from .dimensions import Dimension, leaves
from .module_calls import ModuleCall
from .replay import Replay, replay, steps_by_output


@dataclass(frozen=True, eq=False)
class Applied:
    """How to get the output of the activation function that is applied to a module's output.

    Attributes:
        source: the module whose next output leads to it.
        skip: how many of that module's calls come in between.
        replay: what to run on that output; None if that output is it.
        unit_axis: axis of the units in the result, counted from the end.
        prefix: of the names of parameters in the replay.
    """

    source: str
    skip: int
    replay: Replay | None
    unit_axis: int
    prefix: str = ""


@dataclass(frozen=True, eq=False)
class Place:
    """Where the output of a module shows units, at one of its calls.

    Attributes:
        unit_axis: axis of the first floating-point tensor that it returns, counted from the end; None if none shows.
        reason: why none does.
        applied: the activation function behind it; None if there is none, or the module is one itself.
        is_activation: whether it returns an activation function of what it takes.
    """

    unit_axis: int | None
    reason: str = ""
    applied: Applied | None = None
    is_activation: bool = False


Places = Mapping[str, tuple[Place, ...]]
"""For each module the places of its calls, in order."""


def places(
    calls: Sequence[ModuleCall], flow: Flow, uses: Sequence[Use], parameters: Mapping[str, Signal]
) -> dict[str, tuple[Place, ...]]:
    """Return the places of all calls of modules in a pass."""
    finder = _Finder(calls, flow, uses, parameters)
    found: dict[str, list[Place]] = defaultdict(list)
    for call in calls:
        found[call.module].append(finder.place(call))
    return {name: tuple(of_it) for name, of_it in found.items()}


class _Finder:
    def __init__(
        self, calls: Sequence[ModuleCall], flow: Flow, uses: Sequence[Use], parameters: Mapping[str, Signal]
    ) -> None:
        self._calls, self._flow = calls, flow
        self._made = {leaf for use in uses if use.role == "maker" for leaf in leaves(use.dimension)}
        riding = {name for use in uses if use.role == "rider" for name in use.parameters}
        self._ridden = {leaf for name in riding for one in parameters[name].dimensions for leaf in leaves(one)}
        self._read = {leaf for use in uses if use.role == "reader" for leaf in leaves(use.dimension)}
        self._makers: dict[str, list[Dimension]] = defaultdict(list)
        self._singles: dict[str, list[Use]] = defaultdict(list)
        for use in uses:
            if use.role == "maker":
                self._makers[use.module].append(use.dimension)
                if use.dimension.size == 1:
                    self._singles[use.module].append(use)
        uses_at = sorted(use.step for use in uses if use.role in ("maker", "reader"))
        flow.find_normalizations(calls, lambda first, after: bisect_left(uses_at, first) < bisect_left(uses_at, after))
        self._made_by = steps_by_output(flow.steps)
        self._number = {step: index for index, step in enumerate(flow.steps)}
        self._returned: dict[Signal, list[ModuleCall]] = defaultdict(list)
        for call in calls:
            if call.returned is not None:
                self._returned[call.returned].append(call)

    def place(self, call: ModuleCall) -> Place:
        if call.returned is None:
            return Place(None, "it returns no floating-point tensor")
        axis = self._unit_axis(call)
        if isinstance(axis, str):
            return Place(None, axis)
        from_end = axis - len(call.returned.dimensions)
        if self._is_activation(call):
            return Place(from_end, is_activation=True)
        return Place(from_end, applied=self._applied(call, call.returned.dimensions[axis]))

    def _unit_axis(self, call: ModuleCall) -> int | str:
        assert call.returned is not None
        shown = [set(leaves(one)) for one in call.returned.dimensions]
        for made in map(set, map(leaves, self._makers[call.module])):
            exact = [axis for axis, one in enumerate(shown) if one and one == made]
            if len(exact) == 1:
                return exact[0]
        if (single := self._single(call)) is not None:
            return single
        for units in (self._made, self._ridden, self._read):
            axes = [axis for axis, one in enumerate(shown) if not one.isdisjoint(units)]
            if len(axes) == 1:
                return axes[0]
            if axes:
                return f"its output shows units on several axes ({', '.join(map(str, axes))})"
        return "its output shows units of no layer"

    def _single(self, call: ModuleCall) -> int | None:
        """Return the axis of a single unit, which has no leaf to be known by: where its operation puts it."""
        assert call.returned is not None
        axes = {use.output_axis for use in self._singles[call.module] if call.first <= use.step < call.after}
        axis = len(call.returned.dimensions) + axes.pop() if len(axes) == 1 else -1
        return axis if axis >= 0 and call.returned.dimensions[axis].size == 1 else None

    def _is_activation(self, call: ModuleCall) -> bool:
        if call.given is None or call.returned is None or any(self._makers[call.module]):
            return False
        inside = Flow(self._flow.steps[call.first : call.after], [call.returned])
        return call.returned in inside.behind(call.given).activated

    def _applied(self, call: ModuleCall, units: Dimension) -> Applied | None:
        assert call.returned is not None
        behind = self._flow.behind(call.returned)
        end = next((gate for gate in behind.gates if gate in behind.activated), None)
        if end is None:
            return None
        end = self._whole_module(call, behind, end)
        wanted = set(leaves(units))
        if not wanted and len(end.dimensions) != len(call.returned.dimensions):
            return None
        axes = [axis for axis, one in enumerate(end.dimensions) if set(leaves(one)) == wanted]
        if len(axes) != 1:
            return None
        axis = axes[0] - len(end.dimensions)
        for gate in reversed(behind.gates[: behind.gates.index(end) + 1]):
            source = call if gate is call.returned else next(iter(self._after(call, gate)), None)
            again = None if gate is end else replay(gate, end, self._made_by)
            if source is not None and (gate is end or again is not None):
                return Applied(source.module, self._calls_between(call, source), again, axis)
        return None

    def _after(self, call: ModuleCall, gate: Signal) -> list[ModuleCall]:
        """Return the calls behind a call that return a tensor, the innermost first."""
        return [one for one in self._returned[gate] if one.first >= call.after]

    def _whole_module(self, call: ModuleCall, behind: Behind, end: Signal) -> Signal:
        """Return what the innermost module that holds the activation makes of it: a module is one function."""
        number = self._number[self._made_by[end]]
        for one in self._calls:  # those that end first lie innermost
            if call.after <= one.first <= number < one.after:
                return one.returned if one.returned in behind.gates else end
        return end

    def _calls_between(self, call: ModuleCall, source: ModuleCall) -> int:
        if source is call:
            return 0
        start, stop = self._calls.index(call), self._calls.index(source)
        return sum(one.module == source.module for one in self._calls[start + 1 : stop])
