"""Distances from each sample to its k-th nearest other sample, and counts of nearer samples."""

from math import inf

import torch
from torch import Tensor

from .._base.argument_checks import check_count
from .._base.arrays import Array, as_points
from .._base.distances import kth_by_products, rows_at_a_time
from .._base.nan_policy import check_finite
from .._base.wording import plural

TREE_UNITS = 32  # beyond, comparing all pairs by matrix products is faster


def kth_neighbor_distance(x: Array, k: int) -> Tensor:
    r"""Compute the distance from each sample to its k-th nearest neighbor, under the max-norm.

    .. math:: \epsilon_i = \text{the } k\text{-th smallest of } \max_a |x_{ia} - x_{ja}| \text{ over } j \ne i

    Equal samples are neighbors at distance 0. On the CPU, the search of a k-d tree visits near samples only; on other
    devices, all pairs are compared, tile by tile.

    Args:
        x: samples, shape (n_samples,) or (n_samples, n_units), any real type.
        k: which neighbor, from 1 to n_samples − 1.

    Returns:
        Distances, float64, shape (n_samples,), in the order and on the device of the samples.

    Raises:
        ValueError: if there are no more than k samples, or a value is not finite.

    Example:
        >>> import torch
        >>> kth_neighbor_distance(torch.tensor([0.0, 1.0, 3.0, 7.0]), 2)
        tensor([3., 2., 3., 6.], dtype=torch.float64)
    """
    points = check_points(x, k).double()
    if points.shape[1] == 1:
        ordered = points.sort(dim=0)
        return torch.empty_like(points).scatter_(0, ordered.indices, kth_distance_on_lines(ordered.values, k))[:, 0]
    return _by_tree(points, k) if points.device.type == "cpu" else _by_tiles(points, k)


def kth_euclidean_distance(points: Tensor, k: int) -> Tensor:
    """Return the same under the Euclidean norm, for float64 samples, shape (n_samples, n_units)."""
    if points.device.type == "cpu" and points.shape[1] <= TREE_UNITS:
        return _by_tree(points, k, euclidean=True)
    return kth_by_products(points, k)


def kth_distance_on_lines(ordered: Tensor, k: int) -> Tensor:
    """Return the distance of each value of sorted columns to its k-th nearest in the column, of the same shape.

    A value and its k nearest stand in a row: `below` of them precede it, the others follow.
    """
    n_samples = len(ordered)
    edge = ordered.new_full((k, ordered.shape[1]), inf)
    padded = torch.cat([-edge, ordered, edge])
    nearest = torch.full_like(ordered, inf)
    for below in range(k + 1):
        lower = ordered - padded[k - below : k - below + n_samples]
        upper = padded[2 * k - below : 2 * k - below + n_samples] - ordered
        nearest = torch.minimum(nearest, torch.maximum(lower, upper))
    return nearest


def count_nearer(points: Tensor, radius: Tensor) -> Tensor:
    """Count the samples, each itself included, that are nearer to each sample than its radius, under the max-norm.

    Args:
        points: float64, shape (n_samples, n_units).
        radius: float64, shape (n_samples,).

    Returns:
        Counts, int64, shape (n_samples,); 0 where the radius is 0.
    """
    if points.shape[1] == 1:
        return _count_on_line(points[:, 0], radius)
    tile = rows_at_a_time(points)
    tiles = zip(points.split(tile), radius.split(tile), strict=True)
    return torch.cat([(_farthest_unit(some, points) < within[:, None]).sum(1) for some, within in tiles])


def _count_on_line(values: Tensor, radius: Tensor) -> Tensor:
    """Count by two bisections for each sample.

    They compare differences of values, not values with ``value ± radius``: the radius is a rounded difference, and sums
    round differently, so that the neighbor that sets the radius would sometimes count.
    """
    ascending = values.sort().values
    before = torch.zeros(len(values), dtype=torch.int64, device=values.device)
    until = before
    length = len(values)
    while length > 0:
        half = (length + 1) // 2
        before = before + half * (values - ascending[before + half - 1] >= radius)
        until = until + half * (ascending[until + half - 1] - values < radius)
        length -= half
    return until - before


def check_points(x: Array, k: int, name: str = "x") -> Tensor:
    """Return ``x`` as finite samples, shape (n_samples, n_units), more than ``k`` of them."""
    return check_neighbors(check_finite(as_points(x, name), name), k)


def check_neighbors(points: Tensor, k: int) -> Tensor:
    """Return samples, shape (n_samples, n_units), if there are more than ``k`` of them."""
    if check_count(k, "n_neighbors") >= len(points):
        raise ValueError(
            f"n_neighbors must be a whole number of at least 1 and less than the number of samples, got {k} with "
            f"{plural(len(points), 'sample')}; take more samples or fewer neighbors"
        )
    return points


def _by_tree(points: Tensor, k: int, euclidean: bool = False) -> Tensor:
    from .engine.kd_tree import MOST_NEIGHBORS, kth_distances

    if k <= MOST_NEIGHBORS:
        return torch.from_numpy(kth_distances(points.T.contiguous().numpy(), k, euclidean))
    from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

    # slower than our tree, but it is compiled for every k
    tree = cKDTree(points.numpy())
    norm = 2.0 if euclidean else inf
    found = tree.query(points.numpy(), k=[k + 1], p=norm, workers=torch.get_num_threads())[0]
    return torch.from_numpy(found[:, 0])


def _by_tiles(points: Tensor, k: int) -> Tensor:
    # k + 1, as the sample itself is among them at distance 0
    near = (
        _farthest_unit(some, points).topk(k + 1, dim=1, largest=False, sorted=False).values
        for some in points.split(rows_at_a_time(points))
    )
    return torch.cat([distances.amax(dim=1) for distances in near])


def _farthest_unit(a: Tensor, b: Tensor) -> Tensor:
    """Return distances under the max-norm, shape (len(a), len(b)), unit by unit so that no third axis is stored."""
    farthest = a.new_zeros(len(a), len(b))
    for one, other in zip(a.T, b.T, strict=True):
        torch.maximum(farthest, (one[:, None] - other).abs_(), out=farthest)
    return farthest
