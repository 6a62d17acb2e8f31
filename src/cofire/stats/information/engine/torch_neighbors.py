"""Nearest neighbors under the max-norm in many pairs of units at once, in operations on tensors.

Every sample is compared with those that stand near it in the order of the first unit, some √(k n) on either side; only
where the last of these is nearer in that unit alone than the k-th neighbor found in both can others be nearer. Such
samples, a few in a hundred, are compared with all.
"""

from math import ceil, inf, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

TILE_ELEMENTS = 1 << 26
REACH = 1.25  # farther, more comparisons; nearer, more samples that are compared with all


class Near(NamedTuple):
    """The nearest neighbors of each sample, ascending, float32 and int64, shape (n_pairs, n_neighbors, width)."""

    distance: Tensor
    place: Tensor


def nearest(x: Tensor, y: Tensor, k: int, n_spare: int = 0) -> Near:
    """The k nearest others of each sample; where there are fewer, the distance is infinite and the place anything.

    Args:
        x: the first units, float32, shape (n_pairs, width), each row ascending and then padded with ∞.
        y: the second, the padding finite.
        k: how many.
        n_spare: how many more, which are right where they are as near as the k-th, and else only farther than it.
    """
    n_pairs, width = x.shape
    reach = min(max(width - 1, 1), ceil(REACH * sqrt(k * width)))
    beyond = x.new_full((n_pairs, reach), inf)
    padded = torch.stack(
        [torch.cat([-beyond, x, beyond], dim=1), torch.nn.functional.pad(y, (reach, reach))]
    )  # (2, n_pairs, reach + width + reach)
    near = _in_windows(padded, reach, k + n_spare)
    unseen = torch.minimum(x - padded[0, :, :width], padded[0, :, 2 * reach :] - x)  # no nearer are those beyond reach
    others = x.isfinite() & unseen.isfinite() & (unseen <= near.distance[:, k - 1])
    _among_all(torch.stack([x, y]), others.nonzero(), near)
    return near


def _in_windows(padded: Tensor, reach: int, k: int) -> Near:
    """Among those up to ``reach`` places away; the padding's own neighbors mean nothing."""
    width = padded.shape[2] - 2 * reach
    n_rows = max(1, min(width, TILE_ELEMENTS // (6 * reach)))
    n_pairs = max(1, TILE_ELEMENTS // (6 * reach * n_rows))
    pairs = [_row_by_row(some, reach, k, n_rows) for some in padded.split(n_pairs, dim=1)]
    return Near(*(torch.cat(parts) for parts in zip(*pairs, strict=True)))


def _row_by_row(padded: Tensor, reach: int, k: int, n_rows: int) -> Near:
    width = padded.shape[2] - 2 * reach
    parts: list[Near] = []
    for start in range(0, width, n_rows):
        rows = padded[:, :, start : start + min(n_rows, width - start) + 2 * reach]
        windows = rows.unfold(2, rows.shape[2] - 2 * reach, 1)  # (2, n_pairs, 2 reach + 1, n_rows)
        distance = torch.linalg.vector_norm(windows - windows[:, :, reach, None], inf, dim=0)
        distance[:, reach] = inf
        near = _smallest(distance, k)
        own = torch.arange(start, start + near.place.shape[2], device=padded.device)
        parts.append(Near(near.distance, near.place + (own - reach)))
    return Near(*(torch.cat(fields, dim=2) for fields in zip(*parts, strict=True)))


def _among_all(points: Tensor, samples: Tensor, near: Near) -> None:
    """Search for the neighbors of some samples, (pair, place) each, among all; what is found replaces what was."""
    k, width = near.distance.shape[1:]
    for some in samples.split(max(1, TILE_ELEMENTS // (4 * width))):
        pair, place = some.T
        candidates = points[:, pair]  # (2, n_some, width)
        distance = torch.linalg.vector_norm(candidates - points[:, pair, place, None], inf, dim=0)
        distance.scatter_(1, place[:, None], inf)
        found = _smallest(distance[:, :, None], k)
        near.distance[pair, :, place], near.place[pair, :, place] = found.distance[:, :, 0], found.place[:, :, 0]


def _smallest(distance: Tensor, k: int) -> Near:
    """The k smallest along the second axis, in k rounds, which take far less than a sort; ``distance`` is used up."""
    rounds: list[tuple[Tensor, Tensor]] = []
    for _ in range(k):
        if rounds:
            distance.scatter_(1, rounds[-1][1], inf)
        least = distance.min(dim=1, keepdim=True)
        rounds.append((least.values, least.indices))
    return Near(*(torch.cat(fields, dim=1) for fields in zip(*rounds, strict=True)))


def count_nearer(ascending: Tensor, centers: Tensor, radius: Tensor) -> Tensor:
    """How many values are nearer to each center than its radius; rows are pairs, float32, padded with ∞.

    Distances are differences rounded to float32, and what is rounded down below the radius is nearer. So the limit is
    half-way between the radius and the number before it: in float64, which holds sums of these without an error.
    """
    before = torch.nextafter(radius, torch.full_like(radius, -inf))
    limit = (radius.double() + before.double()) / 2
    values, center = ascending.double(), centers.double()
    until = torch.searchsorted(values, center + limit)
    return until - torch.searchsorted(values, center - limit, right=True)
