"""The compiled search for k-th neighbors under the max-norm: vectors of queries swept over strips of points.

The points are cut by their first coordinate into strips and sorted by their second within each. Queries that are
neighbors there share a vector; candidates are broadcast outward from them, strip by strip, until none can be nearer
than what every lane already holds. So a query meets some tens of candidates, and no branch depends on one.

Compiled code is cached in ``__pycache__`` beside this file, or in numba's user cache where that cannot be written.
"""

# numba's intrinsics take one argument less than they are written with.
# pyright: reportCallIssue=false

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ._lanes import BYTES, any_below, farther, gap, insert, load, minus, spread, spread_each, store

STEP = 4  # candidates between two looks at whether to stop
AT_LEAST = 8  # candidates before the first such look: most sweeps go as far, and a wrong guess costs more than they do
COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "no_cfunc_wrapper": True}
# what only compiled code calls becomes part of its callers, and needs no way in from Python
INNER: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "no_cpython_wrapper": True}
# vectors live in registers only as long as nothing is called: the innermost loops are inlined whatever LLVM thinks
WITHIN: dict[str, Any] = INNER | {"forceinline": True}


class Strips(NamedTuple):
    """Points arranged for the search; every strip is padded with points at infinity.

    Attributes:
        x, y: the two coordinates that arrange the points, shape (n_slots,); y ascends within a strip.
        begin, end: the slots of each strip, shape (n_strips,).
        first, last: the smallest and largest x of each strip, shape (n_strips,).
    """

    x: Any
    y: Any
    begin: Any
    end: Any
    first: Any
    last: Any


def padding(itemsize: int) -> int:
    """Slots on either side of a strip that a sweep may read beyond its end."""
    return BYTES // itemsize + AT_LEAST + STEP


@njit(**COMPILE)
def kth_distances(strips, infinities, start_strip, stop_strip, out):
    """Distance of every point in the given strips to its k-th other, written to its slot of ``out``.

    Args:
        strips: the points.
        infinities: k infinities, a tuple, so that the compiler knows k.
        start_strip: the first strip to do.
        stop_strip: one past the last.
        out: shape (n_slots,).
    """
    width = BYTES // out.itemsize
    others = np.zeros(2 * width, out.dtype)  # read from width - 1 - i, it is infinite in lane i only
    others[width - 1] = np.inf
    for strip in range(start_strip, stop_strip):
        for start in range(strips.begin[strip], strips.end[strip], width):
            nearest = _nearest_in_block(strips, start, others, spread_each(infinities))
            nearest = _sweep(strips, start, start + width, 1, nearest)
            nearest = _sweep(strips, start, start - 1, -1, nearest)
            store(out, start, _in_other_strips(strips, strip, start, nearest)[-1])


@njit(**WITHIN)
def _distance(strips, start, candidate):
    """Max-norm distance of a candidate from each query."""
    return farther(
        gap(load(strips.x, start), spread(strips.x, candidate)),
        gap(load(strips.y, start), spread(strips.y, candidate)),
    )


@njit(**WITHIN)
def _nearest_in_block(strips, start, others, nearest):
    width = others.size // 2
    for lane in range(width):
        far = _distance(strips, start, start + lane)
        nearest = insert(nearest, farther(far, load(others, width - 1 - lane)))
    return nearest


@njit(**WITHIN)
def _sweep(strips, start, at, direction, nearest):
    """Candidates from slot ``at`` on, up or down in y: some, and then for as long as one may be nearer to a query."""
    for step in range(AT_LEAST):
        nearest = insert(nearest, _distance(strips, start, at + direction * step))
    at += direction * AT_LEAST
    while _within_reach(strips.y, start, at, direction, nearest):
        for step in range(STEP):
            nearest = insert(nearest, _distance(strips, start, at + direction * step))
        at += direction * STEP
    return nearest


@njit(**WITHIN)
def _within_reach(y, start, at, direction, nearest):
    # signed, so that a query still ahead of the candidate keeps the sweep going
    here, queries = spread(y, at), load(y, start)
    return any_below(minus(here, queries) if direction > 0 else minus(queries, here), nearest[-1])


@njit(**INNER)
def _in_other_strips(strips, strip, start, nearest):
    queries = load(strips.x, start)
    middle = strips.y[start + BYTES // strips.y.itemsize // 2]
    for other in range(strip + 1, strips.begin.size):
        if not any_below(minus(spread(strips.first, other), queries), nearest[-1]):
            break
        nearest = _both_ways(strips, start, _slot_of(strips, other, middle), nearest)
    for other in range(strip - 1, -1, -1):
        if not any_below(minus(queries, spread(strips.last, other)), nearest[-1]):
            break
        nearest = _both_ways(strips, start, _slot_of(strips, other, middle), nearest)
    return nearest


@njit(**INNER)
def _both_ways(strips, start, at, nearest):
    nearest = _sweep(strips, start, at, 1, nearest)
    return _sweep(strips, start, at - 1, -1, nearest)


@njit(**INNER)
def _slot_of(strips, strip, y):
    """About where ``y`` stands in a strip; halving without a branch, as a wrong guess costs more than the steps."""
    at, length = strips.begin[strip], strips.end[strip] - strips.begin[strip]
    while length > 1:
        half = length // 2
        at += half * (strips.y[at + half] < y)
        length -= half
    return at
