import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from cofire.stats.information.engine.pair_search import three_entropies_of_pairs
from cofire.stats.information.engine.unit_scores import standardized_units

PAIRS = np.array([(0, 1), (2, 1), (0, 3), (3, 2)])


def log_distances(points, k):
    points = points.astype(np.float32)
    distances = cKDTree(points).query(points, k=k + 1, p=np.inf)[0][:, k]
    return np.log(distances.astype(np.float32).astype(np.float64)).mean()


def entropies(units, i, j, k):
    psi = torch.digamma(torch.tensor([units.shape[1], k], dtype=torch.float64))
    alone = log_distances(units[i][:, None], k) + log_distances(units[j][:, None], k)
    return (psi[0] - psi[1]).item() + alone - 2 * log_distances(units[[i, j]].T, k)


@pytest.mark.parametrize("kind", ["normal", "heavy", "lumps"])
@pytest.mark.parametrize("n", [5, 16, 17, 31, 33, 64, 65, 97, 100, 113, 250, 1000, 1009, 3000])
def test_every_length_of_the_last_strip_against_the_tree_of_scipy(n, kind):
    """The sweeps read past the ends of strips: whatever stands there must never count."""
    rng = np.random.default_rng(n)
    x = {"normal": rng.normal, "heavy": rng.standard_cauchy, "lumps": rng.normal}[kind](size=(4, n))
    if kind == "lumps":
        x[1:3] += 50 * rng.integers(0, 3, size=(2, n))
    units = standardized_units(x)
    measured = three_entropies_of_pairs(units, PAIRS, 3)
    expected = [entropies(units.score, i, j, 3) for i, j in PAIRS]
    np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-9)
