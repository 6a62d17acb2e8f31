"""Euclidean and taxicab distances between samples, tile by tile, so that no table of all pairs is ever stored."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

TILE, WIDE_TILE = 512, 4096  # on the CPU, where a tile stays in cache, and elsewhere
TILE_ELEMENTS, MANY_ELEMENTS = 1 << 22, 1 << 25
MEDIAN_SAMPLES = 2048


class Block(NamedTuple):
    """Distances of samples ``row ...`` to samples ``column ...``; a sample is infinitely far from itself.

    The Gaussian kernel takes squared Euclidean distances, the Laplacian kernel taxicab distances.
    """

    row: int
    column: int
    values: Tensor

    @property
    def weight(self) -> int:
        """How often its sum stands in that of the full table."""
        return 1 if self.row == self.column else 2


def blocks_of_distances(points: Tensor, kernel: str) -> Iterator[Block]:
    """The table's blocks on and above the diagonal; ``points`` are centered here, so that an offset costs nothing."""
    centered = points - points.mean(dim=0)
    size = TILE if points.device.type == "cpu" else WIDE_TILE
    tiles = centered.split(size)
    norms = [_squared_norms(tile) for tile in tiles]  # once, as a tile of squares takes half as long as the product
    for row in range(0, len(points), size):
        for column in range(row, len(points), size):
            i, j = row // size, column // size
            values = _distances(tiles[i], tiles[j], norms[i], norms[j], kernel)
            if row == column:
                values.fill_diagonal_(torch.inf)
            yield Block(row, column, values)


def distances_between(a: Tensor, b: Tensor, kernel: str) -> Tensor:
    """What the kernel is a function of: squared Euclidean distances, or taxicab ones."""
    return _distances(a, b, _squared_norms(a), _squared_norms(b), kernel)


def _squared_norms(points: Tensor) -> Tensor:
    """Of each sample, shape (n_samples,)."""
    return points.square().sum(dim=1)


def _distances(a: Tensor, b: Tensor, of_a: Tensor, of_b: Tensor, kernel: str) -> Tensor:
    if kernel == "laplacian":
        return torch.cdist(a, b, p=1.0)
    return (of_a[:, None] + of_b).addmm_(a, b.T, alpha=-2).clamp_min_(0)


def median_distance(points: Tensor, kernel: str) -> float:
    """Median distance over the pairs of at most 2048 evenly spaced samples."""
    chosen = points[:: -(-len(points) // MEDIAN_SAMPLES)]
    values = distances_between(chosen - chosen.mean(dim=0), chosen - chosen.mean(dim=0), kernel)
    median = values[torch.ones_like(values, dtype=torch.bool).triu(1)].median().item()
    return median if kernel == "laplacian" else median**0.5


def rows_at_a_time(points: Tensor) -> int:
    """How many samples to compare with all others in one tile."""
    return max(1, (TILE_ELEMENTS if points.device.type == "cpu" else MANY_ELEMENTS) // len(points))


def kth_by_products(points: Tensor, k: int) -> Tensor:
    """Euclidean distance from each sample to its k-th nearest other, float64, shape (n_samples,): all are looked at."""
    tile = rows_at_a_time(points)
    points = points - points.mean(dim=0)
    squares = points.square().sum(dim=1)
    return torch.cat([_kth_of_tile(points, squares, start, tile, k) for start in range(0, len(points), tile)])


def _kth_of_tile(points: Tensor, squares: Tensor, start: int, tile: int, k: int) -> Tensor:
    queries = points[start : start + tile]
    # the queries' own squares are left out: they are the same for a whole row
    far = torch.addmm(squares, queries, points.T, alpha=-2)
    far.diagonal(start).fill_(torch.inf)
    nearest = far.topk(k, dim=1, largest=False).indices
    # the product has lost the digits of small distances: these few are done again
    return torch.linalg.vector_norm(points[nearest] - queries[:, None], dim=2).amax(dim=1)
