"""Where the output of a module shows units, at each of its calls, and where its activation function's output is."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from .activations import Behind, Flow
from .assumed_types import assumed_axis
from .calls import Signal, Use
from .dimensions import Dimension, leaves
from .follow import Follower
from .module_calls import ModuleCall
from .trails import Leg, Trail, operations_between, taking


@dataclass(frozen=True, eq=False)
class Place:
    """Where the output of a module shows units, at one of its calls.

    Attributes:
        unit_axis: axis of the first floating-point tensor that it returns, counted from the end; None if none shows.
        reason: why none does.
        applied: the way to the activation function behind it; None if there is none, or the module is one itself.
        taken: what takes the output first, if there is no activation function behind it.
        is_activation: whether it returns an activation function of what it takes.
        assumed: whether the axis was taken from the module's type, as no parameter was seen to make its units.
        n_axes: how many axes the tensor had; 0 if none was seen.
        units: how many units it showed.
    """

    unit_axis: int | None
    reason: str = ""
    applied: Trail | None = None
    taken: Trail | None = None
    is_activation: bool = False
    assumed: bool = False
    n_axes: int = 0
    units: int = 0

    def fits(self, shape: Sequence[int]) -> bool:
        """Return whether a tensor of that shape can have its units where this says."""
        if not self.n_axes:
            return True
        return len(shape) == self.n_axes and (self.unit_axis is None or shape[self.unit_axis] == self.units)


Places = Mapping[str, tuple[Place, ...]]
"""For each module the places of its calls, in order."""


def places(
    calls: Sequence[ModuleCall],
    flow: Flow,
    uses: Sequence[Use],
    parameters: Mapping[str, Signal],
    modules: Mapping[str, nn.Module],
) -> dict[str, tuple[Place, ...]]:
    """Return the places of all calls of modules in a pass."""
    finder = _Finder(calls, flow, uses, parameters, modules)
    found: dict[str, list[Place]] = defaultdict(list)
    for call in calls:
        found[call.module].append(finder.place(call))
    return {name: tuple(of_it) for name, of_it in found.items()}


class _Finder:
    def __init__(
        self,
        calls: Sequence[ModuleCall],
        flow: Flow,
        uses: Sequence[Use],
        parameters: Mapping[str, Signal],
        modules: Mapping[str, nn.Module],
    ) -> None:
        self._calls, self._flow, self._modules = calls, flow, modules
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
        self._trails = _Trails(flow, calls)

    def place(self, call: ModuleCall) -> Place:
        if call.returned is None:
            return Place(None, "it returns no floating-point tensor")
        axis, n_axes = self._unit_axis(call), len(call.returned.dimensions)
        assumed = assumed_axis(self._modules[call.module])
        if isinstance(axis, int):
            from_end, assumed = axis - n_axes, None
        elif assumed is not None and n_axes + assumed >= 0:
            from_end = assumed
        else:
            return Place(None, str(axis), n_axes=n_axes)
        units = call.returned.dimensions[from_end]
        seen = Place(from_end, n_axes=n_axes, units=units.size)
        if self._is_activation(call):
            return replace(seen, is_activation=True)
        applied = self._trails.behind(call.returned, from_end)
        taken = self._trails.taken(call.returned, from_end) if applied is None else None
        return replace(seen, applied=applied, taken=taken, assumed=assumed is not None)

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


class _Trails:
    """The ways from outputs of modules to their activations, in one pass."""

    def __init__(self, flow: Flow, calls: Sequence[ModuleCall]) -> None:
        self._flow, self._calls = flow, calls
        self._made_by = {one: (number, step) for number, step in enumerate(flow.steps) for one in step.outputs}
        self._taken: dict[Signal, list[ModuleCall]] = defaultdict(list)
        for call in calls:
            if call.given is not None and call.returned is not None:
                self._taken[call.given].append(call)

    def behind(self, start: Signal, axis: int) -> Trail | None:
        """Return the way to the activation function behind a tensor; None if there is none.

        Args:
            start: the tensor.
            axis: of its units, counted from the end.
        """
        end = self.end(start, axis)
        if end is None:
            return None
        behind = self._flow.behind(start)
        gates = list(behind.gates[: behind.gates.index(end) + 1])
        legs, place = [], 0
        while place < len(gates) - 1:
            jumps = [(gates.index(one.returned), one) for one in self._taken[gates[place]] if one.returned in gates]
            ahead = max((jump for jump in jumps if jump[0] > place), key=lambda jump: jump[0], default=None)
            after = place + 1 if ahead is None else ahead[0]
            unit_axis = _same_axis(gates[after], start.dimensions[axis], len(start.dimensions))
            if ahead is not None:
                legs.append(Leg(unit_axis, ahead[1].module))
            else:
                legs.append(Leg(unit_axis, None, operations_between(gates[place], gates[after], self._made_by)))
            place = after
        return Trail(len(start.dimensions), axis, tuple(legs), self._next_module(self._made_by[end][0]))

    def taken(self, start: Signal, axis: int) -> Trail:
        """Return what takes a tensor first."""
        legs, until, number = (), None, self._flow.first_taker(start)
        if number is not None:
            until = self._next_module(number)
            around = [one for one in self._taken[start] if one.first <= number < one.after]
            if around:
                legs = (Leg(None, max(around, key=lambda call: call.after - call.first).module),)
            else:
                legs = (Leg(None, None, (taking(start, self._flow.steps[number]),)),)
        return Trail(len(start.dimensions), axis, legs, until, own=True)

    def end(self, start: Signal, axis: int) -> Signal | None:
        """Return what the activation function behind a tensor gives."""
        behind = self._flow.behind(start)
        end = next((gate for gate in behind.gates if gate in behind.activated), None)
        if end is None:
            return None
        end = self._whole_module(start, behind, end)
        return None if _same_axis(end, start.dimensions[axis], len(start.dimensions)) is None else end

    def _whole_module(self, start: Signal, behind: Behind, end: Signal) -> Signal:
        """Return what the innermost module that holds the activation makes of it: a module is one function."""
        number, after = self._made_by[end][0], self._made_by[start][0] + 1 if start in self._made_by else 0
        for one in self._calls:  # those that end first lie innermost
            if after <= one.first <= number < one.after:
                return one.returned if one.returned in behind.gates else end
        return end

    def _next_module(self, number: int) -> str | None:
        later = [call for call in self._calls if call.first > number]
        return min(later, key=lambda call: call.first).module if later else None


def trail_behind(
    tensors: Mapping[str, Tensor],
    start: Tensor,
    axis: int,
    operations: Iterable[tuple[Any, Any, Any, Any]],
    returned: Sequence[Tensor],
) -> tuple[Trail, int]:
    """Return the way from a module's output to its activation in a pass that is over, and which operation made it.

    If no activation function follows, it is the way to what takes the output, and -1.

    Args:
        tensors: parameters and buffers of the model.
        start: the output.
        axis: of its units, counted from the end.
        operations: that ran since: functions with arguments, those by name, and what they returned.
        returned: what the pass has returned; all that was made if that is not known.

    Raises:
        Exception: if they can't be followed.
    """
    follower = Follower(tensors)
    follower.give([start])
    signal = follower.signal(start)
    made_in: list[int] = []
    for number, operation in enumerate(operations):
        follower.follow(*operation)
        made_in += [number] * (len(follower.steps) - len(made_in))
    ends = [follower.signal(one) for one in returned]
    if not ends:
        ends = [one for step in follower.steps for one in step.outputs]
    trails = _Trails(Flow(follower.steps, ends), ())
    trail, end = trails.behind(signal, axis), trails.end(signal, axis)
    if trail is None or end is None:
        return trails.taken(signal, axis), -1
    return trail, made_in[next(k for k, step in enumerate(follower.steps) if end in step.outputs)]


def _same_axis(signal: Signal, units: Dimension, n_axes: int) -> int | None:
    """Return the axis of a tensor, counted from the end, on which units lie that another one of n axes shows."""
    wanted, shown = set(leaves(units)), signal.dimensions
    if not wanted and len(shown) != n_axes:
        return None
    axes = [axis for axis, one in enumerate(shown) if set(leaves(one)) == wanted]
    return axes[0] - len(shown) if len(axes) == 1 else None
