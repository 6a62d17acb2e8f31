"""Compiled measures of many pairs of continuous units, from the nearest neighbors in each pair."""

import math

import numpy as np
from numba import njit

from .arrangement import arrange_by_x, arrange_by_y, continuous_in_both
from .marginal_counts import sum_of_digammas
from .nearest import count
from .strip_layout import COMPILE, INNER
from .strips import kth_distances


@njit(**COMPILE)
def joint_log_distances(units, pairs, neighbors, room, out):
    """Compute the mean log distance to the k-th neighbor in each pair of units without atoms.

    Args:
        units: of label 0 throughout.
        pairs: their numbers, shape (n_pairs, 2); a first unit is arranged once for adjacent pairs.
        neighbors: their number, see :mod:`.nearest`.
        room: scratch space.
        out: shape (n_pairs,).
    """
    arranged, strips = pairs[0, 0], arrange_by_x(units.score[pairs[0, 0]], units.order[pairs[0, 0]], room)
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        if i != arranged:
            arranged, strips = i, arrange_by_x(units.score[i], units.order[i], room)
        arrange_by_y(units.score[i], units.score[j], units.order[j], room, strips)
        kth_distances(strips, neighbors, room.search, room.distance)
        out[pair] = _sum_of_logs(strips, room.distance) / units.score.shape[1]


@njit(**INNER)
def _sum_of_logs(strips, distance):
    total = 0.0
    for strip in range(strips.begin.size):
        stop = strips.end[strip]
        by_four = strips.begin[strip] + (stop - strips.begin[strip]) // 4 * 4
        for slot in range(strips.begin[strip], by_four, 4):
            # one logarithm for four distances: a float64 holds the product of four float32, subnormal ones included
            total += math.log(
                np.float64(distance[slot])
                * np.float64(distance[slot + 1])
                * np.float64(distance[slot + 2])
                * np.float64(distance[slot + 3])
            )
        for slot in range(by_four, stop):
            total += math.log(np.float64(distance[slot]))
    return total


@njit(**COMPILE)
def number_information(units, pairs, neighbors, digamma, room, out):
    """Compute I(X;Y | both continuous) of each pair by Kraskov's first estimator, 0 with no more than k samples.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        neighbors: their number, see :mod:`.nearest`.
        digamma: ψ of 0 … n_samples, ψ(1) standing for ψ(0).
        room: scratch space.
        out: shape (n_pairs,).
    """
    k = count(neighbors)
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        by_x = room.by_x[: continuous_in_both(units, i, j, room.by_x)]
        by_y = room.by_y[: continuous_in_both(units, j, i, room.by_y)]
        out[pair] = 0.0
        if by_x.size > k:
            x, y = units.score[i], units.score[j]
            strips = arrange_by_x(x, by_x, room)
            arrange_by_y(x, y, by_y, room, strips)
            kth_distances(strips, neighbors, room.search, room.distance)
            near = _sum_over_strips(x, by_x, room.sorted_x, strips.x, strips, digamma, room)
            near += _sum_over_strips(y, by_y, room.sorted_y, strips.y, strips, digamma, room)
            out[pair] = digamma[k] + digamma[by_x.size] - near / by_x.size


@njit(**INNER)
def _sum_over_strips(values, ascending, out, centers, strips, digamma, room):
    """Return the sum over samples of ψ(how many are nearer than the k-th neighbor in one coordinate)."""
    for rank in range(ascending.size):
        out[rank] = values[ascending[rank]]
    total = 0.0
    for strip in range(strips.begin.size):
        begin, end = strips.begin[strip], strips.end[strip]
        total += sum_of_digammas(out, ascending.size, centers, room.distance, begin, end, digamma, room.counts)
    return total
