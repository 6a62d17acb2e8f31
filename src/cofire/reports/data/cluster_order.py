"""The order of units that puts like beside like."""

import numpy as np
from numpy.typing import NDArray


def cluster_order(correlation: NDArray[np.float64]) -> NDArray[np.intp]:
    """Units so ordered that like stands beside like: average linkage on 1 − |ρ|, undefined units last."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    alive = _defined(correlation)
    dead = np.setdiff1d(np.arange(len(correlation)), alive)
    if len(alive) < 3:
        return np.concatenate([alive, dead])
    likeness = np.nan_to_num(np.abs(correlation[np.ix_(alive, alive)]))
    distance = np.clip(1 - (likeness + likeness.T) / 2, 0, 1)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return np.concatenate([alive[leaves_list(tree)], dead])


def _defined(matrix: NDArray[np.float64]) -> NDArray[np.intp]:
    """The units that have a value with some other unit."""
    others = np.isfinite(matrix) & ~np.eye(len(matrix), dtype=bool)
    return np.flatnonzero(others.any(axis=1))
