"""What the atoms of units tell about each other and about continuous samples; compiled.

Atoms are labels; with A and B the labels and X, Y the units, the chain rule gives

    I(X;Y) = I(A;B) + I(A;Y|B) + I(X;B|A) + I(X;Y|A,B),

a table of counts, two classes-by-a-number terms (Ross 2014) and one for two numbers (:mod:`.continuous_pairs`).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .marginal_counts import sum_of_digammas
from .strip_layout import COMPILE, INNER, LANES

ZERO = np.intp(0)  # a plain 0 is a type of its own to numba, for which all that it is passed to is compiled again


class LabelRoom(NamedTuple):
    """Scratch space that one thread uses for pair after pair."""

    table: Any
    start: Any
    by_class: Any
    ascending: Any
    distance: Any
    counts: Any


def empty_label_room(n_samples: int, most_labels: int) -> LabelRoom:
    """Room for units with so many labels, the continuous one included."""
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
    """The first three terms for each pair, and the share of samples that are continuous in both.

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
    """Information of two labels from their counts, corrected by Miller and Madow."""
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
    """By Ross, n I(labels of i; unit j | j continuous); a class of one sample tells nothing and is left out."""
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
    """Where each class of more than one begins; how many there are, and of how many values."""
    n_classes, n_values = 0, 0
    for label in range(counts.size):
        start[label] = n_values
        n_classes += counts[label] > 1
        n_values += counts[label] * (counts[label] > 1)
    return n_classes, n_values


@njit(**INNER)
def _sort_by_class(units, i, j, counts, room):
    """Values of j where it is continuous, ascending: all of them, and class after class."""
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
    """Distance of one of the values in ``begin … end`` to its k-th other: k + 1 in a row hold both."""
    nearest = np.inf
    for low in range(max(begin, at - k), min(at, end - 1 - k) + 1):
        nearest = min(nearest, max(ascending[at] - ascending[low], ascending[low + k] - ascending[at]))
    return nearest
