"""The compiled loop of `tile_sums`, written so that the compiler keeps every sum in vector registers."""

# numba calls what `overload` registers; to pyright it looks unused
# pyright: reportUnusedFunction=false

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
# sums may be reordered; the exponential may not, as adding and subtracting a large number rounds it to an integer
SUMS: dict[str, Any] = {"fastmath": {"contract", "reassoc", "nsz", "arcp"}, **COMPILE}
EXACT: Any = {"fastmath": {"contract"}, "nogil": True, "error_model": "numpy"}
SMALLEST = -29.0  # 2⁻²⁹ is 2e-9; anything below counts as 0
ROUND_SINGLE, ROUND_DOUBLE = 1.5 * 2.0**23, 1.5 * 2.0**52  # a number plus this has its nearest integer in the last bits
C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11 = (math.log(2) ** n / math.factorial(n) for n in range(1, 12))


def exp2(x: Any) -> Any:
    """Return 2ˣ for x ≤ 0, exactly 1 at 0, from a series on [-½, ½] whose exponent bits are then shifted.

    Without a table or a branch, so that loops over it become vector instructions.
    """
    raise NotImplementedError("only for compiled code")


@overload(exp2, jit_options=EXACT)
def _exp2(x: Any) -> Any:
    return _exp2_single if x == types.float32 else _exp2_double


def _exp2_single(x: Any) -> Any:
    number, bits = np.float32, np.int32
    rounded = x + number(ROUND_SINGLE)
    f = x - (rounded - number(ROUND_SINGLE))
    p = number(C4) + f * (number(C5) + f * number(C6))
    p = number(1) + f * (number(C1) + f * (number(C2) + f * (number(C3) + f * p)))
    shift = bits(number(rounded).view(bits) << bits(23))
    power = bits(number(p).view(bits) + shift).view(number)
    return power if x > number(SMALLEST) else number(0)


def _exp2_double(x: Any) -> Any:
    number, bits = np.float64, np.int64
    rounded = x + number(ROUND_DOUBLE)
    f = x - (rounded - number(ROUND_DOUBLE))
    p = C7 + f * (C8 + f * (C9 + f * (C10 + f * C11)))
    p = C3 + f * (C4 + f * (C5 + f * (C6 + f * p)))
    p = number(1) + f * (C1 + f * (C2 + f * p))
    shift = bits(number(rounded).view(bits) << bits(52))
    power = bits(number(p).view(bits) + shift).view(number)
    return power if x > number(SMALLEST) else number(0)


@njit(**SUMS)
def add_tile(values, on_diagonal, decay, weights, above, beside, sums):
    """Add a tile's sums to ``sums``, ``above`` and ``beside`` (float64) and replace its values by their signs.

    ``decay`` (for powers of 2) and the two ``weights`` of the correction have the tile's type.
    """
    number = values.dtype.type
    zero, one = number(0), number(1)
    narrow, wide = weights
    columns = np.zeros(values.shape[1], values.dtype)
    for i in range(values.shape[0]):
        first = i + 1 if on_diagonal else 0
        values[i, :first] = zero
        # slices: the compiler can't tell that an index starting at a variable is never negative, and wouldn't vectorize
        row, sizes = values[i, first:], columns[first:]
        total, magnitude, square, weak, correction, correction_square = zero, zero, zero, zero, zero, zero
        for j in range(row.size):
            value = min(max(row[j], -one), one)
            size = abs(value)
            row[j] = one if value > zero else (-one if value < zero else zero)
            sizes[j] += size
            magnitude += size
            total += value
            square += value * value
            w = exp2(value * value * decay)
            c = narrow * ((w * w) * (w * w)) - wide * w
            weak += w
            correction += c
            correction_square += c * c
        if i < above.size:
            above[i] += magnitude
        sums[0] += total
        sums[1] += square
        sums[2] += weak
        sums[3] += correction
        sums[4] += correction_square
    for j in range(beside.size):
        beside[j] += columns[j]
