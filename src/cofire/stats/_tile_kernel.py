"""The loop behind `_tile_sums`: written so that the compiler keeps every sum in vector registers."""

from typing import Any

from numba import njit

LARGEST = 20.0  # exp(-20) is 2e-9; beyond, w counts as 0
SQUARINGS = 5
COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(inline="always")
def _exp(x, number):
    """exp(x) for x ≤ 0: the series of exp(x / 2⁵) squared 5 times, without a table or a branch; exactly 1 at 0."""
    one = number(1)
    r = x * number(1 / 2**SQUARINGS)
    p = one + r * number(1 / 12)
    p = one + r * number(1 / 11) * p
    p = one + r * number(1 / 10) * p
    p = one + r * number(1 / 9) * p
    p = one + r * number(1 / 8) * p
    p = one + r * number(1 / 7) * p
    p = one + r * number(1 / 6) * p
    p = one + r * number(1 / 5) * p
    p = one + r * number(1 / 4) * p
    p = one + r * number(1 / 3) * p
    p = one + r * number(1 / 2) * p
    p = one + r * p
    for _ in range(SQUARINGS):
        p = p * p
    return p if x > -number(LARGEST) else number(0)


@njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, **COMPILE)
def add_tile(values, decay, signs, rows, columns, sums):
    """Add the tile's sums to ``sums`` and ``columns``; write ``signs`` and ``rows``. All but ``sums`` of one type."""
    number = values.dtype.type
    zero, one = number(0), number(1)
    for i in range(values.shape[0]):
        total, magnitude, square, w1, w2, w4, w5, w8 = zero, zero, zero, zero, zero, zero, zero, zero
        for j in range(values.shape[1]):
            value = values[i, j]
            size = abs(value)
            signs[i, j] = one if value > zero else (-one if value < zero else zero)
            columns[j] += size
            magnitude += size
            total += value
            square += value * value
            w = _exp(value * value * decay, number)
            ww = w * w
            wwww = ww * ww
            w1 += w
            w2 += ww
            w4 += wwww
            w5 += wwww * w
            w8 += wwww * wwww
        rows[i] = magnitude
        sums[0] += total
        sums[1] += square
        sums[2] += w1
        sums[3] += w2
        sums[4] += w4
        sums[5] += w5
        sums[6] += w8
