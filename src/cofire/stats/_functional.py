"""Whether one unit is a function of the other, so that their information is infinite; compiled."""

import math

import numpy as np
from numba import njit

from ._strips import INNER

FEW = 20  # fewer samples than that can be in the same order by chance
ON_A_LINE = 1e-11  # 1 − r² that rounding to float32 leaves
UNTIED_SHARE = 0.05


@njit(**INNER)
def order_information(units, i, j, by_x, n_both):
    """Information of two units whose samples stand in the same or in reversed order; NaN if they do not.

    It is infinite, unless next to all samples are tied: then the levels are atoms, and it is their entropy.

    Args:
        units: prepared units.
        i: the first.
        j: the second.
        by_x: the samples to look at, by ascending value of the first.
        n_both: how many.
    """
    if n_both < FEW:
        return np.inf if _on_one_line(units.value[i], units.value[j], by_x[:n_both]) else np.nan
    if _same_order(units.value[i], units.value[j], 1, by_x, n_both) or _same_order(
        units.value[i], units.value[j], -1, by_x, n_both
    ):
        return _information_of_levels(units.value[i], by_x, n_both)
    return np.nan


@njit(**INNER)
def _same_order(x, y, direction, by_x, n_both):
    for rank in range(1, n_both):
        before, sample = by_x[rank - 1], by_x[rank]
        # ties may stand in any order in by_x, so they must be ties in both
        if (x[sample] > x[before]) != (direction * (y[sample] - y[before]) > 0):
            return False
        if (x[sample] == x[before]) != (y[sample] == y[before]):
            return False
    return True


@njit(**INNER)
def _information_of_levels(x, by_x, n_both):
    total, run, n_untied, n_levels = 0.0, 0, 0, 0
    for rank in range(n_both):
        run += 1
        if rank == n_both - 1 or x[by_x[rank + 1]] > x[by_x[rank]]:
            total += run * math.log(run)
            n_untied += run == 1
            n_levels += 1
            run = 0
    if n_untied > UNTIED_SHARE * n_both:
        return np.inf
    return math.log(n_both) - total / n_both + (n_levels - 1) / (2 * n_both)


@njit(**INNER)
def _on_one_line(x, y, samples):
    if samples.size < 4:
        return False
    n, sums = 0, (0.0, 0.0, 0.0, 0.0, 0.0)
    for sample in samples:
        n, sums = _add(n, sums, x[sample] - x[samples[0]], y[sample] - y[samples[0]])
    return _is_line(n, sums, ON_A_LINE)


@njit(**INNER)
def share_on_lines(units, i, j, strips, room, n_both):
    """Share of the samples that lie on a straight line with their neighbors, as those on a smooth curve do."""
    tolerance = max(1e-6, 0.02 / n_both)
    n_lines = 0
    for strip in range(strips.begin.size):
        for slot in range(strips.begin[strip], strips.end[strip]):
            n_lines += _neighbors_on_line(units, i, j, room, n_both, room.sample[slot], room.distance[slot], tolerance)
    return n_lines / n_both


@njit(**INNER)
def _neighbors_on_line(units, i, j, room, n_both, center, radius, tolerance):
    n, sums = 0, (0.0, 0.0, 0.0, 0.0, 0.0)
    for direction in (1, -1):
        rank = room.rank_of[center] + (direction < 0) * direction
        while 0 <= rank < n_both and abs(room.sorted_x[rank] - units.score[i, center]) <= radius:
            other = room.by_x[rank]
            if abs(units.score[j, other] - units.score[j, center]) <= radius:
                x = units.value[i, other] - units.value[i, center]
                n, sums = _add(n, sums, x, units.value[j, other] - units.value[j, center])
            rank += direction
    return _is_line(n, sums, tolerance)


@njit(**INNER)
def _add(n, sums, x, y):
    a, b = np.float64(x), np.float64(y)
    return n + 1, (sums[0] + a, sums[1] + b, sums[2] + a * a, sums[3] + b * b, sums[4] + a * b)


@njit(**INNER)
def _is_line(n, sums, tolerance):
    """1 − r² < tolerance; points that do not vary in one of the coordinates are no line."""
    x, y, xx, yy, xy = sums
    spread = (xx - x * x / n) * (yy - y * y / n)
    return spread - (xy - x * y / n) ** 2 < tolerance * spread
