"""Distance from each sample to its k-th nearest other sample, under the max-norm."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ._arrays import Array, as_tensor

TILE_ELEMENTS = 1 << 22
WORTH_THREADS = 1 << 25


def kth_neighbor_distance(x: Array, k: int) -> Tensor:
    r"""Distance from each sample to its k-th nearest neighbor, itself excluded.

    .. math:: \epsilon_i = \text{the } k\text{-th smallest of } \max_a |x_{ia} - x_{ja}| \text{ over } j \ne i

    Equal samples are neighbors at distance 0. On the CPU a compiled search visits a strip of neighbors only;
    elsewhere all pairs are compared, tile by tile.

    Args:
        x: samples, shape (n_samples,) or (n_samples, n_units), any real type.
        k: which neighbor, from 1 to n_samples - 1.

    Returns:
        Distances, float64, shape (n_samples,), in the order and on the device of the samples.

    Raises:
        ValueError: if there are not more than k samples, or one is not finite.

    Example:
        >>> import torch
        >>> kth_neighbor_distance(torch.tensor([0.0, 1.0, 3.0, 7.0]), 2)
        tensor([3., 2., 3., 6.], dtype=torch.float64)
    """
    points = check_points(x, k).double()
    return _by_strips(points, k) if points.device.type == "cpu" else _by_tiles(points, k)


def count_nearer(points: Tensor, radius: Tensor) -> Tensor:
    """How many samples, itself included, are nearer to each sample than its radius under the max-norm.

    Args:
        points: float64, shape (n_samples, n_units).
        radius: float64, shape (n_samples,).

    Returns:
        Counts, int64, shape (n_samples,); 0 where the radius is 0.
    """
    if points.shape[1] == 1:
        return _count_on_line(points[:, 0], radius)
    columns = points.T.contiguous()
    tile = max(1, TILE_ELEMENTS // len(points))
    starts = range(0, len(points), tile)
    near = [(_tile_distances(columns, start, tile) < radius[start : start + tile, None]).sum(1) for start in starts]
    return torch.cat(near)


def _count_on_line(values: Tensor, radius: Tensor) -> Tensor:
    """Two bisections a sample; they compare differences, as the radius is one: sums would be rounded otherwise."""
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
    """``x`` as finite samples (n_samples, n_units), more than ``k`` of them."""
    points = as_tensor(x, name)
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(f"{name} must have shape (n_samples,) or (n_samples, n_units), got {tuple(points.shape)}")
    if not 1 <= k < len(points):
        raise ValueError(
            f"n_neighbors must be at least 1 and less than the number of samples, "
            f"got {k} with {len(points)} samples; take more samples or fewer neighbors"
        )
    if points.is_floating_point() and not bool(torch.isfinite(points).all()):
        raise ValueError(f"{name} holds NaN or infinite values; leave those samples out first")
    return points


def _by_strips(points: Tensor, k: int) -> Tensor:
    from ._strips import empty_strips, kth_distances, strip_size

    values = points.numpy()
    n_samples, n_axes = values.shape
    size = strip_size(n_samples, n_axes, values.itemsize)
    strips = empty_strips(n_samples, size, np.float64)
    widest = np.argsort(-values.std(0), kind="stable")
    columns = values.T[widest]
    if n_axes == 1:
        columns = np.concatenate([np.zeros_like(columns), columns])

    by_first = np.argsort(columns[0], kind="stable")
    strip = np.empty(n_samples, np.intp)
    strip[by_first] = np.arange(n_samples) // size
    slots = np.concatenate([np.arange(*ends) for ends in zip(strips.begin, strips.end, strict=True)])
    arranged = np.lexsort((columns[1], strip))
    strips.x[slots], strips.y[slots] = columns[0, arranged], columns[1, arranged]
    strips.first[:] = columns[0, by_first[::size]]
    strips.last[:-1], strips.last[-1] = (
        columns[0, by_first[size - 1 : -1 : size]][: len(strips.last) - 1],
        columns[0, by_first[-1]],
    )
    rest = None
    if n_axes > 2:
        spacious = np.zeros((n_axes - 2, strips.x.size))
        spacious[:, slots] = columns[2:, arranged]
        rest = spacious.ravel()

    out = np.empty_like(strips.x)
    n_threads = torch.get_num_threads() if n_samples**2 * n_axes > WORTH_THREADS else 1
    bounds = np.linspace(0, len(strips.begin), n_threads + 1).astype(int)
    with ThreadPoolExecutor(n_threads) as threads:
        done = [
            threads.submit(kth_distances, strips, rest, (np.inf,) * k, int(a), int(b), out) for a, b in pairwise(bounds)
        ]
        for part in done:
            part.result()
    distances = np.empty(n_samples)
    distances[arranged] = out[slots]
    return torch.from_numpy(distances)


def _by_tiles(points: Tensor, k: int) -> Tensor:
    columns = points.T.contiguous()
    tile = max(1, TILE_ELEMENTS // len(points))
    starts = range(0, len(points), tile)
    # the sample itself comes first, at distance 0
    return torch.cat([_tile_distances(columns, start, tile).kthvalue(k + 1, dim=1).values for start in starts])


def _tile_distances(columns: Tensor, start: int, tile: int) -> Tensor:
    n_rows = min(tile, columns.shape[1] - start)
    farthest = columns.new_zeros(n_rows, columns.shape[1])
    for column in columns:
        torch.maximum(farthest, (column[start : start + n_rows, None] - column).abs_(), out=farthest)
    return farthest
