"""One pass over a block of distances that leaves every sum a kernel width needs; compiled, one width a call."""

from typing import Any

from numba import njit

LARGEST = 700.0  # exp(-700) is about 1e-304; beyond, the kernel is 0
SQUARINGS = 12
MIDDLE = LARGEST / 2
SHRINK = 1 / 2**SQUARINGS
EXP_MIDDLE = 9.929590396264986e-153  # exp(-350)
COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(inline="always")
def _exp(x):
    """exp(x) for x ≤ 0 as exp(x / 2¹²) squared 12 times: no table and no branch, so that the loop is vectorized.

    The argument is centered at −350 first, within ±.086 after shrinking; the relative error is below 1e-11.
    """
    r = (x + MIDDLE) * SHRINK
    p = 1 + r * (1 + r / 2 * (1 + r / 3 * (1 + r / 4 * (1 + r / 5 * (1 + r / 6 * (1 + r / 7 * (1 + r / 8)))))))
    for _ in range(SQUARINGS):
        p = p * p
    return p * EXP_MIDDLE if x > -LARGEST else 0.0


@njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, **COMPILE)
def block_sums(distances, same, scale, rows, columns):
    """Add the block's kernel to ``rows`` and ``columns``; return its sum where ``same`` is 1, and that of squares."""
    inner, squares = 0.0, 0.0
    for i in range(distances.shape[0]):
        row, row_inner, row_squares = 0.0, 0.0, 0.0
        for j in range(distances.shape[1]):
            value = _exp(distances[i, j] * scale)
            row += value
            row_squares += value * value
            row_inner += value * same[i, j]
            columns[j] += value
        rows[i] += row
        inner += row_inner
        squares += row_squares
    return inner, squares
