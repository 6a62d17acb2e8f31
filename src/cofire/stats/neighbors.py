"""Distance from each sample to its k-th nearest other sample."""

import torch
from torch import Tensor

from ._arrays import Array, as_tensor

TILE_ELEMENTS = 1 << 22


def kth_neighbor_distance(x: Array, k: int, *, norm: str = "max") -> Tensor:
    """Distance from each sample to its k-th nearest neighbor, itself excluded."""
    points = check_points(x, k)
    columns = points.double().T.contiguous()
    n_samples = len(points)
    tile = max(1, TILE_ELEMENTS // n_samples)
    nearest = [
        _distances(columns, start, tile, norm).kthvalue(k + 1, dim=1).values
        for start in range(0, n_samples, tile)
    ]
    distance = torch.cat(nearest)
    return distance if norm == "max" else distance.sqrt()


def _distances(columns: Tensor, start: int, tile: int, norm: str) -> Tensor:
    rows = min(tile, columns.shape[1] - start)
    total = columns.new_zeros(rows, columns.shape[1])
    for column in columns:
        gap = (column[start : start + rows, None] - column).abs_()
        total = torch.maximum(total, gap) if norm == "max" else total.addcmul_(gap, gap)
    return total


def check_points(x: Array, k: int, name: str = "x") -> Tensor:
    """``x`` as finite samples (n_samples, n_units) with more than ``k`` rows."""
    points = as_tensor(x, name)
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(
            f"{name} must have shape (n_samples,) or (n_samples, n_units), got {tuple(points.shape)}"
        )
    if not 1 <= k < len(points):
        raise ValueError(f"n_neighbors must be from 1 to n_samples - 1 = {len(points) - 1}, got {k}")
    if points.is_floating_point() and not torch.isfinite(points).all():
        raise ValueError(f"{name} holds NaN or infinite values; drop those samples first")
    return points
