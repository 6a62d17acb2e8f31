"""Store captured rows: concatenated, or folded into a state batch by batch."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from ...stats._base.wording import plural
from ..layers.sites import Site

T = TypeVar("T")


def nothing_pending() -> None:
    """Do nothing: all rows are in the store already."""


@dataclass
class Store(Generic[T]):
    """Hold one state for each site and call.

    Attributes:
        into: makes an empty state; ``state.update(rows)`` returns the next state, or None if it changed itself. None
            for keeping the rows.
        mixes_stages: whether both stages are captured, so that names must tell them apart.
        aliases: for each name of a layer the one under which it is captured.
        left_out: layers that are not captured, with the reason.
        settle: adds what has run but was not handed over yet.
    """

    into: Callable[[], Any] | None
    mixes_stages: bool
    aliases: Mapping[str, str]
    left_out: dict[str, str]
    settle: Callable[[], None] = nothing_pending
    _states: dict[Site, Any] = field(default_factory=dict)
    _widths: dict[Site, int] = field(default_factory=dict)

    def add(self, site: Site, rows: Tensor) -> None:
        """Add the rows of one call in one forward pass.

        Raises:
            ValueError: if the number of units differs from earlier batches.
        """
        n_units = self._widths.setdefault(site, rows.shape[-1])
        if rows.shape[-1] != n_units:
            raise ValueError(
                f"{site} had {plural(n_units, 'unit')} before and has {rows.shape[-1]} now; is its unit_axis right?"
            )
        if site not in self._states:
            self._states[site] = self.into() if self.into else []
        if self.into is None:
            self._states[site].append(rows)
        elif len(rows):  # a mask may leave none, which not every state takes
            updated = self._states[site].update(rows)
            self._states[site] = self._states[site] if updated is None else updated

    def measured(self) -> dict[Site, Site]:
        """Return the sites that hold something, with their keys; a site names its call only if there are several."""
        n_calls = Counter(site.at_call(None) for site in self._states)
        once = {site for site in self._states if site.call == 0 and n_calls[site.at_call(None)] == 1}
        return {site.at_call(None) if site in once else site: site for site in self._states}

    def value(self, site: Site) -> T:
        """Return what one of the `measured` sites holds."""
        return self._value(self.measured()[site])

    def take(self) -> dict[Site, T]:
        """Return everything, and empty the store."""
        taken = {site: self._value(key) for site, key in self.measured().items()}
        self._states, self._widths = {}, {}
        return taken

    def _value(self, key: Site) -> Any:
        held = self._states[key]
        if self.into is not None:
            return held
        if len(held) > 1:  # concatenated once, however often it is asked for
            held[:] = [torch.cat(held)]
        return held[0]
