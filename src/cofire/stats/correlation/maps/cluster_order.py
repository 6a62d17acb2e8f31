"""An order of units that places correlated units side by side."""

import numpy as np
from numpy.typing import NDArray


def cluster_order(correlation: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order units so that similar ones are neighbors: average linkage on 1 − |ρ|, undefined units last.

    Args:
        correlation: the matrix of correlations, (n_units, n_units); NaN where undefined.

    Returns:
        The indices of the units, (n_units,).
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    others = np.isfinite(correlation) & ~np.eye(len(correlation), dtype=bool)
    alive = np.flatnonzero(others.any(axis=1))
    dead = np.setdiff1d(np.arange(len(correlation)), alive)
    if len(alive) < 3:  # scipy cannot link fewer, and they have one order only
        return np.concatenate([alive, dead])
    likeness = np.nan_to_num(np.abs(correlation[np.ix_(alive, alive)]))
    # Stored as float16, the matrix is not quite symmetric and may exceed 1; squareform wants an exact distance.
    distance = np.clip(1 - (likeness + likeness.T) / 2, 0, 1)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return np.concatenate([alive[leaves_list(tree)], dead])
