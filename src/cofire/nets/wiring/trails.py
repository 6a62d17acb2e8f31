"""Trails: what leads from a layer's output to its activation, as a pass has shown it, to be known again in later ones.

A later pass may go another way. Its operations are compared with the trail, so that the activation is always a tensor
that the model made in this very pass; nothing is computed a second time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..torch_private import tree_leaves, without_transforms
from .activations import BLANKS
from .calls import Signal, Step
from .rules import RULES, elementwise

# Their arguments hold sizes of the batch that was seen.
FIXED_SHAPE = frozenset(["view", "_unsafe_view", "reshape", "expand", "unflatten", "as_strided", "repeat"])


@dataclass(frozen=True)
class _Slot:
    """A tensor of the leg, by number: 0 is the one that it starts from, k the result of its k-th operation."""

    number: int


@dataclass(frozen=True)
class _Any:
    """A tensor that does not come from the layer: a parameter, a number, noise."""


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation of a leg.

    Attributes:
        function: the operation.
        leaves: its arguments, with slots in place of tensors.
        exact: whether its numbers decide which axis is which, so that they must be the same again.
    """

    function: Any
    leaves: tuple[Any, ...]
    exact: bool

    def is_call(self, function: Any, leaves: list[Any], slots: list[Tensor]) -> bool:
        """Return whether a call is this operation on these tensors."""
        if function is not self.function or len(leaves) != len(self.leaves):
            return False
        for wanted, given in zip(self.leaves, leaves, strict=True):
            if isinstance(wanted, _Slot):
                if not (isinstance(given, Tensor) and same(given, slots[wanted.number])):
                    return False
            elif isinstance(wanted, _Any) != isinstance(given, Tensor) or (self.exact and given != wanted):
                return False
        return True


@dataclass(frozen=True, eq=False)
class Leg:
    """A part of a trail: a module, or some operations.

    Attributes:
        unit_axis: axis of the units in what it leads to, counted from the end; None if that shows none.
        module: its name; None for operations.
        operations: in order; the result is that of the last.
    """

    unit_axis: int | None
    module: str | None = None
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True, eq=False)
class Trail:
    """The way from a layer's output to its activation; or to what takes it, if no activation function follows.

    Attributes:
        n_axes: of the layer's output.
        start_axis: axis of its units, counted from the end.
        legs: in order.
        own: whether the output itself counts: no activation function follows. The only leg is then what takes the
            output first; none if nothing does.
        until: the module that begins next behind it, at which nothing more has to be watched; None if there is none.
    """

    n_axes: int
    start_axis: int
    legs: tuple[Leg, ...]
    until: str | None = None
    own: bool = False

    @property
    def unit_axis(self) -> int:
        """Axis of the units in the activation, counted from the end."""
        axis = self.legs[-1].unit_axis
        assert axis is not None
        return axis

    @property
    def modules(self) -> set[str]:
        """The modules whose calls tell how far a pass has come."""
        return {name for name in (*(leg.module for leg in self.legs), self.until) if name is not None}


def taking(start: Signal, step: Step) -> Operation:
    """Return the operation that takes a tensor, whatever else it takes."""
    leaves = tree_leaves((step.args, step.kwargs))
    slots = [(_Slot(0) if one is start else _Any()) if isinstance(one, Signal) else one for one in leaves]
    return Operation(step.function, tuple(slots), exact=False)


def operations_between(start: Signal, end: Signal, made_by: Mapping[Signal, tuple[int, Step]]) -> tuple[Operation, ...]:
    """Return the operations that lead from one tensor to another."""
    operations: list[Operation] = []
    first = made_by[start][0] if start in made_by else -1
    _slot_of(end, first, made_by, {start: _Slot(0)}, operations)
    return tuple(operations)


def _slot_of(
    signal: Signal,
    first: int,
    made_by: Mapping[Signal, tuple[int, Step]],
    slots: dict[Signal, _Slot | _Any],
    operations: list[Operation],
) -> _Slot | _Any:
    """Return what stands for a tensor, after the operations behind the first that make it."""
    if signal in slots:
        return slots[signal]
    slots[signal] = _Any()
    number, step = made_by.get(signal, (-1, None))
    if step is not None and number > first and step.name not in BLANKS:
        given = tuple(
            _slot_of(one, first, made_by, slots, operations) if isinstance(one, Signal) else one
            for one in tree_leaves((step.args, step.kwargs))
        )
        if any(isinstance(one, _Slot) for one in given):
            exact = RULES.get(step.name, elementwise) is not elementwise and step.name not in FIXED_SHAPE
            operations.append(Operation(step.function, given, exact))
            slots[signal] = _Slot(len(operations))
    return slots[signal]


class Match:
    """How far along a trail a pass has come.

    Args:
        trail: the trail.
        start: the layer's output.
    """

    def __init__(self, trail: Trail, start: Tensor) -> None:
        self.trail = trail
        self.n_legs = 0
        self._start = start
        self._slots = [without_transforms(start)]

    @property
    def current(self) -> Tensor:
        """What the legs behind it have led to."""
        return self._slots[0]

    @property
    def expected(self) -> str | None:
        """The module that comes next; None if operations do, or none does."""
        return self.trail.legs[self.n_legs].module if self.n_legs < len(self.trail.legs) else None

    def is_end(self, output: Tensor | None) -> bool:
        """Return whether the trail ends with this tensor, and it has the layer's units."""
        if self.trail.own or self.n_legs < len(self.trail.legs) or output is None:
            return False
        n_units, axis = self._start.shape[self.trail.start_axis], self.trail.unit_axis
        return -axis <= output.ndim and output.shape[axis] == n_units

    def operation(self, function: Any, leaves: list[Any]) -> bool:
        """Return whether an operation, of which the arguments are given, is the next on the trail."""
        legs = self.trail.legs
        if self.n_legs == len(legs) or legs[self.n_legs].module is not None:
            return False
        return legs[self.n_legs].operations[len(self._slots) - 1].is_call(function, leaves, self._slots)

    @property
    def is_last(self) -> bool:
        """Whether the next operation, if it comes, leads to the end."""
        legs = self.trail.legs
        return self.n_legs == len(legs) - 1 and len(self._slots) == len(legs[-1].operations)

    def take(self, made: Tensor) -> None:
        """Take in the result of what was expected."""
        self._slots.append(without_transforms(made))
        if len(self._slots) > len(self.trail.legs[self.n_legs].operations):
            self.n_legs += 1
            self._slots = self._slots[-1:]

    def enters(self, module: str, given: Tensor | None) -> bool:
        """Return whether a call of a module, with what it is given, is the next on the trail."""
        return self.expected == module and given is not None and same(given, self.current)


def same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are the same memory, whatever hooks and transforms have wrapped around it."""
    one, other = without_transforms(one), without_transforms(other)
    if one is other:
        return True
    try:
        alike = one.shape == other.shape and one.dtype == other.dtype and one.stride() == other.stride()
        return alike and one.device == other.device and one.data_ptr() == other.data_ptr()
    except RuntimeError:  # a tensor without memory of its own
        return False
