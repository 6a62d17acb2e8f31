"""Compiled counts of the values of one unit near given ones, sixteen at a time."""

# numba's intrinsics take one argument less than they are written with.
# pyright: reportCallIssue=false

from numba import njit

from .simd import minus, plus_unless_below, plus_where_below
from .simd_memory import load, pick, store
from .strip_layout import INNER, LANES


@njit(**INNER)
def sum_of_digammas(ascending, n_values, centers, radii, begin, end, digamma, counts):
    """Return the sum over centers of ψ(how many of the first ``n_values`` are nearer than the center's radius).

    Args:
        ascending: sorted values, float32.
        n_values: how many of them there are.
        centers: float32, readable up to 15 places beyond ``end``.
        radii: likewise.
        begin: the first center.
        end: one past the last.
        digamma: ψ of 0, 1, 2, ... where ψ(0) stands for what a count of 0 shall give.
        counts: room for 2 · 16 numbers, int32, the second half zeros.
    """
    total = 0.0
    for start in range(begin, end, LANES):
        _count(ascending, n_values, load(centers, start), load(radii, start), counts)
        for lane in range(min(LANES, end - start)):
            total += digamma[counts[lane]]
    return total


@njit(**INNER)
def _count(ascending, n_values, center, radius, counts):
    # Two binary searches without branches, so every lane takes the same steps. They compare differences, as the
    # distances are rounded differences: values ± radius would round differently.
    before, until = load(counts, LANES), load(counts, LANES)
    length = n_values
    while length > 0:
        half = (length + 1) // 2
        last = half - 1
        before = plus_unless_below(before, half, minus(center, pick(ascending, before, last)), radius)
        until = plus_where_below(until, half, minus(pick(ascending, until, last), center), radius)
        length -= half
    store(counts, 0, minus(until, before))
