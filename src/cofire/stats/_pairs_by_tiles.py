"""Many pairs of units on an accelerator: all samples of some pairs against one another, tile by tile."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._progress import progress

TILE_ELEMENTS = 1 << 26
FEW = 20  # fewer samples than that can be in the same order by chance


class Tile(NamedTuple):
    """Distances of some samples of some pairs to all samples, each of shape (n_pairs, n_rows, n_samples)."""

    of_x: Tensor
    of_y: Tensor

    def kth(self, k: int) -> Tensor:
        """To the k-th neighbor in both, shape (n_pairs, n_rows, 1); the nearest of all is the sample itself."""
        together = torch.maximum(self.of_x, self.of_y)
        return together.topk(k + 1, dim=2, largest=False, sorted=False).values.amax(dim=2, keepdim=True)


def three_entropies_by_tiles(points: Tensor, pairs: NDArray[np.intp], k: int) -> Tensor:
    """H(x) + H(y) − H(x, y) of each pair of columns, float64, shape (n_pairs,)."""
    n_samples = len(points)
    units = standardized_rows(points)
    alone = torch.stack([_log_distances_on_line(unit.sort().values, k).mean() for unit in units])
    together = _over_pairs(units, pairs, lambda tile: tile.kth(k).double().log().sum(dim=(1, 2)))
    psi = torch.digamma(alone.new_tensor([n_samples, k]))
    chosen = torch.from_numpy(pairs).to(points.device)
    return psi[0] - psi[1] + alone[chosen].sum(1) - 2 * together / n_samples


def kraskov_by_tiles(points: Tensor, pairs: NDArray[np.intp], k: int) -> Tensor:
    """Kraskov's first estimate of each pair of columns, float64, shape (n_pairs,)."""

    def digammas(tile: Tile) -> Tensor:
        radius = tile.kth(k)
        counts = torch.stack([(tile.of_x < radius).sum(2), (tile.of_y < radius).sum(2)])
        return torch.digamma(counts.clamp_(min=1).double()).sum(dim=(0, 2))

    total = _over_pairs(standardized_rows(points), pairs, digammas)
    return torch.digamma(total.new_tensor([k, len(points)])).sum() - total / len(points)


def standardized_rows(points: Tensor) -> Tensor:
    """Units as rows about their medians, where float32 is finest, in deviations; none may be constant."""
    centered = (points - points.median(dim=0).values).T.contiguous()
    centered /= centered.abs().amax(dim=1, keepdim=True)
    return (centered / centered.std(dim=1, correction=0, keepdim=True)).float()


def _log_distances_on_line(ascending: Tensor, k: int) -> Tensor:
    """Of each value to its k-th other: k + 1 in a row hold both."""
    edge = ascending.new_full((k,), torch.inf)
    padded = torch.cat([-edge, ascending, edge])
    n_samples = len(ascending)
    spans = [
        torch.maximum(ascending - padded[k - low : k - low + n_samples], padded[2 * k - low :][:n_samples] - ascending)
        for low in range(k + 1)
    ]
    return torch.stack(spans).amin(dim=0).double().log()


def _over_pairs(units: Tensor, pairs: NDArray[np.intp], reduce: Callable[[Tile], Tensor]) -> Tensor:
    """Sums over the samples of each pair; −∞ where one unit determines the other."""
    chosen = torch.from_numpy(pairs).to(units.device)
    n_at_once = max(1, TILE_ELEMENTS // units.shape[1] ** 2)
    ranks = units.argsort(dim=1).argsort(dim=1)
    parts = []
    with progress("pairs of units", len(pairs)) as advance:
        for some in chosen.split(n_at_once):
            x, y = units[some[:, 0]], units[some[:, 1]]
            total = torch.stack([reduce(tile) for tile in _tiles(x, y)]).sum(0)
            parts.append(torch.where(_same_order(ranks[some[:, 0]], ranks[some[:, 1]]), -torch.inf, total))
            advance(len(some))
    return torch.cat(parts)


def _tiles(x: Tensor, y: Tensor) -> Iterator[Tile]:
    n_pairs, n_samples = x.shape
    n_rows = max(1, TILE_ELEMENTS // (n_pairs * n_samples))
    for a, b in zip(x.split(n_rows, dim=1), y.split(n_rows, dim=1), strict=True):
        yield Tile((a[:, :, None] - x[:, None]).abs_(), (b[:, :, None] - y[:, None]).abs_())


def _same_order(first: Tensor, second: Tensor) -> Tensor:
    n_samples = first.shape[1]
    reversed_order = (first + second == n_samples - 1).all(dim=1)
    return ((first == second).all(dim=1) | reversed_order) & (n_samples >= FEW)
