"""Watch which modules run in a pass that is followed, and what each takes and returns."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..first_tensor import first_floating
from .calls import Signal
from .follow import Follower


@dataclass(frozen=True, eq=False)
class ModuleCall:
    """One call of a module.

    Attributes:
        module: its name.
        given: the first floating-point tensor that it took; None if there was none.
        returned: the first that it returned.
        first: number of the first step inside it.
        after: number of the first step behind it.
    """

    module: str
    given: Signal | None
    returned: Signal | None
    first: int
    after: int


@contextmanager
def watched_modules(
    model: nn.Module, follower: Follower, hook: Callable[..., Any] = lambda run: run
) -> Iterator[list[ModuleCall]]:
    """Tell the follower which module runs, and yield the list of calls, in the order in which they end.

    Args:
        model: the module that will be run.
        follower: follows it.
        hook: wraps the hooks.
    """
    calls: list[ModuleCall] = []
    handles = []
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        own = frozenset(prefix + one for one, _ in module.named_parameters(recurse=False))
        own |= {prefix + one for one, _ in module.named_parameters() if one.startswith("parametrizations.")}
        began: list[tuple[Signal | None, int]] = []

        def begin(
            _module: nn.Module, args: Any, kwargs: Any, name: str = name, own: Any = own, began: Any = began
        ) -> None:
            given = first_floating((*args, *kwargs.values()))
            began.append((None if given is None else follower.signal(given), len(follower.steps)))
            follower.running.append((name, own))

        def end(_module: nn.Module, _args: Any, output: Any, name: str = name, began: Any = began) -> None:
            follower.running.pop()
            given, first = began.pop()
            found = first_floating(output)
            returned = None if found is None else follower.signal(found)
            calls.append(ModuleCall(name, given, returned, first, len(follower.steps)))

        handles.append(module.register_forward_pre_hook(hook(begin), with_kwargs=True))
        handles.append(module.register_forward_hook(hook(end)))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
