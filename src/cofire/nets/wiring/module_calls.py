"""Watch which modules run in a pass that is followed, and what each takes and returns."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from torch import nn

from ..first_tensor import first_floating
from ..layer_names import distinct_layers, takes_hooks, unwrap
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


class ModuleWatch:
    """Tells a follower which module runs, and lists the calls in the order in which they end, while its block lasts.

    Args:
        model: the module that is run.
        follower: follows it.
        hook: wraps the hooks.
        root: whether to watch the model itself too; if not, `begin` and `end` tell of its call, as of "".

    Attributes:
        calls: so far.
    """

    def __init__(
        self, model: nn.Module, follower: Follower, hook: Callable[..., Any] = lambda run: run, *, root: bool = True
    ) -> None:
        self.calls: list[ModuleCall] = []
        self._follower, self._hook, self._root = follower, hook, root
        self._began: dict[str, list[tuple[Signal | None, int]]] = defaultdict(list)
        self._modules = distinct_layers(model)
        names = {id(module): name for name, module in self._modules.items()}
        # A wrapper returns what the module inside returns, which has its name.
        raw = {names[id(module)]: raw for raw, module in model.named_modules() if unwrap(module) is module}
        self._own = {name: _own_parameters(raw[name], module) for name, module in self._modules.items()}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # if one hook can't be put on, none is left
            for name, module in self._modules.items():
                if not takes_hooks(module) or not (name or self._root):
                    continue
                begin = self._hook(partial(self._begin_module, name))
                end = self._hook(partial(self._end_module, name))
                stack.enter_context(module.register_forward_pre_hook(begin, with_kwargs=True))
                stack.enter_context(module.register_forward_hook(end))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _begin_module(self, name: str, _module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.begin(name, args, kwargs)

    def _end_module(self, name: str, _module: nn.Module, _args: Any, output: object) -> None:
        self.end(name, output)

    def begin(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Note that a module begins to run."""
        given = first_floating((*args, *kwargs.values()))
        signal = None if given is None else self._follower.signal(given)
        self._began[name].append((signal, len(self._follower.steps)))
        for parameter, tensor in self._modules[name].named_parameters(recurse=False):
            self._follower.stands_for(f"{name}.{parameter}".lstrip("."), tensor)
        self._follower.running.append((name, self._own[name]))

    def end(self, name: str, output: object) -> None:
        """Note that a module has run, if its beginning was seen."""
        if not self._began[name]:
            return
        self._follower.running.pop()
        given, first = self._began[name].pop()
        found = first_floating(output)
        returned = None if found is None else self._follower.signal(found)
        if returned is not None and name.rpartition(".")[0].endswith("parametrizations"):
            self._follower.computed(returned)
        self.calls.append(ModuleCall(name, given, returned, first, len(self._follower.steps)))

    def forget(self, n_calls: int) -> None:
        """Forget a pass that failed: all calls behind the first ``n_calls``."""
        del self.calls[n_calls:], self._follower.running[1:]
        self._began.clear()


def _own_parameters(name: str, module: nn.Module) -> frozenset[str]:
    prefix = f"{name}." if name else ""
    own = {prefix + one for one, _ in module.named_parameters(recurse=False)}
    return frozenset(
        own | {prefix + one for one, _ in module.named_parameters() if one.startswith("parametrizations.")}
    )
