"""Whether one unit is a function of the other, so that their information is infinite; compiled."""

import math

import numpy as np
from numba import njit

from ._arrangement import arrange_by_x, arrange_by_y, continuous_in_both
from ._strips import COMPILE, INNER, kth_distances

FEW = 20  # fewer samples than that can be in the same order by chance
ON_A_LINE = 1e-11  # 1 − r² that rounding to float32 leaves
UNTIED_SHARE = 0.05


@njit(**COMPILE)
def order_information(units, pairs, room, out):
    """Information of each pair whose continuous samples stand in the same or in reversed order; NaN if they do not.

    It is infinite, unless next to all samples are tied: then the levels are atoms, and it is their entropy.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        room: scratch space.
        out: shape (n_pairs,).
    """
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        by_x = room.by_x[: continuous_in_both(units, i, j, room.by_x)]
        x, y = units.value[i], units.value[j]
        out[pair] = np.nan
        if by_x.size < FEW:
            if _share_a_line(x, y, by_x, ON_A_LINE):
                out[pair] = np.inf
        elif _same_order(x, y, by_x):
            out[pair] = _information_of_levels(x, by_x)


@njit(**INNER)
def _same_order(x, y, by_x):
    for direction in (1, -1):
        rank = 1
        # ties may stand in any order in by_x, so they must be ties in both
        while rank < by_x.size and _step(x, by_x, rank) == direction * _step(y, by_x, rank):
            rank += 1
        if rank == by_x.size:
            return True
    return False


@njit(**INNER)
def _step(values, samples, rank):
    before, now = values[samples[rank - 1]], values[samples[rank]]
    return (now > before) - (now < before)


@njit(**INNER)
def _information_of_levels(x, by_x):
    total, run, n_untied, n_levels = 0.0, 0, 0, 0
    for rank in range(by_x.size):
        run += 1
        if rank == by_x.size - 1 or x[by_x[rank + 1]] > x[by_x[rank]]:
            total += run * math.log(run)
            n_untied += run == 1
            n_levels += 1
            run = 0
    if n_untied > UNTIED_SHARE * by_x.size:
        return np.inf
    return math.log(by_x.size) - total / by_x.size + (n_levels - 1) / (2 * by_x.size)


@njit(**COMPILE)
def shares_on_lines(units, pairs, infinities, room, out):
    """Share of each pair's continuous samples that lie on a line with their neighbors, as those on a curve do.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        infinities: k infinities, float32, a tuple.
        room: scratch space.
        out: shape (n_pairs,).
    """
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        by_x = room.by_x[: continuous_in_both(units, i, j, room.by_x)]
        strips = arrange_by_x(units.score[i], by_x, room)
        by_y = room.by_y[: continuous_in_both(units, j, i, room.by_y)]
        arrange_by_y(units.score[i], units.score[j], by_y, room, strips)
        kth_distances(strips, infinities, room.search, room.distance)
        n_lines, tolerance = 0, max(1e-6, 0.02 / by_x.size)
        for strip in range(strips.begin.size):
            for slot in range(strips.begin[strip], strips.end[strip]):
                room.sorted_x[room.sample[slot]] = room.distance[slot]
        for rank in range(by_x.size):
            n_near = _neighbors(units, i, j, by_x, rank, room.sorted_x[by_x[rank]], room.by_y)
            n_lines += _share_a_line(units.value[i], units.value[j], room.by_y[:n_near], tolerance)
        out[pair] = n_lines / by_x.size


@njit(**INNER)
def _neighbors(units, i, j, by_x, rank, radius, out):
    """Write the sample of that rank and all within its radius; return how many they are."""
    center = by_x[rank]
    n_found = 0
    for direction in (1, -1):
        at = rank + (direction < 0) * direction
        while 0 <= at < by_x.size and abs(units.score[i, by_x[at]] - units.score[i, center]) <= radius:
            if abs(units.score[j, by_x[at]] - units.score[j, center]) <= radius:
                out[n_found] = by_x[at]
                n_found += 1
            at += direction
    return n_found


@njit(**INNER)
def _share_a_line(x, y, samples, tolerance):
    """1 − r² < tolerance; points that do not vary in one of the coordinates are no line."""
    n = samples.size
    if n < 4:
        return False
    sum_x, sum_y, sum_xx, sum_yy, sum_xy = 0.0, 0.0, 0.0, 0.0, 0.0
    for sample in samples:
        a, b = np.float64(x[sample] - x[samples[0]]), np.float64(y[sample] - y[samples[0]])
        sum_x, sum_y = sum_x + a, sum_y + b
        sum_xx, sum_yy, sum_xy = sum_xx + a * a, sum_yy + b * b, sum_xy + a * b
    spread = (sum_xx - sum_x * sum_x / n) * (sum_yy - sum_y * sum_y / n)
    return spread - (sum_xy - sum_x * sum_y / n) ** 2 < tolerance * spread
