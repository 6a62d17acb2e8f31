"""Checks whether one unit is a function of the other, so that their information is infinite; compiled."""

import math

import numpy as np
from numba import njit

from .arrangement import arrange_by_x, arrange_by_y, continuous_in_both
from .strip_layout import COMPILE, INNER
from .strips import kth_distances
from .thresholds import FEW_SAMPLES, LINEAR_FLOAT32, LINEAR_NEARBY, LINEAR_NEARBY_LEAST, UNTIED_SHARE

NO, SAME, TOO_FEW = 0, 1, 2


@njit(**COMPILE)
def find_orders(units, pairs, by_x, out):
    """Compare the orders of each pair's continuous samples: ``SAME`` or reversed, ``NO``, or ``TOO_FEW`` samples.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        by_x: scratch space, shape (n_samples,).
        out: shape (n_pairs,).
    """
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        n_both = continuous_in_both(units, i, j, by_x)
        out[pair] = TOO_FEW
        if n_both >= FEW_SAMPLES:
            out[pair] = SAME if _same_order(units.value[i], units.value[j], by_x, n_both) else NO


@njit(**INNER)
def _same_order(x, y, by_x, n_both):
    for direction in (1, -1):
        rank = 1
        while rank < n_both:
            x_step, y_step = x[by_x[rank]] - x[by_x[rank - 1]], y[by_x[rank]] - y[by_x[rank - 1]]
            # tied samples stand in any order in by_x, so they must be tied in both units
            if (x_step > 0) != (direction * y_step > 0) or (x_step == 0) != (y_step == 0):
                break
            rank += 1
        if rank == n_both:
            return True
    return False


@njit(**COMPILE)
def order_information(units, pairs, orders, by_x, out):
    """Compute the information of pairs whose order determines it, NaN for other pairs.

    It is infinite for units in the same order, unless almost all samples are tied: then the levels are classes, and it
    is their entropy. If there are too few samples to compare orders, it is infinite only if they lie on a line.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        orders: as found.
        by_x: scratch space, shape (n_samples,).
        out: shape (n_pairs,).
    """
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        samples = by_x[: continuous_in_both(units, i, j, by_x)]
        out[pair] = np.nan
        if orders[pair] == SAME:
            out[pair] = _information_of_levels(units.value[i], samples)
        elif orders[pair] == TOO_FEW and _share_a_line(units.value[i], units.value[j], samples, LINEAR_FLOAT32):
            out[pair] = np.inf


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
def shares_on_lines(units, pairs, neighbors, room, out):
    """Compute the share of each pair's continuous samples that lie on a line with their neighbors, as on a curve.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        neighbors: their number, see :mod:`.nearest`.
        room: scratch space.
        out: shape (n_pairs,).
    """
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        by_x = room.by_x[: continuous_in_both(units, i, j, room.by_x)]
        strips = arrange_by_x(units.score[i], by_x, room)
        by_y = room.by_y[: continuous_in_both(units, j, i, room.by_y)]
        arrange_by_y(units.score[i], units.score[j], by_y, room, strips)
        kth_distances(strips, neighbors, room.search, room.distance)
        n_lines, tolerance = 0, max(LINEAR_NEARBY_LEAST, LINEAR_NEARBY / by_x.size)
        for strip in range(strips.begin.size):
            for slot in range(strips.begin[strip], strips.end[strip]):
                room.sorted_x[room.sample[slot]] = room.distance[slot]
        for rank in range(by_x.size):
            n_near = _neighbors(units, i, j, by_x, rank, room.sorted_x[by_x[rank]], room.by_y)
            n_lines += _share_a_line(units.value[i], units.value[j], room.by_y[:n_near], tolerance)
        out[pair] = n_lines / by_x.size


@njit(**INNER)
def _neighbors(units, i, j, by_x, rank, radius, out):
    """Write the sample with this rank and all samples within its radius; return their number."""
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
    """Return whether 1 − r² < tolerance; points that do not vary in one coordinate are not a line."""
    n = samples.size
    if n < 4:
        return False
    sum_x, sum_y, sum_xx, sum_yy, sum_xy = 0.0, 0.0, 0.0, 0.0, 0.0
    for rank in range(n):
        a = np.float64(x[samples[rank]] - x[samples[0]])
        b = np.float64(y[samples[rank]] - y[samples[0]])
        sum_x += a
        sum_y += b
        sum_xx += a * a
        sum_yy += b * b
        sum_xy += a * b
    spread = (sum_xx - sum_x * sum_x / n) * (sum_yy - sum_y * sum_y / n)
    common = sum_xy - sum_x * sum_y / n
    return spread - common * common < tolerance * spread
