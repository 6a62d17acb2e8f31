"""Observe a call that the user makes, and keep what its modules take and return until it shows how they are wired."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from torch import Tensor, nn

from ..first_tensor import first_floating, is_packed
from ..wiring.live_wiring import LiveWiring, Observation
from .activation_watch import ActivationWatch, Awaited


@dataclass(frozen=True, eq=False)
class Kept:
    """A call of a module: copies of the first floating-point tensors that it took and returned, and the mode.

    What follows it is watched: which activation function does is known only when the call is over.
    """

    name: str
    taken: Tensor | None
    output: Tensor
    padded: bool
    training: bool
    awaited: Awaited


class ObservedPass:
    """A call of a part of the model that is observed, because it could not be followed on fake tensors.

    Args:
        live: what is known of the model; takes in what the call shows.
        part: the module that is called.
        prefix: its name.
        args: what is given to it, or to the module with which observing begins.
        kwargs: likewise, by name.
        begins_at: that module, within the part; "" for the part itself.
        failure: why it could not be followed on fake tensors.
        hook: wraps the hooks that tell which module runs.
        within: the frame of the call.

    Attributes:
        kept: the calls of modules that were kept.
    """

    def __init__(
        self,
        live: LiveWiring,
        part: nn.Module,
        prefix: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        begins_at: str,
        failure: str,
        hook: Callable[..., Any],
        within: FrameType | None,
    ) -> None:
        self.kept: list[Kept] = []
        self._prefix, self._failure = prefix, failure
        self._observation = Observation(live, part, prefix, args, kwargs, begins_at=begins_at, hook=hook, within=within)

    def watched(self, modules: Mapping[str, nn.Module], asked: Iterable[str]) -> dict[str, nn.Module]:
        """Return the modules whose outputs are kept: those asked for, and all that hold no others."""
        asked, start = set(asked), f"{self._prefix}." if self._prefix else ""
        return {
            name: one
            for name, one in modules.items()
            if f"{name}.".startswith(start) and (name in asked or not any(one.children()))
        }

    def keep(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        output: object,
        watch: ActivationWatch,
        *,
        training: bool,
    ) -> None:
        """Keep copies of what a module took and returned."""
        found, taken = first_floating(output), first_floating((*args, *kwargs.values()))
        if found is not None:
            copied = None if taken is None else taken.clone()
            watch.leaves(name, taken, found)
            awaited = watch.begin(found, name, -1)
            self.kept.append(Kept(name, copied, found.clone(), not is_packed(output), training, awaited))

    def end(self, output: object) -> None:
        """Take in what the call has shown."""
        self._observation.end(output, failure=self._failure)

    def close(self) -> None:
        """Give up: the call has failed."""
        self._observation.close()
