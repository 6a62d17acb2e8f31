"""Store captured rows: concatenated, or folded into a state batch by batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from ...stats._base.wording import plural
from ..layers.sites import Site, Sites

T = TypeVar("T")


def nothing_pending() -> None:
    """Do nothing: all rows are in the store already."""


@dataclass
class Store(Generic[T]):
    """Hold one state for each site and call.

    Attributes:
        into: makes an empty state; ``state.update(rows)`` returns the next state, or None if it changed itself. None
            for keeping the rows.
        aliases: for each name of a layer the one under which it is captured.
        failed: layers that could not be read, with the reason.
        settle: adds what has run but was not handed over yet.
    """

    into: Callable[[], Any] | None
    aliases: Mapping[str, str]
    failed: dict[str, str] = field(default_factory=dict)
    settle: Callable[[], None] = nothing_pending
    _states: dict[Site, Any] = field(default_factory=dict)
    _widths: dict[Site, int] = field(default_factory=dict)
    _unmeasured: Mapping[str, str] = field(default_factory=dict)

    @property
    def left_out(self) -> dict[str, str]:
        """Layers that are not captured, with the reason."""
        return {**self._unmeasured, **self.failed}

    def resolved(self, sites: Sites) -> None:
        """Note which layers are not measured."""
        self._unmeasured = sites.left_out

    def add(self, site: Site, rows: Tensor) -> None:
        """Add the rows of one call in one forward pass.

        Raises:
            ValueError: if the number of units differs from earlier batches.
        """
        n_units = self._widths.setdefault(site, rows.shape[-1])
        if rows.shape[-1] != n_units:
            raise ValueError(
                f"{site} had {plural(n_units, 'unit')} before and has {rows.shape[-1]} now; is its unit_axis right? "
                "per_call=True keeps the calls of a module apart"
            )
        if site not in self._states:
            self._states[site] = self.into() if self.into else []
        if self.into is None:
            self._states[site].append(rows)
        elif len(rows):  # a mask may leave none, which not every state takes
            updated = self._states[site].update(rows)
            self._states[site] = self._states[site] if updated is None else updated

    @property
    def mixes_stages(self) -> bool:
        """Whether both stages are captured, so that names must tell them apart."""
        return len({site.stage for site in self._states}) > 1

    def measured(self) -> list[Site]:
        """Return the sites that hold something."""
        return list(self._states)

    def value(self, site: Site) -> T:
        """Return what one of the `measured` sites holds."""
        return self._value(site)

    def take(self) -> dict[Site, T]:
        """Return everything, and empty the store."""
        taken = {site: self._value(site) for site in self._states}
        self._states, self._widths = {}, {}
        return taken

    def _value(self, key: Site) -> Any:
        held = self._states[key]
        if self.into is not None:
            return held
        if len(held) > 1:  # concatenated once, however often it is asked for
            held[:] = [torch.cat(held)]
        return held[0]
