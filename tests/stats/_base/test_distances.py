"""Distances from products against differences, for clusters that are far from each other."""

import pytest
import torch
from torch import Tensor

from cofire.stats._base.distances import blocks_of_distances, distances_between, kth_by_products, median_distance

SEPARATIONS = [1.0, 1e2, 1e4, 1e6, 1e8]


def clusters(
    separation: float, n_samples: int = 60, n_units: int = 3, n_clusters: int = 3, offset: float = 0.0
) -> Tensor:
    """Clusters of spread 1, with a tied pair, in mixed order."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n_samples, n_units, generator=generator, dtype=torch.float64)
    x = x + separation * (torch.arange(n_samples) % n_clusters)[:, None] + offset
    x[3] = x[6]
    return x


def naive(a: Tensor, b: Tensor, kernel: str) -> Tensor:
    differences = a[:, None] - b
    return differences.square().sum(2) if kernel == "gaussian" else differences.abs().sum(2)


def from_blocks(points: Tensor, kernel: str) -> Tensor:
    """The full table; both halves are filled from the blocks on and above the diagonal."""
    table = points.new_zeros(len(points), len(points))
    for block in blocks_of_distances(points, kernel):
        rows, columns = block.values.shape
        table[block.row : block.row + rows, block.column : block.column + columns] = block.values
        table[block.column : block.column + columns, block.row : block.row + rows] = block.values.T
    return table


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
@pytest.mark.parametrize("separation", SEPARATIONS)
@pytest.mark.parametrize("n_units", [1, 2, 40])
@pytest.mark.parametrize("offset", [0.0, -3e7])
def test_far_clusters_cost_no_digits(separation, kernel, n_units, offset):
    x = clusters(separation, n_units=n_units, offset=offset)
    exact = naive(x, x, kernel)
    torch.testing.assert_close(distances_between(x, x, kernel), exact, rtol=1e-10, atol=0)
    torch.testing.assert_close(distances_between(x[:7], x, kernel), exact[:7], rtol=1e-10, atol=0)
    without_self = exact.fill_diagonal_(torch.inf)
    own = torch.tensor([5, 59, 0])
    torch.testing.assert_close(distances_between(x[own], x, kernel, own), without_self[own], rtol=1e-10, atol=0)
    torch.testing.assert_close(from_blocks(x, kernel), without_self, rtol=1e-10, atol=0)
    above = without_self[torch.ones_like(without_self).triu(1).bool()]
    median = above.median().item()
    assert median_distance(x, kernel) == pytest.approx(median**0.5 if kernel == "gaussian" else median, rel=1e-10)


@pytest.mark.parametrize("separation", [1e3, 1e8])
def test_several_blocks_of_far_clusters(separation):
    x = clusters(separation, n_samples=1100, n_units=5)
    exact = naive(x, x, "gaussian").fill_diagonal_(torch.inf)
    torch.testing.assert_close(from_blocks(x, "gaussian"), exact, rtol=1e-10, atol=0)


@pytest.mark.parametrize("separation", SEPARATIONS)
@pytest.mark.parametrize("k", [1, 4])
def test_neighbors_in_far_clusters(separation, k):
    x = clusters(separation, n_units=40)
    exact = naive(x, x, "gaussian").fill_diagonal_(torch.inf).sort(1).values[:, k - 1].sqrt()
    torch.testing.assert_close(kth_by_products(x, k), exact, rtol=1e-12, atol=0)


def test_neighbors_over_several_tiles(monkeypatch):
    monkeypatch.setattr("cofire.stats._base.distances.TILE_ELEMENTS", 700)
    x = clusters(1e8, n_units=40)
    exact = naive(x, x, "gaussian").fill_diagonal_(torch.inf).sort(1).values[:, 1].sqrt()
    torch.testing.assert_close(kth_by_products(x, 2), exact, rtol=1e-12, atol=0)
