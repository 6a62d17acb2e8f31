"""What tensor operations take a dozen passes for, in two or three: compiled.

Columns are standardized, there and back; of all pairs the strongest are kept.
"""

from typing import Any

import numpy as np
from numba import njit

COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract"}}
ROWS_AT_A_TIME = 64  # summed in the batch's type before they are added to the float64 total
N_BUCKETS = 1 << 16
INFINITE_32, INFINITE_64 = 0xFF00, 0xFFE0  # the leading bits of an infinity; of a NaN they are the same or more
BLOCK = 64  # pairs are mirrored in blocks that stay in the cache


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
def sum_of_squares(pairs):
    """In the table's type along a column of up to 64, in float64 beyond."""
    total, part = np.zeros(pairs.shape[1]), np.empty(pairs.shape[1], pairs.dtype)
    for start in range(0, pairs.shape[0], ROWS_AT_A_TIME):
        part[:] = 0
        for i in range(start, min(start + ROWS_AT_A_TIME, pairs.shape[0])):
            for j in range(part.size):
                part[j] += pairs[i, j] * pairs[i, j]
        total += part
    return total.sum()


@njit(**COMPILE)
def standardize_back(units, inverse, grad, scale):
    """Turn a gradient, in place: less what would lengthen a column or move its mean, times the inverse and a scale."""
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
    factor = inverse * inverse.dtype.type(scale)
    for j in range(inverse.size):
        product[j] = along[j]
        sum_[j] = total[j] / units.shape[0]
    for i in range(units.shape[0]):
        for j in range(inverse.size):
            grad[i, j] = ((grad[i, j] - units[i, j] * product[j]) - sum_[j]) * factor[j]


@njit(**COMPILE)
def keep_strongest(pairs, bits, n_wanted):
    """Set all but the strongest pairs of a symmetric table to 0, in place; of equals the first stay.

    Pairs that share their leading bits are counted; only those that share them with the last one wanted are sorted.

    Args:
        pairs: shape (n, n); of it the part above the diagonal is read, and both parts are written.
        bits: the same memory as unsigned integers: without the sign they are ordered as magnitudes are.
        n_wanted: how many pairs; at least 1.

    A table that holds a NaN or an infinity stays as it is.
    """
    counts = _counted(bits)
    if counts[INFINITE_32 if bits.itemsize == 4 else INFINITE_64 :].any():
        return
    bucket, n_here = counts.size - 1, n_wanted
    while counts[bucket] < n_here:
        n_here -= counts[bucket]
        bucket -= 1
    shared = _sharing(pairs, bits, bucket, counts[bucket])
    shared.sort()
    last = shared[shared.size - n_here]
    _clear_below(pairs, last)
    if last > 0:
        _clear_equal(pairs, last, shared.size - np.searchsorted(shared, last) - n_here)


@njit(**COMPILE)
def _leading(bits, n_bytes):
    """The sixteen leading bits behind the sign."""
    return (np.uint64(bits) >> np.uint64(8 * n_bytes - 17)) & np.uint64(N_BUCKETS - 1)


@njit(**COMPILE)
def _counted(bits):
    """How many pairs have each leading bits."""
    counts = np.zeros(N_BUCKETS, np.int64)
    for i in range(len(bits)):
        for j in range(i + 1, len(bits)):
            counts[_leading(bits[i, j], bits.itemsize)] += 1
    return counts


@njit(**COMPILE)
def _sharing(pairs, bits, bucket, n):
    """Magnitudes of the pairs with these leading bits."""
    found, place = np.empty(n, pairs.dtype), 0
    for i in range(len(pairs)):
        for j in range(i + 1, len(pairs)):
            if _leading(bits[i, j], bits.itemsize) == np.uint64(bucket):
                found[place] = abs(pairs[i, j])
                place += 1
    return found


@njit(**COMPILE)
def _clear_below(pairs, least):
    """Set weaker pairs to 0, and what is below the diagonal to what is above."""
    zero = pairs.dtype.type(0)
    for top in range(0, len(pairs), BLOCK):
        for left in range(top, len(pairs), BLOCK):
            for i in range(top, min(top + BLOCK, len(pairs))):
                for j in range(max(left, i + 1), min(left + BLOCK, len(pairs))):
                    pair = pairs[i, j]
                    pair = pair if abs(pair) >= least else zero
                    pairs[i, j] = pair
                    pairs[j, i] = pair


@njit(**COMPILE)
def _clear_equal(pairs, magnitude, n):
    """Set the last n pairs of just this magnitude to 0."""
    for i in range(len(pairs) - 1, -1, -1):
        for j in range(len(pairs) - 1, i, -1):
            if n == 0:
                return
            if abs(pairs[i, j]) == magnitude:
                pairs[i, j] = pairs[j, i] = 0
                n -= 1
