"""Standardizing columns, there and back, in two or three passes over the batch instead of a dozen: compiled."""

from typing import Any

import numpy as np
from numba import njit

COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract"}}
ROWS_AT_A_TIME = 64  # summed in the batch's type before they are added to the float64 total


@njit(**COMPILE)
def standardize_columns(x, out, inverse):
    """Write the columns with mean 0 and length 1 to ``out``, and the inverse of the length each had.

    The first row is taken off beforehand: then a constant column is exactly 0, its inverse is 0, and an offset costs
    nothing. Where squares overflow the inverse is NaN.
    """
    number = x.dtype.type
    total, part = np.zeros(x.shape[1]), np.empty_like(inverse)
    for start in range(0, x.shape[0], ROWS_AT_A_TIME):
        part[:] = 0
        for i in range(start, min(start + ROWS_AT_A_TIME, x.shape[0])):
            for j in range(part.size):
                part[j] += x[i, j] - x[0, j]
        total += part
    mean, squares = (total / x.shape[0]).astype(x.dtype), np.zeros(x.shape[1])
    for start in range(0, x.shape[0], ROWS_AT_A_TIME):
        part[:] = 0
        for i in range(start, min(start + ROWS_AT_A_TIME, x.shape[0])):
            for j in range(part.size):
                rest = (x[i, j] - x[0, j]) - mean[j]
                out[i, j] = rest
                part[j] += rest * rest
        squares += part
    for j in range(inverse.size):
        square = number(squares[j])
        inverse[j] = np.sqrt(square) / square if square != 0 else number(0)
    for i in range(x.shape[0]):
        for j in range(inverse.size):
            out[i, j] *= inverse[j]


@njit(**COMPILE)
def standardize_back(units, inverse, grad, grad_inverse, out):
    """Write the gradient to ``out``: less what would lengthen a column or move its mean, times the inverse."""
    along, total = np.zeros(units.shape[1]), np.zeros(units.shape[1])
    product, sum_ = np.empty_like(inverse), np.empty_like(inverse)
    for start in range(0, units.shape[0], ROWS_AT_A_TIME):
        product[:] = 0
        sum_[:] = 0
        for i in range(start, min(start + ROWS_AT_A_TIME, units.shape[0])):
            for j in range(inverse.size):
                product[j] += units[i, j] * grad[i, j]
                sum_[j] += grad[i, j]
        along += product
        total += sum_
    for j in range(inverse.size):
        product[j] = along[j] + inverse[j] * grad_inverse[j]
        sum_[j] = total[j] / units.shape[0]
    for i in range(units.shape[0]):
        for j in range(inverse.size):
            out[i, j] = ((grad[i, j] - units[i, j] * product[j]) - sum_[j]) * inverse[j]
