"""Where captured rows go: kept and concatenated, or folded into a state batch by batch."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from ...stats._base.wording import plural
from ..layers.sites import Site

T = TypeVar("T")


def _nothing_pending() -> None:
    """Everything is in the store."""


class Batches:
    """The rows of all batches, concatenated when asked for."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []

    def update(self, rows: Tensor) -> "Batches":
        """Keep the rows of one more batch."""
        self._parts.append(rows)
        return self

    def rows(self) -> Tensor:
        """All rows so far, (n_samples, n_units)."""
        if len(self._parts) > 1:
            self._parts = [torch.cat(self._parts)]
        return self._parts[0]


@dataclass
class Store(Generic[T]):
    """One state for each site and call.

    ``into`` makes an empty state; ``state.update(rows)`` returns the next one, or None if it changed itself.
    ``settle`` brings in what is known but not yet added.
    """

    into: Callable[[], Any] | None
    mixes_stages: bool
    aliases: Mapping[str, str]
    left_out: dict[str, str]
    settle: Callable[[], None] = _nothing_pending
    _states: dict[Site, Any] = field(default_factory=dict)
    _widths: dict[Site, int] = field(default_factory=dict)

    def add(self, site: Site, rows: Tensor) -> None:
        """Add the rows of one call in one forward pass; no rows change nothing.

        Raises:
            ValueError: if the number of units differs from the batches before.
        """
        n_units = self._widths.setdefault(site, rows.shape[-1])
        if rows.shape[-1] != n_units:
            raise ValueError(
                f"{site} had {plural(n_units, 'unit')} before and has {rows.shape[-1]} now; is its unit_axis right?"
            )
        state = self._states.get(site)
        if state is None:
            state = self._states[site] = (self.into or Batches)()
        if self.into is None or len(rows):
            updated = state.update(rows)
            self._states[site] = state if updated is None else updated

    def measured(self) -> dict[Site, Site]:
        """The sites that hold something, and the key of each; the call is named where there are several."""
        n_calls = Counter(site.at_call(None) for site in self._states)
        return {_named(site, n_calls[site.at_call(None)]): site for site in self._states}

    def value(self, site: Site) -> T:
        """What one of the `measured` sites holds."""
        return self._finished(self._states[self.measured()[site]])

    def take(self) -> dict[Site, T]:
        """Everything, after which the store is empty."""
        taken = {name: self._finished(self._states[site]) for name, site in self.measured().items()}
        self._states, self._widths = {}, {}
        return taken

    def _finished(self, state: Any) -> T:
        return state.rows() if self.into is None else state


def _named(site: Site, n_calls: int) -> Site:
    return site.at_call(None) if n_calls == 1 and site.call == 0 else site
