"""Squared Euclidean and taxicab distances between samples, computed in tiles so that no table of all pairs is stored.

Euclidean distances come from one matrix product, ‖a‖² + ‖b‖² − 2ab. For two samples that are near to each other and far
from the mean, the large terms cancel and take the digits with them; these pairs are computed again as differences.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .scaling import column_means

TILE, WIDE_TILE = 512, 4096  # on the CPU, where a tile stays in the cache, and on other devices
TILE_ELEMENTS, MANY_ELEMENTS = 1 << 22, 1 << 25
MEDIAN_SAMPLES = 2048
CANCELLED = 1e-4
"""A squared distance below this share of ‖a‖² + ‖b‖² has lost four of float64's sixteen digits or more."""


class Block(NamedTuple):
    """Distances from samples ``row ...`` to samples ``column ...``; the distance of a sample to itself is inf.

    Squared Euclidean distances for the Gaussian kernel, taxicab distances for the Laplacian kernel.
    """

    row: int
    column: int
    values: Tensor

    @property
    def weight(self) -> int:
        """How often the block's sum counts in the sum of the full table."""
        return 1 if self.row == self.column else 2


class _Tile(NamedTuple):
    points: Tensor
    centered: Tensor
    norms: Tensor


def blocks_of_distances(points: Tensor, kernel: str) -> Iterator[Block]:
    """Yield the blocks of the distance table on and above its diagonal."""
    size = TILE if points.device.type == "cpu" else WIDE_TILE
    center = column_means(points)
    # kept for all blocks: computing the norms anew for each would take half as long as the product
    tiles = [_tile(part, center) for part in points.split(size)]
    for i, one in enumerate(tiles):
        for j, other in enumerate(tiles[i:], start=i):
            own = torch.arange(len(one.points), device=points.device) if i == j else None
            yield Block(i * size, j * size, _distances(one, other, kernel, own))


def distances_between(a: Tensor, b: Tensor, kernel: str, own: Tensor | None = None) -> Tensor:
    """Return squared Euclidean distances (``"gaussian"``) or taxicab distances, shape (len(a), len(b)).

    Args:
        a: samples, float64, shape (n, n_units).
        b: samples, shape (m, n_units).
        kernel: ``"gaussian"`` or ``"laplacian"``.
        own: where ``b`` holds the samples of ``a``, shape (n,); these distances become inf.
    """
    center = column_means(b)
    return _distances(_tile(a, center), _tile(b, center), kernel, own)


def _tile(points: Tensor, center: Tensor) -> _Tile:
    centered = points - center
    return _Tile(points, centered, centered.square().sum(dim=1))


def _distances(a: _Tile, b: _Tile, kernel: str, own: Tensor | None) -> Tensor:
    if kernel == "laplacian":
        values = torch.cdist(a.points, b.points, p=1.0)
    elif a.points.shape[1] == 1:
        values = (a.points - b.points.T).square_()
    else:
        values = (a.norms[:, None] + b.norms).addmm_(a.centered, b.centered.T, alpha=-2)
    if own is not None:
        values.scatter_(1, own[:, None], torch.inf)
    # one pass shows whether any pair can have lost digits; in most blocks none has
    if kernel == "gaussian" and bool(values.amin() < CANCELLED * (a.norms.amax() + b.norms.amax())):
        _restore_digits(values, a, b)
    return values


def _restore_digits(values: Tensor, a: _Tile, b: _Tile) -> None:
    """Replace the squared distances that lost digits, from differences of the samples before centering."""
    lost = values < CANCELLED * (a.norms[:, None] + b.norms)
    rows, columns = (lost.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    some = (rows[:, None], columns)
    exact = torch.cdist(a.points[rows], b.points[columns], compute_mode="donot_use_mm_for_euclid_dist").square_()
    values[some] = torch.where(lost[some], exact, values[some])


def median_distance(points: Tensor, kernel: str) -> float:
    """Return the median distance over the pairs of at most 2048 evenly spaced samples."""
    chosen = points[:: -(-len(points) // MEDIAN_SAMPLES)]
    values = distances_between(chosen, chosen, kernel)
    median = values[torch.ones_like(values, dtype=torch.bool).triu(1)].median().item()
    return median if kernel == "laplacian" else median**0.5


def rows_at_a_time(points: Tensor) -> int:
    """Return how many samples to compare with all others in one tile."""
    return max(1, (TILE_ELEMENTS if points.device.type == "cpu" else MANY_ELEMENTS) // len(points))


def kth_by_products(points: Tensor, k: int) -> Tensor:
    """Return the Euclidean distance from each sample to its k-th nearest other, shape (n_samples,), from all pairs."""
    center = column_means(points)
    whole = _tile(points, center)
    found = []
    for own in torch.arange(len(points), device=points.device).split(rows_at_a_time(points)):
        queries = _tile(points[own], center)
        nearest = _distances(queries, whole, "gaussian", own).topk(k, dim=1, largest=False).indices
        # the product only ranks; these few distances are computed to the last digit
        found.append(torch.linalg.vector_norm(points[nearest] - queries.points[:, None], dim=2).amax(dim=1))
    return torch.cat(found)
