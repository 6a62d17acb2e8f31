"""Running a model over data for the moments of its layers, as many layers at once as memory has room for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from ...stats.correlation.moments import Moments
from ..capturing.capture import Asked, Capture
from ..layers.sites import Site
from ..loading.batches import batch_length, forward

MOST_UNITS = 4096
HELD_BYTES = 1 << 30
WIDE = 512  # units from which on products run in float32

Progress = Callable[[int, int], object]


class State:
    """Moments of a layer, of evenly spaced units where these are too many."""

    def __init__(self) -> None:
        self.n_units = 0
        self.moments = Moments()

    def update(self, rows: Tensor) -> "State":
        """Take in a batch."""
        if not self.n_units:
            self.n_units = rows.shape[1]
            self.moments = Moments(compute_dtype=torch.float32 if self.n_units >= WIDE else torch.float64)
        self.moments = self.moments.update(spaced(rows, MOST_UNITS, axis=1))
        return self


class _Width:
    """How many units a layer has, from its first batch."""

    n_units = 0

    def update(self, rows: Tensor) -> "_Width":
        """Take in a batch."""
        self.n_units = rows.shape[1]
        return self


class Steps:
    """Counts passes over the data and layers evaluated; the number of batches is known after the first pass."""

    def __init__(self, progress: Progress, n_passes: int, n_layers: int) -> None:
        self._progress, self._n_passes, self._n_layers = progress, n_passes, n_layers
        self._passes, self._layers = 0, 0
        self.n_inputs = 0

    def batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches, counted."""
        self._tell()
        self.n_inputs = 0
        for batch in batches:
            self.n_inputs += batch_length(batch)
            yield batch
        self._passes += 1

    def measured(self, states: dict[Site, State]) -> Iterator[tuple[Site, State]]:
        """The layers of a pass, counted; each is let go once it is done."""
        while states:
            site = next(iter(states))
            self._tell()
            yield site, states.pop(site)
            self._layers += 1
        self._tell()

    def _tell(self) -> None:
        self._progress(self._passes + self._layers, self._n_passes + self._n_layers)


def widths_of(model: nn.Module, batches: Iterable[Any], pattern: Asked) -> tuple[dict[Site, int], dict[str, str]]:
    """Units at each site, from the first batch, and the layers that have none with the reason."""
    capture = Capture(model, pattern, into=_Width)
    first = next(iter(batches), None)
    if first is None:
        raise ValueError("the data hold no batch")
    _run(model, [first], capture)
    widths = {site: state.n_units for site, state in capture.take().items()}
    if not widths:
        capture.check()
    ran = {site.layer for site in widths} | set(capture.left_out)
    silent = {site.layer: "never ran on these data" for site in capture.sites if site.layer not in ran}
    return widths, {**capture.left_out, **silent}


def groups_of(widths: Mapping[Site, int]) -> list[list[Site]]:
    """Sites whose moments fit into memory together, one pass over the data each."""
    held, number, place = 0, 0, {}
    for site, width in widths.items():
        # calls of one layer are captured together
        size = 4 * min(width, MOST_UNITS) ** 2
        if held and held + size > HELD_BYTES:
            held, number = 0, number + 1
        held += size
        place.setdefault(site.at_call(None), number)
    return [list(group) for _, group in groupby(place, place.__getitem__)]


def states_of(model: nn.Module, batches: Iterable[Any], group: Sequence[Site]) -> dict[Site, State]:
    """Moments of a group of sites after one pass over the data."""
    capture = Capture(model, list(group), into=State)
    _run(model, batches, capture)
    capture.check()
    return capture.take()


def _run(model: nn.Module, batches: Iterable[Any], capture: Capture[Any]) -> None:
    capture.attach()
    try:
        for batch in batches:
            forward(model, batch)
    finally:
        capture.detach()


def spaced(values: Tensor, most: int, *, axis: int) -> Tensor:
    """At most so many slices along an axis, evenly spaced; all of them as they are."""
    number = values.shape[axis]
    if number <= most:
        return values
    return values.index_select(axis, torch.arange(most, device=values.device) * number // most)
