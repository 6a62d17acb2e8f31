"""Observe a pass that the user makes, and keep what its modules take and return until it has shown how they are wired."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from torch import Tensor, nn

from ..first_tensor import first_floating, is_packed
from ..wiring.live import LiveWiring, Observation


@dataclass(frozen=True, eq=False)
class Kept:
    """A call of a module: copies of the first floating-point tensors that it took and returned, and the model's mode."""

    name: str
    taken: Tensor | None
    output: Tensor
    padded: bool
    training: bool


class ObservedPass:
    """One pass that is observed, because it could not be followed on fake tensors.

    Args:
        live: what is known of the model; takes in what the pass shows.
        part: the module that is called, or the model if only parts of it are.
        prefix: its name.
        called: whether the part itself is called.
        failure: why it could not be followed on fake tensors.
        hook: wraps the hooks that tell which module runs.
        within: the call that is observed.

    Attributes:
        kept: the calls of modules that were kept.
        prefix: as given.
    """

    def __init__(
        self,
        live: LiveWiring,
        part: nn.Module,
        prefix: str,
        *,
        called: bool,
        failure: str,
        hook: Callable[..., Any],
        within: FrameType | None,
    ) -> None:
        self.kept: list[Kept] = []
        self.prefix = prefix
        self._called, self._failure = called, failure
        self._observation = Observation(live, part, prefix, hook, within)

    @property
    def is_over(self) -> bool:
        """Whether the call that is observed is over."""
        return not self._observation.is_running

    @property
    def called(self) -> bool:
        """Whether the part itself is called, so that its output ends the pass."""
        return self._called

    def begin(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Say that the module is called with which the pass begins; "" is the part itself."""
        self._observation.begin(name, args, kwargs)

    def give(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Say what a module is given by the user's code."""
        self._observation.give(args, kwargs)

    def watched(self, modules: Mapping[str, nn.Module], asked: Iterable[str]) -> dict[str, nn.Module]:
        """Return the modules whose outputs are kept: those asked for, and all that hold no others."""
        asked = set(asked)
        inside = {
            name: one for name, one in modules.items() if not self.prefix or f"{name}.".startswith(f"{self.prefix}.")
        }
        return {name: one for name, one in inside.items() if name in asked or not any(one.children())}

    def keep(
        self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: object, *, training: bool
    ) -> None:
        """Keep copies of what a module took and returned."""
        found, taken = first_floating(output), first_floating((*args, *kwargs.values()))
        if found is not None:
            copied = None if taken is None else taken.clone()
            self.kept.append(Kept(name, copied, found.clone(), not is_packed(output), training))

    def end(self, output: object = None) -> None:
        """Take in what the pass has shown."""
        self._observation.end(output, called=self._called, failure=self._failure)

    def close(self) -> None:
        """Give up: the pass has failed."""
        self._observation.close()
