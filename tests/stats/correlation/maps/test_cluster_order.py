from math import nan

import numpy as np
import pytest

from cofire.stats.correlation.maps.cluster_order import cluster_order


def test_clustering_puts_shuffled_blocks_together_again() -> None:
    group = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], 10))
    correlation = np.where(group[:, None] == group, 0.8, 0.05)
    np.fill_diagonal(correlation, 1)
    ordered = group[cluster_order(correlation)]
    assert (np.diff(ordered) != 0).sum() == 2


@pytest.mark.parametrize("n_defined", [0, 2, 5])
def test_undefined_units_come_last(n_defined: int) -> None:
    correlation = np.full((6, 6), nan)
    correlation[:n_defined, :n_defined] = 0.5
    np.fill_diagonal(correlation, 1)
    order = cluster_order(correlation)
    assert sorted(order) == list(range(6)) and sorted(order[:n_defined]) == list(range(n_defined))
