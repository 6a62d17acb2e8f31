"""Two units laid out for the neighbor search, from orders that were found once per unit; compiled."""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .strip_layout import INNER, LANES, PAD
from .strips import Strips, empty_search


class Room(NamedTuple):
    """Scratch space that one thread uses for pair after pair."""

    x: Any
    y: Any
    distance: Any
    sample: Any
    begin: Any
    end: Any
    free: Any
    first: Any
    last: Any
    strip_of: Any
    by_x: Any
    by_y: Any
    sorted_x: Any
    sorted_y: Any
    counts: Any
    search: Any


def empty_room(n_samples: int, k: int) -> Room:
    """Return scratch space for pairs of units with this many samples."""
    size = _strip_size(n_samples)
    n_slots, n_strips = 4 * n_samples + 16 * PAD, n_samples // LANES + 1
    x, y, distance = np.zeros((3, n_slots), np.float32)
    begin, end = np.zeros((2, n_strips), np.intp)
    first, last = np.zeros((2, n_strips + LANES), np.float32)
    strip_of, by_x, by_y = np.zeros((3, n_samples), np.uint32)
    sorted_x, sorted_y = np.zeros((2, n_samples), np.float32)
    return Room(
        x, y, distance, np.zeros(n_slots, np.uint32), begin, end, np.zeros(n_strips, np.uint32), first, last,
        strip_of, by_x, by_y, sorted_x, sorted_y,
        counts=np.zeros(2 * LANES, np.int32),
        search=empty_search(size // LANES, n_strips, k),
    )  # fmt: skip


def _strip_size(n_points: int) -> int:
    """Return the number of points in a strip: with it, the sixteen points of a block span about a square."""
    return LANES * max(1, round(3 * math.sqrt(n_points) / LANES))


strip_size = njit(**INNER)(_strip_size)


@njit(**INNER)
def continuous_in_both(units, i, j, out):
    """Write the samples that are continuous in both units, by ascending score of the first; return their number."""
    n_both = 0
    for place in range(units.n_continuous[i]):
        sample = units.order[i, place]
        out[n_both] = sample
        n_both += units.label[j, sample] == 0
    return n_both


@njit(**INNER)
def arrange_by_x(x, by_x, room):
    """Cut the samples into strips along x, and note the strip of each sample."""
    size = strip_size(by_x.size)
    strips = _empty_strips(room, by_x.size, size)
    for strip in range(strips.begin.size):
        start, stop = strip * size, min((strip + 1) * size, by_x.size)
        strips.first[strip], strips.last[strip] = x[by_x[start]], x[by_x[stop - 1]]
        for rank in range(start, stop):
            room.strip_of[by_x[rank]] = strip
    return strips


@njit(**INNER)
def _empty_strips(room, n_points, size):
    n_strips = -(-n_points // size)
    begin, end = room.begin[:n_strips], room.end[:n_strips]
    for strip in range(n_strips):
        begin[strip] = PAD + strip * (size + 2 * PAD)
        end[strip] = begin[strip] + min(size, n_points - strip * size)
        for pad in range(PAD):
            room.y[begin[strip] - PAD + pad] = -np.inf
            room.y[end[strip] + pad] = np.inf
    for pad in range(LANES):
        room.first[n_strips + pad] = room.last[n_strips + pad] = np.inf
    return Strips(room.x, room.y, begin, end, room.first, room.last)


@njit(**INNER)
def arrange_by_y(x, y, by_y, room, strips):
    """Put the samples into their strips by ascending y: one pass, as the order by y is known."""
    for strip in range(strips.begin.size):
        room.free[strip] = strips.begin[strip]
    for rank in range(by_y.size):
        sample = by_y[rank]
        strip = room.strip_of[sample]
        slot = room.free[strip]
        room.free[strip] = slot + 1
        strips.x[slot] = x[sample]
        strips.y[slot] = y[sample]
        room.sample[slot] = sample
