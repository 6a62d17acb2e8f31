"""`wire`: how the units of a model are wired, found by running it once on fake tensors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self
from weakref import ReferenceType, ref

import torch
from torch import Tensor, nn

from ...stats._base.wording import with_article
from ..layer_names import unwrap
from ..tensors_in import look_into
from ..torch_private import FakeTensorMode
from .assemble import Pass, assemble
from .assumed import assumed_wiring
from .calls import Signal, Step
from .fake_copy import (
    SafeCopies,
    clear_leaks,
    fake_arguments,
    fake_copy,
    never_run,
    own_arguments,
    random_states_kept,
    undisturbed,
)
from .follow import Follower
from .held_state import attributes_kept
from .module_calls import ModuleWatch
from .wired_layers import Wiring

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Positional arguments and those by name."""


def wire(model: nn.Module, example: Any) -> Wiring:
    """Return how the units of a model are wired, from a pass in each mode on fake tensors.

    Nothing of the model or the process changes, and no memory is taken for weights or activations. A model that cannot
    run on fake tensors, since what it does depends on values, runs once on the real example, in the mode it is in; its
    state and all random generators are put back. If that fails too, the types of its modules are read instead, and
    every layer says so under ``assumed``.

    Args:
        model: any module; wrappers such as DistributedDataParallel are looked into.
        example: what the model takes: a tensor, a tuple of arguments, or a dict of keyword arguments.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
        >>> wire(model, torch.zeros(2, 3, 8, 8))
        layer  units  axis  inputs  kind    cut
        0      8      1     3       Conv2d  free
        3      5      1     288     Linear  the model's output
    """
    model = unwrap(model)
    arguments = as_arguments(example)
    try:
        return wire_on_fakes(model, arguments)
    except Exception as error:  # the forward is the user's code, and may raise anything on fake tensors
        fakes = _first_line(error)
    try:
        return _wire_on_reals(model, arguments, f"a pass on fake tensors failed ({fakes}); the example itself was run")
    except Exception as error:
        reason = f"the model could not be run on the example ({_first_line(error)})"
        return assumed_wiring(model, reason)


def as_arguments(example: Any) -> Arguments:
    """Return an example as positional arguments and those by name."""
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example) if isinstance(example, tuple) else (example,)), {}


def wire_on_fakes(model: nn.Module, arguments: Arguments, *, method: str = "") -> Wiring:
    """Return the wiring from passes on fake tensors.

    Args:
        model: without wrappers.
        arguments: of the call.
        method: the method to call; the model itself by default.

    Raises:
        Exception: whatever the model's forward raises on them, in both modes.
    """
    with undisturbed(model):
        result, made = _followed(model, arguments, method)  # a function of its own: its tensors end with it
        clear_leaks(made)
    return result


def _followed(model: nn.Module, arguments: Arguments, method: str) -> tuple[Wiring, list[ReferenceType[Tensor]]]:
    mode, made, follower = on_fakes(model)
    passes: list[Pass] = []
    failure: Exception | None = None
    with ModuleWatch(made, follower) as watch:
        for training in (model.training, not model.training):
            made.train(training)
            start = Start.of(follower, watch)
            given = fake_arguments(arguments, mode)
            inputs = look_into(given).tensors
            follower.give(inputs)
            try:
                with never_run(model), mode, follower, SafeCopies():
                    output = (getattr(made, method) if method else made)(*given[0], **given[1])
                passes.append(seen_pass(training, follower, watch, start, (output, written(given, inputs))))
            except Exception as error:
                failure = failure or error.with_traceback(None)  # whose frames hold fake tensors
                watch.forget(start.calls)
                del follower.uses[start.uses :]
    if failure is not None and not passes:
        raise failure
    notes = (
        [] if failure is None else [f"followed in {_mode(passes[0])} mode only; in the other, {_first_line(failure)}"]
    )
    return assemble(model, follower, passes, notes), [*follower.made, *map(ref, tensors_of(made).values())]


def on_fakes(model: nn.Module) -> tuple[FakeTensorMode, nn.Module, Follower]:
    """Return a mode of fake tensors, a copy of a model with such parameters, and what follows a pass of it."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    made = fake_copy(model, mode)
    follower = Follower(tensors_of(made))
    for name, tensor in tensors_of(model).items():
        if name in follower.parameter_signals:
            follower.also(name, tensor)
    return mode, made, follower


@dataclass(frozen=True)
class Start:
    """How many uses, calls and steps there were before a pass."""

    uses: int = 0
    calls: int = 0
    steps: int = 0

    @classmethod
    def of(cls, follower: Follower, watch: ModuleWatch) -> Self:
        """Return how many there are now."""
        return cls(len(follower.uses), len(watch.calls), len(follower.steps))


def seen_pass(training: bool, follower: Follower, watch: ModuleWatch, start: Start, output: Any) -> Pass:
    """Return what a pass has shown."""
    found = look_into(output, caches=False)
    returned = list(map(follower.signal, found.tensors))
    steps = follower.steps[start.steps :]
    hidden = _unread(steps) if found.hidden else []
    return Pass(
        training, watch.calls[start.calls :], follower.uses[start.uses :], returned, steps, found.hidden, hidden
    )


def written(given: Any, inputs: Iterable[Tensor]) -> list[Tensor]:
    """Return the tensors that a pass has put into containers and objects that were given to it."""
    known = set(map(id, inputs))
    return [one for one in look_into(given, caches=False).tensors if id(one) not in known]


def _unread(steps: Sequence[Step]) -> list[Signal]:
    """Return what varies and no step reads."""
    read = {one for step in steps for one in step.inputs}
    return [one for step in steps for one in step.outputs if one.varies and one not in read]


def _wire_on_reals(model: nn.Module, arguments: Arguments, note: str) -> Wiring:
    """Return the wiring from one pass of the model itself, with its state put back."""
    arguments = own_arguments(arguments)
    with _state_kept(model), random_states_kept(model):
        follower = Follower(tensors_of(model))
        inputs = look_into(arguments).tensors
        follower.give(inputs)
        with ModuleWatch(model, follower) as watch, follower:
            output = model(*arguments[0], **arguments[1])
        shown = seen_pass(model.training, follower, watch, Start(), (output, written(arguments, inputs)))
        found = assemble(model, follower, [shown], [note])
        return replace(found, one_way=note)


@contextmanager
def _state_kept(model: nn.Module) -> Iterator[None]:
    """Put back a model's parameters, buffers and plain attributes, and what these hold, after a block."""
    tensors = [(one, one.detach().clone(), one.grad) for one in (*model.parameters(), *model.buffers())]
    restore = attributes_kept(model)
    try:
        yield
    finally:
        with torch.no_grad():
            for one, before, gradient in tensors:
                if not torch.equal(one, before):
                    one.copy_(before)
                one.grad = gradient
        restore()


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a model by all their names."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return parameters | dict(model.named_buffers(remove_duplicate=False))


def _mode(seen: Pass) -> str:
    return "training" if seen.training else "eval"


def _first_line(error: Exception) -> str:
    return f"{with_article(type(error).__name__)}: {str(error).strip().partition(chr(10))[0]}"
