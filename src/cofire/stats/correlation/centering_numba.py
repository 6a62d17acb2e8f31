"""The compiled loops of `in_memory`: each reads the samples once, row by row, in vector registers."""

from typing import Any

import numpy as np
from numba import njit

COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract"}}
ROWS_AT_A_TIME = 512  # summed before they are added to the total, so that rounding errors don't grow with all rows


@njit(**COMPILE)
def find_center_and_norm(x, center, norm):
    """Write the mean of each column to ``center`` and the norm of its deviations to ``norm``, in float64.

    Columns are measured from their first value, so that a constant column has a norm of exactly 0.
    """
    shift = x[0].astype(np.float64)
    offset = np.zeros(x.shape[1])
    _add_sums(x, shift, offset)
    offset /= x.shape[0]
    norm[:] = 0.0
    _add_squares(x, shift, offset, norm)
    for j in range(center.size):
        center[j] = shift[j] + offset[j]
        norm[j] = np.sqrt(norm[j])


@njit(**COMPILE)
def _add_sums(x, shift, total):
    part = np.empty_like(total)
    for start in range(0, x.shape[0], ROWS_AT_A_TIME):
        part[:] = 0.0
        for i in range(start, min(start + ROWS_AT_A_TIME, x.shape[0])):
            for j in range(total.size):
                part[j] += x[i, j] - shift[j]
        total += part


@njit(**COMPILE)
def _add_squares(x, shift, offset, total):
    part = np.empty_like(total)
    for start in range(0, x.shape[0], ROWS_AT_A_TIME):
        part[:] = 0.0
        for i in range(start, min(start + ROWS_AT_A_TIME, x.shape[0])):
            for j in range(total.size):
                rest = (x[i, j] - shift[j]) - offset[j]
                part[j] += rest * rest
        total += part


@njit(**COMPILE)
def normalize_rows(x, first, coarse, fine, inverse, out):
    """Write (x − coarse − fine)·inverse, or 0 where the inverse is 0, to ``out``, starting with unit ``first`` of x."""
    number, zero = coarse.dtype.type, out.dtype.type(0)
    for i in range(x.shape[0]):
        row = x[i, first : first + out.shape[1]]
        for j in range(row.size):
            value = ((number(row[j]) - coarse[j]) - fine[j]) * inverse[j]
            out[i, j] = value if inverse[j] != 0 else zero
