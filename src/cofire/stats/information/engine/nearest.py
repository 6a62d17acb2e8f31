"""The k nearest distances of sixteen queries so far: in registers for a few neighbors, in memory for any number.

Compiled code takes ``neighbors``. It is a tuple of k infinities, so that k is part of the type, and the loop over the k
vectors is unrolled and stays in registers; or it is the number k, so that one compiled form serves every k. The
functions here choose between the two while numba compiles their callers.
"""

# numba's intrinsics take one argument less than they are written with.
# pyright: reportCallIssue=false

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from .simd import any_below, farther, insert_each, nearer
from .simd_memory import load, load_each, spread_each, store, store_each
from .strip_layout import LANES, WITHIN

OPTIONS: Any = WITHIN
COMPILED_ONLY = "only for compiled code"
MOST_UNROLLED = 16  # each k compiles anew, for some seconds; unrolled it takes half to two thirds of the time


def neighbors_of(k: int) -> Any:
    """Return what tells compiled code the number of neighbors."""
    return (np.float32(np.inf),) * k if k <= MOST_UNROLLED else k


def count(neighbors: Any) -> int:
    """Return k."""
    return neighbors if isinstance(neighbors, int) else len(neighbors)


def empty(neighbors: Any, memory: Any) -> Any:
    """Return k vectors of infinities; the memory is theirs, k vectors long."""
    raise NotImplementedError(COMPILED_ONLY)


def keep(nearest: Any, memory: Any) -> Any:
    """Write the vectors to their memory."""
    raise NotImplementedError(COMPILED_ONLY)


def kept(neighbors: Any, memory: Any) -> Any:
    """Return the vectors that were written to their memory."""
    raise NotImplementedError(COMPILED_ONLY)


def insert(nearest: Any, distance: Any) -> Any:
    """Return the vectors, ascending, after one more vector of distances."""
    raise NotImplementedError(COMPILED_ONLY)


def kth(nearest: Any) -> Any:
    """Return the vector of the k-th distances."""
    raise NotImplementedError(COMPILED_ONLY)


@overload(count, jit_options=OPTIONS)
def _count(neighbors):
    if isinstance(neighbors, types.BaseTuple):
        return lambda neighbors: len(neighbors)
    return lambda neighbors: neighbors


@overload(empty, jit_options=OPTIONS)
def _empty(neighbors, memory):
    if isinstance(neighbors, types.BaseTuple):
        return lambda neighbors, memory: spread_each(neighbors)

    def in_memory(neighbors, memory):
        for at in range(memory.size):
            memory[at] = np.inf
        return memory

    return in_memory


@overload(keep, jit_options=OPTIONS)
def _keep(nearest, memory):
    if isinstance(nearest, types.BaseTuple):
        return lambda nearest, memory: store_each(memory, 0, nearest)
    return lambda nearest, memory: None  # it is that memory


@overload(kept, jit_options=OPTIONS)
def _kept(neighbors, memory):
    if isinstance(neighbors, types.BaseTuple):
        return lambda neighbors, memory: load_each(memory, 0, neighbors)
    return lambda neighbors, memory: memory


@overload(insert, jit_options=OPTIONS)
def _insert(nearest, distance):
    if isinstance(nearest, types.BaseTuple):
        return lambda nearest, distance: insert_each(nearest, distance)

    def in_memory(nearest, distance):
        # with many neighbors, most candidates are farther than the k-th of every lane: the branch pays
        if any_below(distance, load(nearest, nearest.size - LANES)):
            for at in range(0, nearest.size, LANES):
                before = load(nearest, at)
                store(nearest, at, nearer(before, distance))
                distance = farther(before, distance)
        return nearest

    return in_memory


@overload(kth, jit_options=OPTIONS)
def _kth(nearest):
    if isinstance(nearest, types.BaseTuple):
        return lambda nearest: nearest[-1]
    return lambda nearest: load(nearest, nearest.size - LANES)
