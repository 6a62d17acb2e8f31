"""Compiled sums of a kernel over one block of distances, at several widths in one pass."""

# numba passes the first argument of an intrinsic itself, so calls have one argument less than the definition
# pyright: reportCallIssue=false

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LARGEST = 700.0  # exp(-700) is about 1e-304; beyond, the kernel is 0
BAND = 16  # rows that stay in the cache while all widths are summed over them
LOG2_E, LN_2 = 1.4426950408889634, 0.6931471805599453
ROUNDER = 1.5 * 2**52  # adding it rounds a float64 to an integer, which is then in the lowest bits of the sum
EXPONENT = 52  # number of bits below a float64's exponent
COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@intrinsic
def times_power_of_two(typing_context: Any, value: Any, rounded: Any) -> Any:
    """Return ``value`` times 2 to the integer that adding ``ROUNDER`` left in the lowest bits of ``rounded``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        bits, power = (builder.bitcast(argument, word) for argument in arguments)
        return builder.bitcast(builder.add(bits, builder.shl(power, ir.Constant(word, EXPONENT))), ir.DoubleType())

    return types.float64(types.float64, types.float64), generate


@njit(fastmath={"contract"}, **COMPILE)
def _exp(x):
    """Return exp(x) for x ≤ 0, to a relative error of 1e-11; 0 below -700.

    It has neither a table nor a branch, so that LLVM vectorizes loops over it. With x = n log 2 + r and abs(r) < 0.35
    it is 2ⁿ exp(r), and exp(r) is its Taylor series.
    """
    rounded = x * LOG2_E + ROUNDER
    r = x - (rounded - ROUNDER) * LN_2
    p = 1 / 5040 + r * (1 / 40320 + r * (1 / 362880))
    p = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * p))))))
    return times_power_of_two(p, rounded) if x > -LARGEST else 0.0


@njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, **COMPILE)
def block_sums(distances, first, last, scales, rows, columns, inner, squares):
    """Add the sums of a block's kernel at each width to the last four arrays.

    Args:
        distances: shape (height, width).
        first: the first column of each row's own class, shape (height,).
        last: the column after its last.
        scales: factors of the distances in the exponent, shape (n_widths,).
        rows: row sums, shape (n_widths, height).
        columns: column sums, shape (n_widths, width).
        inner: sums over samples of the same class, shape (n_widths,).
        squares: sums of squares, shape (n_widths,).
    """
    height, width = distances.shape
    values = np.empty(width)
    for start in range(0, height, BAND):
        for at in range(len(scales)):
            for i in range(start, min(start + BAND, height)):
                total, square, same = 0.0, 0.0, 0.0
                for j in range(width):
                    value = _exp(distances[i, j] * scales[at])
                    values[j] = value
                    total += value
                    square += value * value
                for j in range(width):
                    columns[at, j] += values[j]
                for j in range(first[i], last[i]):
                    same += values[j]
                rows[at, i] += total
                squares[at] += square
                inner[at] += same
