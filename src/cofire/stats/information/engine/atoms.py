"""The information that atoms carry about each other and about continuous samples; compiled.

Atoms are labels. With A and B the labels and X, Y the units, the chain rule gives

    I(X;Y) = I(A;B) + I(A;Y|B) + I(X;B|A) + I(X;Y|A,B),

The first term comes from a table of counts, the next two from Ross's estimator for a class and a number (2014), and the
last from :mod:`.continuous_pairs`.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .marginal_counts import sum_of_digammas
from .strip_layout import COMPILE, INNER, LANES

ZERO = np.intp(0)  # numba types a literal 0 separately and would compile the functions that take it again


class LabelRoom(NamedTuple):
    """Scratch space that one thread uses for pair after pair."""

    table: Any
    start: Any
    by_class: Any
    ascending: Any
    distance: Any
    counts: Any


def empty_label_room(n_samples: int, most_labels: int) -> LabelRoom:
    """Return scratch space for units with up to this many labels, the continuous one included."""
    by_class, ascending, distance = np.zeros((3, n_samples + LANES), np.float32)
    return LabelRoom(
        np.zeros((most_labels, most_labels), np.intp),
        np.zeros(most_labels, np.intp),
        by_class,
        ascending,
        distance,
        np.zeros(2 * LANES, np.int32),
    )


@njit(**COMPILE)
def label_information(units, pairs, k, digamma, room, out, share):
    """Compute the first three terms for each pair, and the share of samples that are continuous in both units.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        k: which neighbor.
        digamma: ψ of 0 … n_samples, ψ(1) standing for ψ(0).
        room: scratch space.
        out: shape (n_pairs,).
        share: likewise.
    """
    n_samples = units.score.shape[1]
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        table = room.table[: units.n_labels[i], : units.n_labels[j]]
        _fill_table(units.label[i], units.label[j], table)
        out[pair] = _of_labels(table, n_samples)
        out[pair] += _of_classes(units, i, j, table[:, 0], k, digamma, room) / n_samples
        out[pair] += _of_classes(units, j, i, table.T[:, 0], k, digamma, room) / n_samples
        share[pair] = table[0, 0] / n_samples


@njit(**INNER)
def _fill_table(rows, columns, table):
    table[:] = 0
    for sample in range(rows.size):
        table[rows[sample], columns[sample]] += 1


@njit(**INNER)
def _of_labels(table, n_samples):
    """Return the information between two labels from their counts, corrected by Miller and Madow."""
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


@njit(**INNER)
def _of_classes(units, i, j, counts, k, digamma, room):
    """Return n I(labels of i; unit j | j continuous) by Ross; classes of one sample carry no information."""
    n_classes, n_values = _begin_classes(counts, room.start)
    if n_classes < 2:
        return 0.0
    _sort_by_class(units, i, j, counts, room)
    total = n_values * digamma[n_values]
    for label in range(counts.size):
        size = counts[label]
        if size > 1:
            nearest = min(k, size - 1)
            begin = room.start[label] - size
            for at in range(begin, begin + size):
                room.distance[at] = _kth_on_line(room.by_class, begin, begin + size, at, nearest)
            total += size * (digamma[nearest] - digamma[size])
    near = sum_of_digammas(room.ascending, n_values, room.by_class, room.distance, ZERO, n_values, digamma, room.counts)
    return total - near


@njit(**INNER)
def _begin_classes(counts, start):
    """Write where each class of more than one sample begins; return the number of such classes and of their values."""
    n_classes, n_values = 0, 0
    for label in range(counts.size):
        start[label] = n_values
        n_classes += counts[label] > 1
        n_values += counts[label] * (counts[label] > 1)
    return n_classes, n_values


@njit(**INNER)
def _sort_by_class(units, i, j, counts, room):
    """Write the continuous values of j in ascending order: once all together, once class after class."""
    rank = 0
    for place in range(units.n_continuous[j]):
        sample = units.order[j, place]
        label = units.label[i, sample]
        if counts[label] > 1:
            value = units.score[j, sample]
            room.ascending[rank] = value
            rank += 1
            room.by_class[room.start[label]] = value
            room.start[label] += 1


@njit(**INNER)
def _kth_on_line(ascending, begin, end, at, k):
    """Return the distance of a value in ``begin … end`` to its k-th other: k + 1 consecutive values contain both."""
    nearest = np.inf
    for low in range(max(begin, at - k), min(at, end - 1 - k) + 1):
        nearest = min(nearest, max(ascending[at] - ascending[low], ascending[low + k] - ascending[at]))
    return nearest
