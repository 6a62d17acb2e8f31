"""Many pairs of units on an accelerator: what :mod:`.pair_search` does, in operations on tensors, tile by tile."""

from collections.abc import Callable, Iterator
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..._base.progress import progress
from .torch_atoms import label_information
from .torch_deterministic import known_information, shares_on_lines
from .torch_neighbors import count_nearer, nearest
from .torch_shared import Shared, shared_samples
from .torch_units import scored_units, standardized_units
from .triton_launch import fits, search
from .units import Units

SAMPLE_ELEMENTS = 1 << 23  # samples of so many pairs at a time, some ten numbers for each
SINGULAR_SHARE = 0.05
TIED = 1  # neighbors as near as the k-th that are looked for beyond it, on the common grid of two units' scores


class Tile(NamedTuple):
    """Some pairs of units, shape (n_pairs, 2), the most samples that one shares, and the most labels of a unit."""

    pairs: Tensor
    width: int
    n_labels: int


def three_entropies_by_tiles(points: Tensor, pairs: NDArray[np.intp], k: int) -> Tensor:
    """H(x) + H(y) − H(x, y) of each pair of columns, float64, shape (n_pairs,)."""
    units = standardized_units(points.T.contiguous())

    def together(tile: Tile) -> Tensor:
        shared = shared_samples(units, tile.pairs, tile.width)
        distance = _radius(shared, k).double().log().mean(dim=1)
        return torch.where(known_information(shared).isnan(), distance, -inf)

    alone = _log_distances_on_line(units.score.gather(1, units.order), k).mean(dim=1)
    chosen = torch.from_numpy(pairs).to(points.device)
    psi = torch.digamma(alone.new_tensor([len(points), k]))
    return psi[0] - psi[1] + alone[chosen].sum(1) - 2 * _over_tiles(units, chosen, together)


def kraskov_by_tiles(points: Tensor, pairs: NDArray[np.intp], k: int) -> Tensor:
    """Kraskov's first estimate of each pair of columns, float64, shape (n_pairs,)."""
    return _information(standardized_units(points.T.contiguous()), pairs, k, inf)


def information_by_tiles(points: Tensor, pairs: NDArray[np.intp], k: int, suspicious: float) -> Tensor:
    """Information of each pair of columns by counting, Ross and Kraskov, float64, shape (n_pairs,).

    From ``suspicious`` on it is looked whether one unit is, in part, a function of the other.
    """
    return _information(scored_units(points.T.contiguous()), pairs, k, suspicious)


def _information(units: Units, pairs: NDArray[np.intp], k: int, suspicious: float) -> Tensor:
    digamma = _digamma(units.score)

    def measure(tile: Tile) -> Tensor:
        shared = shared_samples(units, tile.pairs, tile.width)
        information = _number_information(shared, k, digamma)
        doubtful = (information > suspicious) & units.smooth[tile.pairs].all(dim=1) & (k > 1)
        if len(doubtful := doubtful.nonzero()[:, 0]):
            some = shared.of(doubtful)
            on_curves = shares_on_lines(some, nearest(some.x, some.y, k, TIED), k) > SINGULAR_SHARE
            information[doubtful[on_curves]] = inf
        known = known_information(shared)
        information = torch.where(known.isnan(), information, known)
        if tile.n_labels == 1:
            return information
        of_labels, share = label_information(units, tile.pairs, k, digamma, tile.n_labels)
        return of_labels + share * torch.where(share > 0, information, 0.0)

    return _over_tiles(units, torch.from_numpy(pairs).to(units.score.device), measure)


def _number_information(shared: Shared, k: int, digamma: Tensor) -> Tensor:
    """By Kraskov, I(X;Y | both continuous); of up to k samples nothing is said."""
    number, held = shared.number[:, 0], shared.held
    total = torch.zeros_like(number, dtype=torch.float64)
    for counts in _near_in_one(shared, k):
        total += torch.where(held, digamma[torch.where(held, counts, 0)], 0.0).sum(dim=1)
    return torch.where(number > k, digamma[k] + digamma[number] - total / number, 0.0)


def _radius(shared: Shared, k: int) -> Tensor:
    """Distance of each sample to its k-th other, float32, shape (n_pairs, width)."""
    if fits(shared.x, k):
        return search(shared.x, shared.y, shared.number[:, 0], k).radius
    return nearest(shared.x, shared.y, k).distance[:, -1]


def _near_in_one(shared: Shared, k: int) -> tuple[Tensor, Tensor]:
    """How many samples are nearer than that in the first and in the second unit alone."""
    if fits(shared.x, k):
        found = search(shared.x, shared.y, shared.number[:, 0], k)
        return found.near_x, found.near_y
    radius = torch.where(shared.held, _radius(shared, k), 0.0)
    in_x = count_nearer(shared.x, torch.where(shared.held, shared.x, 0.0), radius)
    return in_x, count_nearer(shared.y_ascending, shared.y, radius)


def _digamma(like: Tensor) -> Tensor:
    """ψ of 0 … n_samples; a sample that coincides with its neighbors counts itself, so ψ(1) stands at 0."""
    counts = torch.arange(like.shape[1] + 1, dtype=torch.float64, device=like.device)
    return torch.digamma(counts.clamp_(min=1))


def _log_distances_on_line(ascending: Tensor, k: int) -> Tensor:
    """Of each value of each row to its k-th other: k + 1 in a row hold both."""
    n_samples = ascending.shape[1]
    padded = torch.nn.functional.pad(ascending, (k, k), value=inf)
    padded[:, :k] = -inf
    nearest_of_all = torch.full_like(ascending, inf)
    for low in range(k + 1):
        before = ascending - padded[:, k - low :][:, :n_samples]
        behind = padded[:, 2 * k - low :][:, :n_samples] - ascending
        nearest_of_all = torch.minimum(nearest_of_all, torch.maximum(before, behind))
    return nearest_of_all.double().log()


def _over_tiles(units: Units, pairs: Tensor, measure: Callable[[Tile], Tensor]) -> Tensor:
    """A value for each pair; pairs of about as many labels and shared samples are measured together."""
    out = torch.empty(len(pairs), dtype=torch.float64, device=pairs.device)
    with progress("pairs of units", len(pairs)) as advance:
        for places, tile in _tiles(units, pairs):
            out[places] = measure(tile)
            advance(len(places))
    return out


def _tiles(units: Units, pairs: Tensor) -> Iterator[tuple[Tensor, Tile]]:
    """The numbers of the pairs of each tile, and these."""
    n_samples = units.label.shape[1]
    n_labels = units.n_labels[pairs].amax(dim=1)
    for most in n_labels.unique().tolist():
        group = (n_labels == most).nonzero()[:, 0]
        shared = _n_shared(units, pairs[group])
        fewest_first = shared.argsort()
        at_once = max(1, SAMPLE_ELEMENTS // (n_samples + most * most))
        for some in fewest_first.split(at_once):
            yield group[some], Tile(pairs[group[some]], max(1, int(shared[some[-1]])), most)


def _n_shared(units: Units, pairs: Tensor) -> Tensor:
    """At how many samples both units of each pair are continuous."""
    continuous = units.label == 0
    some = pairs.split(max(1, SAMPLE_ELEMENTS // continuous.shape[1]))
    return torch.cat([(continuous[part[:, 0]] & continuous[part[:, 1]]).sum(dim=1) for part in some])
