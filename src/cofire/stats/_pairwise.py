"""The compiled measures of many pairs of units: nearest neighbors of each pair, and information from them.

A pair's samples where both units are continuous are arranged for :mod:`._strips` from orders that were found once a
unit. Atoms are labels; with A and B the labels and X, Y the units, the chain rule gives

    I(X;Y) = I(A;B) + I(A;Y|B) + I(X;B|A) + I(X;Y|A,B),

a table of counts, two classes-by-a-number terms (Ross 2014) and one for two numbers (Kraskov et al. 2004).
"""

import math

import numpy as np
from numba import njit

from ._arrangement import arrange_by_x, arrange_by_y
from ._counts import sum_of_digammas
from ._functional import order_information, share_on_lines
from ._strips import COMPILE, INNER, kth_distances

SINGULAR_SHARE = 0.05


@njit(**COMPILE)
def joint_log_distances(units, pairs, infinities, room, out):
    """Mean log distance to the k-th neighbor of each pair of units without atoms; −∞ if one is a function of the other.

    Args:
        units: of label 0 throughout.
        pairs: their numbers, shape (n_pairs, 2).
        infinities: k infinities, float32, a tuple.
        room: scratch space.
        out: shape (n_pairs,).
    """
    n_samples = units.score.shape[1]
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        strips = arrange_by_x(units, i, j, n_samples, room)
        if math.isnan(order_information(units, i, j, room.by_x, n_samples)):
            arrange_by_y(units, i, j, room, strips)
            kth_distances(strips, infinities, 0, strips.begin.size, room.distance)
            out[pair] = _sum_of_logs(strips, room.distance) / n_samples
        else:
            out[pair] = -np.inf


@njit(**COMPILE)
def pair_information(units, pairs, infinities, digamma, suspicious, room, out):
    """Information of each pair of units.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        infinities: k infinities, float32, a tuple.
        digamma: ψ of 0 … n_samples, ψ(1) standing for ψ(0).
        suspicious: from how much on to look whether one unit is, in part, a function of the other.
        room: scratch space.
        out: shape (n_pairs,).
    """
    n_samples = units.score.shape[1]
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        table = room.table[: units.n_labels[i], : units.n_labels[j]]
        _fill_table(units, i, j, table)
        total = _of_labels(table, n_samples)
        total += _of_classes(units, i, j, table, room, infinities, digamma) / n_samples
        total += _of_classes(units, j, i, table.T, room, infinities, digamma) / n_samples
        share = table[0, 0] / n_samples
        if share > 0:
            total += share * _of_numbers(units, i, j, table[0, 0], room, infinities, digamma, suspicious)
        out[pair] = total


@njit(**COMPILE)
def unit_log_distances(units, k, ascending, out):
    """Mean log distance of each unit's samples to their k-th neighbors; for units without atoms."""
    n_samples = units.score.shape[1]
    for unit in range(len(out)):
        for rank in range(n_samples):
            ascending[rank] = units.score[unit, units.order[unit, rank]]
        total = 0.0
        for at in range(n_samples):
            total += math.log(_kth_on_line(ascending, 0, n_samples, at, k))
        out[unit] = total / n_samples


@njit(**INNER)
def _sum_of_logs(strips, distance):
    total = 0.0
    for strip in range(strips.begin.size):
        stop = strips.end[strip]
        by_four = strips.begin[strip] + (stop - strips.begin[strip]) // 4 * 4
        for slot in range(strips.begin[strip], by_four, 4):
            # a float64 holds the product of four float32, denormal ones included
            total += math.log(
                np.float64(distance[slot])
                * np.float64(distance[slot + 1])
                * np.float64(distance[slot + 2])
                * np.float64(distance[slot + 3])
            )
        for slot in range(by_four, stop):
            total += math.log(np.float64(distance[slot]))
    return total


@njit(**INNER)
def _of_numbers(units, i, j, n_both, room, infinities, digamma, suspicious):
    """Kraskov's first estimator where both units are continuous; nothing can be said of no more than k samples."""
    k = len(infinities)
    strips = arrange_by_x(units, i, j, n_both, room)
    known = order_information(units, i, j, room.by_x, n_both)
    if not math.isnan(known):
        return known
    if n_both <= k:
        return 0.0
    arrange_by_y(units, i, j, room, strips)
    kth_distances(strips, infinities, 0, strips.begin.size, room.distance)
    total = 0.0
    for strip in range(strips.begin.size):
        begin, end = strips.begin[strip], strips.end[strip]
        total += sum_of_digammas(room.sorted_x, n_both, strips.x, room.distance, begin, end, digamma, room.counts)
        total += sum_of_digammas(room.sorted_y, n_both, strips.y, room.distance, begin, end, digamma, room.counts)
    information = digamma[k] + digamma[n_both] - total / n_both
    looks_singular = information > suspicious and k > 1 and units.smooth[i] and units.smooth[j]
    if looks_singular and share_on_lines(units, i, j, strips, room, n_both) > SINGULAR_SHARE:
        return np.inf
    return information


@njit(**INNER)
def _of_classes(units, i, j, table, room, infinities, digamma):
    """By Ross, n I(labels of i; unit j | j continuous); a class of one sample tells nothing and is left out."""
    n_classes, n_values = 0, 0
    for label in range(table.shape[0]):
        room.start[label] = n_values
        if table[label, 0] > 1:
            n_classes += 1
            n_values += table[label, 0]
    if n_classes < 2:
        return 0.0
    _sort_by_class(units, i, j, table, room)
    total = n_values * digamma[n_values]
    for label in range(table.shape[0]):
        size = table[label, 0]
        if size > 1:
            k = min(len(infinities), size - 1)
            begin = room.start[label] - size
            for at in range(begin, begin + size):
                room.distance[at] = _kth_on_line(room.x, begin, begin + size, at, k)
            total += size * (digamma[k] - digamma[size])
    total -= sum_of_digammas(room.sorted_y, n_values, room.x, room.distance, 0, n_values, digamma, room.counts)
    return total


@njit(**INNER)
def _sort_by_class(units, i, j, table, room):
    """Values of j where it is continuous, ascending: all in ``sorted_y``, class after class in ``x``."""
    rank = 0
    for place in range(units.n_continuous[j]):
        sample = units.order[j, place]
        label = units.label[i, sample]
        if table[label, 0] > 1:
            value = units.score[j, sample]
            room.sorted_y[rank] = value
            rank += 1
            room.x[room.start[label]] = value
            room.start[label] += 1


@njit(**INNER)
def _kth_on_line(ascending, begin, end, at, k):
    """Distance of one of the values in ``begin … end`` to its k-th other: k + 1 in a row hold both."""
    nearest = np.inf
    for low in range(max(begin, at - k), min(at, end - 1 - k) + 1):
        nearest = min(nearest, max(ascending[at] - ascending[low], ascending[low + k] - ascending[at]))
    return nearest


@njit(**INNER)
def _fill_table(units, i, j, table):
    for row in range(table.shape[0]):
        for column in range(table.shape[1]):
            table[row, column] = 0
    if table.size == 1:
        table[0, 0] = units.n_continuous[i]
        return
    for sample in range(units.label.shape[1]):
        table[units.label[i, sample], units.label[j, sample]] += 1


@njit(**INNER)
def _of_labels(table, n_samples):
    """Information of two labels from their counts, corrected by Miller and Madow."""
    if table.size == 1:
        return 0.0
    total, n_degrees = n_samples * math.log(n_samples), -1
    for row in range(table.shape[0]):
        in_row = 0
        for column in range(table.shape[1]):
            in_row += table[row, column]
            total += _x_log_x(table[row, column])
            n_degrees -= table[row, column] > 0
        total -= _x_log_x(in_row)
        n_degrees += in_row > 0
    for column in range(table.shape[1]):
        in_column = 0
        for row in range(table.shape[0]):
            in_column += table[row, column]
        total -= _x_log_x(in_column)
        n_degrees += in_column > 0
    return (total + n_degrees / 2) / n_samples


@njit(**INNER)
def _x_log_x(count):
    return count * math.log(count) if count > 0 else 0.0
