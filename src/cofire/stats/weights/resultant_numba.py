"""Compiled loops of `resultant`, in float64 whatever the type of the vectors."""

from typing import Any

import numpy as np
from numba import njit

AT_ONCE = 4  # rows: still in cache when they are added, and one pass over the total serves all four
COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**COMPILE)
def add_directions(vectors, lengths, total):
    """Write the length of each row of ``vectors`` to ``lengths`` and add the rows over their lengths to ``total``."""
    inverse = np.empty(AT_ONCE)
    whole = len(vectors) - len(vectors) % AT_ONCE
    for i in range(len(vectors)):
        lengths[i] = np.sqrt(_square(vectors[i]))
        inverse[i % AT_ONCE] = 1 / lengths[i] if lengths[i] != 0 else 0.0
        if i >= whole:
            _add_one(vectors[i], inverse[i % AT_ONCE], total)
        elif i % AT_ONCE == AT_ONCE - 1:
            _add_four(vectors[i - AT_ONCE + 1 : i + 1], inverse, total)


@njit(fastmath={"contract"}, **COMPILE)
def add_squares(rows, squares):
    """Add the squares of each column of ``rows`` to ``squares``."""
    whole = len(rows) - len(rows) % AT_ONCE
    for i in range(0, whole, AT_ONCE):
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for j in range(len(squares)):
            a, b, c, d = np.float64(r0[j]), np.float64(r1[j]), np.float64(r2[j]), np.float64(r3[j])
            squares[j] += (a * a + b * b) + (c * c + d * d)
    for i in range(whole, len(rows)):
        for j in range(len(squares)):
            value = np.float64(rows[i, j])
            squares[j] += value * value


@njit(fastmath={"contract", "reassoc", "nsz"}, **COMPILE)
def project(rows, weights, projections):
    """Write the product of each row with ``weights`` to ``projections``."""
    for i in range(len(rows)):
        total = 0.0
        for j in range(len(weights)):
            total += weights[j] * np.float64(rows[i, j])
        projections[i] = total


@njit(fastmath={"contract", "reassoc", "nsz"}, **COMPILE)
def _square(vector):
    total = 0.0
    for j in range(len(vector)):
        value = np.float64(vector[j])
        total += value * value
    return total


@njit(fastmath={"contract"}, **COMPILE)
def _add_four(rows, weights, total):
    r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    for j in range(len(total)):
        first = w0 * np.float64(r0[j]) + w1 * np.float64(r1[j])
        total[j] += first + (w2 * np.float64(r2[j]) + w3 * np.float64(r3[j]))


@njit(fastmath={"contract"}, **COMPILE)
def _add_one(row, weight, total):
    for j in range(len(total)):
        total[j] += weight * np.float64(row[j])
