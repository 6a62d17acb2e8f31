"""The compiled search for k-th neighbors under the max-norm: vectors of queries against strips of points.

The points are cut into strips by their first coordinate and sorted by the second within each strip. Sixteen neighboring
points of a strip form a block, a vector of queries. The points in and beside a block bound how far its neighbors can
be, and so in which stretches of which strips they are. Each candidate in these stretches is broadcast to all lanes.
So a query meets some tens of candidates, no branch depends on one of them, and the processor can run ahead across
strips and blocks.

Compiled code is cached in ``__pycache__`` beside this file, or in numba's user cache if that is not writable.
"""

# numba's intrinsics take one argument less than they are written with.
# pyright: reportCallIssue=false

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .nearest import count, empty, insert, keep, kept, kth
from .simd import count_below, farther, highest_sum, largest, lowest_difference, minus
from .simd_memory import infinite_in, load, spread, store
from .strip_layout import INNER, LANES, STEP, WITHIN


class Strips(NamedTuple):
    """Points arranged for the search, float32; every strip is padded with points at infinity.

    Attributes:
        x, y: the two coordinates that arrange the points, shape (n_slots,); y ascends within a strip.
        begin, end: the slots of each strip, shape (n_strips,).
        first, last: the smallest and largest x of each strip, padded with neighbors.
    """

    x: Any
    y: Any
    begin: Any
    end: Any
    first: Any
    last: Any


class Search(NamedTuple):
    """Scratch space of the search, for the blocks of one strip.

    Attributes:
        nearest: their k vectors of nearest distances so far, float32.
        box: the rectangle of each block outside of which nothing is nearer: left, right, low and high, float32.
        stretches: for one block, pairs of a first slot and the number of steps of ``STEP`` candidates from there.
    """

    nearest: Any
    box: Any
    stretches: Any


def empty_search(most_blocks: int, most_strips: int, k: int) -> Search:
    """Return scratch space for strips of up to this many blocks."""
    nearest = np.zeros(most_blocks * k * LANES, np.float32)
    return Search(nearest, np.zeros(4 * most_blocks, np.float32), np.zeros(2 * (most_strips + 1), np.intp))


@njit(**INNER)
def kth_distances(strips, neighbors, search, out):
    """Write the distance of every point to its k-th other to its slot of ``out``.

    Args:
        strips: the points.
        neighbors: their number, see :mod:`.nearest`.
        search: scratch space.
        out: shape (n_slots,).
    """
    k = count(neighbors)
    for strip in range(strips.begin.size):
        n_blocks = (strips.end[strip] - strips.begin[strip] + LANES - 1) // LANES
        for block in range(n_blocks):
            _look_around(strips, strip, block, neighbors, search)
        for block in range(n_blocks):
            start = _start_of(strips, strip, block)
            nearest = kept(neighbors, search.nearest[block * k * LANES : (block + 1) * k * LANES])
            for stretch in range(0, _plan(strips, strip, block, k, search), 2):
                at = search.stretches[stretch]
                for _ in range(search.stretches[stretch + 1]):
                    for step in range(STEP):
                        nearest = insert(nearest, _distance(strips, start, at + step))
                    at += STEP
            store(out, start, kth(nearest))


@njit(**WITHIN)
def _start_of(strips, strip, block):
    """Return the first slot of a block; the last block overlaps the one before it, so that it is full too."""
    begin, end = strips.begin[strip], strips.end[strip]
    return max(begin, min(begin + block * LANES, end - LANES))


@njit(**WITHIN)
def _beside(strips, strip, start, k):
    """Return the slots from and to which to look beside a block, so that it meets k others if the strip has them.

    There is a multiple of ``STEP`` slots on either side, which may reach into the padding.
    """
    most = STEP * (k // STEP + 1)
    before = min(most, (start - strips.begin[strip] + STEP - 1) // STEP * STEP)
    after = min(most, (max(0, strips.end[strip] - start - LANES) + STEP - 1) // STEP * STEP)
    return start - before, start + LANES + after


@njit(**WITHIN)
def _look_around(strips, strip, block, neighbors, search):
    """Find the nearest in a block and beside it, and the rectangle outside of which nothing is nearer.

    Rounding is monotone: if a difference of coordinates is below the distance, the rounded sums here agree.
    """
    start = _start_of(strips, strip, block)
    k = count(neighbors)
    memory = search.nearest[block * k * LANES : (block + 1) * k * LANES]
    nearest = empty(neighbors, memory)
    for lane in range(LANES):
        nearest = insert(nearest, farther(infinite_in(strips.x, lane), _distance(strips, start, start + lane)))
    before, after = _beside(strips, strip, start, k)
    for at in range(before, start, STEP):
        for step in range(STEP):
            nearest = insert(nearest, _distance(strips, start, at + step))
    for at in range(start + LANES, after, STEP):
        for step in range(STEP):
            nearest = insert(nearest, _distance(strips, start, at + step))
    keep(nearest, memory)
    x, y, reach = load(strips.x, start), load(strips.y, start), kth(nearest)
    search.box[4 * block], search.box[4 * block + 1] = lowest_difference(x, reach), highest_sum(x, reach)
    search.box[4 * block + 2], search.box[4 * block + 3] = lowest_difference(y, reach), highest_sum(y, reach)


@njit(**WITHIN)
def _plan(strips, strip, block, k, search):
    """Write the stretches that remain to be searched; return how many numbers that takes."""
    left, right = spread(search.box, 4 * block), spread(search.box, 4 * block + 1)
    low, high = spread(search.box, 4 * block + 2), spread(search.box, 4 * block + 3)
    n_strips, n = strips.begin.size, 0
    for other in range(
        _how_many_below(strips.last, 0, n_strips, left), _how_many_below(strips.first, 0, n_strips, right)
    ):
        begin, end = strips.begin[other], strips.end[other]
        first, stop = (
            begin + _how_many_below(strips.y, begin, end, low),
            begin + _how_many_below(strips.y, begin, end, high),
        )
        if other == strip:
            before, after = _beside(strips, strip, _start_of(strips, strip, block), k)
            n_steps = max(0, before - first + STEP - 1) // STEP
            search.stretches[n], search.stretches[n + 1] = before - n_steps * STEP, n_steps
            n += 2
            first = after
        search.stretches[n], search.stretches[n + 1] = first, max(0, stop - first + STEP - 1) // STEP
        n += 2
    return n


@njit(**WITHIN)
def _how_many_below(ascending, begin, end, values):
    """Count the places below each value, the padding behind them included.

    This compares all of them: the steps of a bisection would wait for one another.
    """
    total = 0
    for at in range(begin, end, LANES):
        total += count_below(load(ascending, at), values)
    return total


@njit(**WITHIN)
def _distance(strips, start, candidate):
    """Return the max-norm distance of a candidate from each query."""
    return largest(
        minus(load(strips.x, start), spread(strips.x, candidate)),
        minus(load(strips.y, start), spread(strips.y, candidate)),
    )
