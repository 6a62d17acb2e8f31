"""Run recorded operations again, on another tensor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..torch_private import tree_map
from .calls import Signal, Step

# What these compute is not the same a second time, or the layer's own statistics would move.
NOT_AGAIN = frozenset(
    [
        "native_dropout",
        "dropout",
        "bernoulli",
        "uniform",
        "normal",
        "rand_like",
        "randn_like",
        "rrelu_with_noise",
        "native_group_norm",
        "native_batch_norm",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training",
        "_native_batch_norm_legit_no_stats",
        "_native_batch_norm_legit_functional",
        "cudnn_batch_norm",
        "miopen_batch_norm",
    ]
)
# Their arguments hold sizes of the batch that was seen.
FIXED_SHAPE = frozenset(["view", "_unsafe_view", "reshape", "expand", "unflatten", "as_strided", "repeat"])


@dataclass(frozen=True)
class _Slot:
    """The result of an earlier operation, by number; 0 is the tensor that the replay starts from."""

    number: int


@dataclass(frozen=True)
class _Parameter:
    name: str


@dataclass(frozen=True, eq=False)
class Replay:
    """Operations from one tensor to another.

    Attributes:
        operations: functions with their arguments, in which slots and names stand for tensors.
        result: the slot of the last one.
    """

    operations: tuple[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]], ...]
    result: _Slot

    def __call__(self, x: Tensor, parameter: Callable[[str], Tensor]) -> Tensor:
        """Return what the operations make of ``x``; ``parameter`` gives parameters and buffers by name."""
        slots: list[Any] = [x]

        def filled(one: Any) -> Any:
            if isinstance(one, _Slot):
                return slots[one.number]
            return parameter(one.name) if isinstance(one, _Parameter) else one

        for function, args, kwargs in self.operations:
            made = function(*tree_map(filled, args), **tree_map(filled, kwargs))
            slots.append(made[0] if isinstance(made, tuple) else made)
        return slots[self.result.number]


def replay(start: Signal, end: Signal, made_by: Mapping[Signal, Step]) -> Replay | None:
    """Return the operations that lead from one tensor to another; None if they cannot be run again on other data."""
    operations: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
    slots: dict[Signal, Any] = {start: _Slot(0)}
    try:
        result = _slot_of(end, made_by, slots, operations)
    except _CannotBeRunAgain:
        return None
    return Replay(tuple(operations), result)


class _CannotBeRunAgain(Exception):
    """An operation on the way draws random numbers, keeps statistics, or takes what is not known."""


def _slot_of(signal: Signal, made_by: Mapping[Signal, Step], slots: dict[Signal, Any], operations: list[Any]) -> Any:
    if signal in slots:
        return slots[signal]
    step = made_by.get(signal)
    if signal.name:
        slots[signal] = _Parameter(signal.name)
    elif step is None:
        slots[signal] = _constant(signal)
    else:
        if step.name in NOT_AGAIN or (step.name in FIXED_SHAPE and signal.varies) or signal is not step.outputs[0]:
            raise _CannotBeRunAgain
        args, kwargs = tree_map(
            lambda one: _slot_of(one, made_by, slots, operations) if isinstance(one, Signal) else one,
            (step.args, step.kwargs),
        )
        operations.append((_out_of_place(step), args, kwargs))
        slots[signal] = _Slot(len(operations))
    return slots[signal]


def _constant(signal: Signal) -> Tensor:
    """Return the value of a number that the code wrote as a tensor."""
    value = getattr(signal.tensor, "constant", signal.tensor)  # fake tensors may know their value
    if signal.varies or value is None or value.numel() != 1:
        raise _CannotBeRunAgain
    return value.detach().clone()


def _out_of_place(step: Step) -> Callable[..., Any]:
    """Return the operation that leaves its input as it is."""
    if not step.in_place:
        return step.function
    packet = getattr(torch.ops.aten, step.name, None)
    overload = getattr(packet, step.function._overloadname, None)
    if overload is None:
        raise _CannotBeRunAgain
    return overload


def steps_by_output(steps: Sequence[Step]) -> dict[Signal, Step]:
    """Return for each tensor the operation that made it."""
    return {signal: step for step in steps for signal in step.outputs}
