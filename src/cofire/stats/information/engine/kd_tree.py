"""The compiled search for k-th neighbors among points of any dimension: vectors of queries on a k-d tree.

Each leaf is a block of as many points as a vector has lanes, and the points of a block are queries that move together.
They climb from their leaf to the root, and on the way search every subtree whose box is nearer to any of them than its
k-th neighbor so far. Candidates are broadcast to the lanes, so no branch depends on a single query.
"""

# numba's intrinsics take one argument less than they are written with.
# pyright: reportCallIssue=false

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from .simd import any_below, beyond, farther, gap, insert_each, plus, times
from .simd_memory import infinite_in, load, spread, spread_each, store
from .strip_layout import COMPILE, INNER

WIDTH = 8
MOST_NEIGHBORS = 16  # beyond, compiling for each k takes too long
WORTH_THREADS = 1 << 12


def kth_distances(columns: NDArray[np.float64], k: int, euclidean: bool) -> NDArray[np.float64]:
    """Return the distance of each point to its k-th other, under the max-norm or the Euclidean one.

    Args:
        columns: points, C-contiguous, shape (n_axes, n_points).
        k: which other; each k compiles anew.
        euclidean: the norm.
    """
    n_axes, n_points = columns.shape
    tree = empty_tree(n_points, n_axes)
    build(tree, columns)
    n_blocks = -(-n_points // WIDTH)
    out = np.empty(n_blocks * WIDTH)
    n_threads = torch.get_num_threads() if columns.size > WORTH_THREADS else 1
    bounds = pairwise(n_blocks * thread // n_threads for thread in range(n_threads + 1))
    squared = True if euclidean else None  # a type of its own, so that the choice costs nothing in the loops
    with ThreadPoolExecutor(n_threads) as threads:
        parts = [threads.submit(kth_in_tree, tree, n_axes, (np.inf,) * k, squared, *ends, out) for ends in bounds]
        for part in parts:
            part.result()
    distances = np.empty(n_points)
    distances[tree.order] = out[:n_points]
    return np.sqrt(distances) if euclidean else distances


class Tree(NamedTuple):
    """Nodes in preorder: the left child follows its parent, and a leaf is a node whose subtree is itself.

    Attributes:
        begin: the first block of each node, shape (n_nodes,).
        after: the node after its subtree, shape (n_nodes,).
        parent: shape (n_nodes,).
        low, high: corners of each node's box, axis after axis, shape (n_nodes * n_axes,).
        order: which point stands in which slot, shape (n_points,).
        points: block after block, in it axis after axis, one slot a lane; padded with infinities.
    """

    begin: Any
    after: Any
    parent: Any
    low: Any
    high: Any
    order: Any
    points: Any


def empty_tree(n_points: int, n_axes: int) -> Tree:
    """Return an empty tree for this many points."""
    n_blocks = -(-n_points // WIDTH)
    n_nodes = 2 * n_blocks - 1
    begin, after, parent = np.zeros((3, n_nodes), np.intp)
    low, high = np.empty((2, n_nodes * n_axes))
    return Tree(begin, after, parent, low, high, np.arange(n_points), np.full(n_blocks * n_axes * WIDTH, np.inf))


@njit(**COMPILE)
def build(tree, columns):
    """Fill the tree from points, shape (n_axes, n_points): each node is halved across its longest side."""
    n_points = columns.shape[1]
    tree.after[0] = tree.after.size
    for node in range(tree.after.size):
        n_blocks = (tree.after[node] - node + 1) // 2
        start = tree.begin[node] * WIDTH
        stop = min(start + n_blocks * WIDTH, n_points)
        axis = _bound(tree, columns, node, start, stop)
        if n_blocks == 1:
            _place(tree, columns, tree.begin[node], start, stop)
        else:
            middle = tree.begin[node] + n_blocks // 2
            _partition(columns[axis], tree.order, start, stop, middle * WIDTH)
            right = node + 2 * (n_blocks // 2)
            tree.begin[node + 1], tree.begin[right] = tree.begin[node], middle
            tree.after[node + 1], tree.after[right] = right, tree.after[node]
            tree.parent[node + 1] = tree.parent[right] = node


@njit(**INNER)
def _bound(tree, columns, node, start, stop):
    """Write the node's box; return its longest axis."""
    longest, widest = 0, -1.0
    n_axes = len(columns)
    for axis in range(n_axes):
        column = columns[axis]
        low = high = column[tree.order[start]]
        for slot in range(start + 1, stop):
            value = column[tree.order[slot]]
            low, high = min(low, value), max(high, value)
        tree.low[node * n_axes + axis], tree.high[node * n_axes + axis] = low, high
        if high - low > widest:
            longest, widest = axis, high - low
    return longest


@njit(**INNER)
def _place(tree, columns, block, start, stop):
    n_axes = len(columns)
    for axis in range(n_axes):
        for slot in range(start, stop):
            tree.points[(block * n_axes + axis) * WIDTH + slot - start] = columns[axis, tree.order[slot]]


@njit(**INNER)
def _partition(values, order, start, stop, middle):
    """Reorder ``order[start:stop]`` so that no value before slot ``middle`` exceeds one from there on (Hoare)."""
    low, high = start, stop - 1
    while low < high:
        pivot = values[order[(low + high) // 2]]
        i, j = low, high
        while i <= j:
            while values[order[i]] < pivot:
                i += 1
            while values[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            break


@njit(**COMPILE)
def kth_in_tree(tree, n_axes, infinities, squared, start_block, stop_block, out):
    """Write the distances of the points in some blocks to their k-th others to their slots of ``out``.

    Args:
        tree: the points.
        n_axes: their dimension.
        infinities: k infinities, a tuple, so that the compiler knows k.
        squared: None for distances under the max-norm, else for squares of Euclidean ones.
        start_block: the first block to do.
        stop_block: one past the last.
        out: shape (n_blocks * WIDTH,).
    """
    for block in range(start_block, stop_block):
        nearest = spread_each(infinities)
        for lane in range(WIDTH):
            far = _distance(tree, n_axes, block, block, lane, squared)
            nearest = insert_each(nearest, farther(far, infinite_in(tree.points, lane)))
        node = _leaf_of(tree, block)
        while node > 0:
            parent = tree.parent[node]
            sibling = tree.after[node] if node == parent + 1 else parent + 1
            nearest = _below(tree, n_axes, block, sibling, squared, nearest)
            node = parent
        store(out, block * WIDTH, nearest[-1])


@njit(**INNER)
def _leaf_of(tree, block):
    node = 0
    while tree.after[node] > node + 1:
        right = tree.after[node + 1]
        node = right if tree.begin[right] <= block else node + 1
    return node


@njit(**INNER)
def _below(tree, n_axes, block, node, squared, nearest):
    """Search the subtree of a node."""
    stop = tree.after[node]
    while node < stop:
        if not any_below(_to_box(tree, n_axes, block, node, squared), nearest[-1]):
            node = tree.after[node]
            continue
        if tree.after[node] == node + 1:
            for lane in range(WIDTH):
                nearest = insert_each(nearest, _distance(tree, n_axes, block, tree.begin[node], lane, squared))
        node += 1
    return nearest


@njit(**INNER)
def _to_box(tree, n_axes, block, node, squared):
    """Return a lower bound on the distance to any point of the node; rounding is monotone, so it stays one."""
    query, corner = block * n_axes * WIDTH, node * n_axes
    far = beyond(load(tree.points, query), spread(tree.low, corner), spread(tree.high, corner))
    far = far if squared is None else times(far, far)
    for axis in range(1, n_axes):
        here = load(tree.points, query + axis * WIDTH)
        apart = beyond(here, spread(tree.low, corner + axis), spread(tree.high, corner + axis))
        far = _with_axis(far, apart, squared)
    return far


@njit(**INNER)
def _distance(tree, n_axes, block, other, lane, squared):
    query, candidate = block * n_axes * WIDTH, other * n_axes * WIDTH + lane
    far = gap(load(tree.points, query), spread(tree.points, candidate))
    far = far if squared is None else times(far, far)
    for axis in range(WIDTH, n_axes * WIDTH, WIDTH):
        far = _with_axis(far, gap(load(tree.points, query + axis), spread(tree.points, candidate + axis)), squared)
    return far


@njit(**INNER)
def _with_axis(far, apart, squared):
    return farther(far, apart) if squared is None else plus(far, times(apart, apart))
