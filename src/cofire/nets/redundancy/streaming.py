"""Moments of a model's layers on data, for as many layers in one pass as memory has room for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from operator import length_hint
from typing import Any

import torch
from torch import Tensor, nn

from ...stats.correlation.moments import Moments
from ..capturing.capture import Capture
from ..capturing.padding_masks import mask_of_tokens
from ..layers.sites import Asked, Request, Site, Sites, asked_layers
from ..loading.batches import batch_length, forward
from ..wiring.live_wiring import live_wiring

MOST_UNITS = 4096
HELD_BYTES = 1 << 30
# Units from which on the products of a batch run in float32: there they take most of the time. Sums stay in float64.
WIDE = 512

Progress = Callable[[int, int], object]


class State:
    """Moments of a layer, at evenly spaced units if there are too many."""

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
    """The number of units of a layer, and nothing of its activations: those of all layers at once may not fit."""

    n_units = 0

    def update(self, rows: Tensor) -> "_Width":
        self.n_units = rows.shape[1]
        return self


def widths_of(
    model: nn.Module, batches: Iterable[Any], pattern: Asked, *, per_call: bool
) -> tuple[dict[Site, int], Sites]:
    """Return the units at each site, and what is known of the layers that were asked for.

    Batches are run until every layer that was asked for has run: some batches may use parts that others don't.
    """
    capture = Capture(model, pattern, mask=mask_of_tokens, into=_Width, per_call=per_call)
    asked = asked_layers(model, [Request(pattern)])
    n_batches = 0
    capture.attach()
    try:
        for batch in batches:
            n_batches += 1
            forward(model, batch)
            if not live_wiring(model).unseen(asked):
                break
    finally:
        capture.detach()
    if not n_batches:
        raise ValueError("the data hold no batch")
    widths = {site: state.n_units for site, state in capture.take().items()}
    if not widths:
        _check(capture)
    return widths, replace(capture.sites, left_out=capture.left_out)


def groups_of(widths: Mapping[Site, int]) -> list[list[Site]]:
    """Return the sites in groups whose moments fit into memory together; each group takes one pass over the data."""
    groups: list[list[Site]] = [[]]
    held, placed = 0, set()
    for site, width in widths.items():
        size = 4 * min(width, MOST_UNITS) ** 2
        if held and held + size > HELD_BYTES:
            groups.append([])
            held = 0
        held += size
        # All calls of a layer are captured together, in the group of its first call.
        if (every_call := site.at_call(None)) not in placed:
            placed.add(every_call)
            groups[-1].append(every_call)
    return [group for group in groups if group]


def measured(
    model: nn.Module, batches: Iterable[Any], widths: Mapping[Site, int], progress: Progress, *, per_call: bool
) -> Iterator[tuple[Site, State, int]]:
    """Yield the moments of each site and the number of inputs, after one pass over the data per group of sites.

    Progress counts batches run and layers evaluated; batches of unknown number count as one.
    """
    groups = groups_of(widths)
    n_batches = max(1, length_hint(batches))
    done, total = 0, len(groups) * n_batches + len(widths)
    for group in groups:
        capture = Capture(model, list(group), mask=mask_of_tokens, into=State, per_call=per_call)
        before = done
        n_inputs = _run(model, batches, capture, lambda n, at=before: progress(at + min(n, n_batches), total))
        _check(capture)
        states = capture.take()
        done += n_batches
        while states:
            progress(done, total)
            site = next(iter(states))
            # Popped, so that its memory is free once it is evaluated.
            yield site, states.pop(site), n_inputs
            done += 1
        progress(done, total)


def _check(capture: Capture[Any]) -> None:
    try:
        capture.check()
    except RuntimeError as error:  # to be told of as what was asked for
        raise ValueError(str(error)) from error


def _run(model: nn.Module, batches: Iterable[Any], capture: Capture[Any], tell: Callable[[int], object]) -> int:
    """Run the model, telling the number of batches done, and return the number of inputs."""
    n_inputs = 0
    capture.attach()
    try:
        for done, batch in enumerate(batches):
            tell(done)
            forward(model, batch)
            n_inputs += batch_length(batch)
    finally:
        capture.detach()
    return n_inputs


def spaced(values: Tensor, most: int, *, axis: int) -> Tensor:
    """Return at most ``most`` slices along an axis, evenly spaced; the tensor itself if it has no more."""
    number = values.shape[axis]
    if number <= most:
        return values
    return values.index_select(axis, torch.arange(most, device=values.device) * number // most)
