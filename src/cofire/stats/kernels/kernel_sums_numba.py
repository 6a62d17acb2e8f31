"""One pass over a block of distances that leaves every sum some kernel widths need; compiled."""

# numba's intrinsics take one argument less than they are written with.
# pyright: reportCallIssue=false

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LARGEST = 700.0  # exp(-700) is about 1e-304; beyond, the kernel is 0
BAND = 16  # rows that stay in cache while all the widths go over them
LOG2_E, LN_2 = 1.4426950408889634, 0.6931471805599453
ROUNDER = 1.5 * 2**52  # a float64 plus this is rounded to an integer, which stands in its lowest bits
EXPONENT = 52  # place of a float64's exponent
COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@intrinsic
def times_power_of_two(typing_context: Any, value: Any, rounded: Any) -> Any:
    """``value`` times 2 to the integer that adding ``ROUNDER`` has left in the lowest bits of ``rounded``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        bits, power = (builder.bitcast(argument, word) for argument in arguments)
        return builder.bitcast(builder.add(bits, builder.shl(power, ir.Constant(word, EXPONENT))), ir.DoubleType())

    return types.float64(types.float64, types.float64), generate


@njit(fastmath={"contract"}, **COMPILE)
def _exp(x):
    """exp(x) for x ≤ 0 without a table or a branch, so that loops over it are vectorized.

    With x = n log 2 + r and abs(r) < .35 it is 2ⁿ exp(r), by the series of exp. The relative error is below 1e-11.
    """
    rounded = x * LOG2_E + ROUNDER
    r = x - (rounded - ROUNDER) * LN_2
    p = 1 / 5040 + r * (1 / 40320 + r * (1 / 362880))
    p = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * p))))))
    return times_power_of_two(p, rounded) if x > -LARGEST else 0.0


@njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, **COMPILE)
def block_sums(distances, first, last, scales, rows, columns, inner, squares):
    """Add the sums of the block's kernel at each of some widths.

    Args:
        distances: shape (height, width).
        first: the column where each row's own class begins, shape (height,).
        last: the column where it has ended.
        scales: factors of the distances in the exponent, shape (n_widths,).
        rows: shape (n_widths, height).
        columns: shape (n_widths, width).
        inner: sums over equal classes, shape (n_widths,).
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
