"""Two units laid out for the search of neighbors, from orders that were found once a unit; compiled."""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ._counts import LANES
from ._strips import INNER, Strips, padding

PAD = padding(4)


class Units(NamedTuple):
    """A layer's units, each prepared once.

    Attributes:
        score: what distances are taken of, float32, shape (n_units, n_samples).
        value: the samples themselves, up to an affine map, float32, shape (n_units, n_samples).
        label: 0 where the sample is continuous, else the number of its atom, int32, shape (n_units, n_samples).
        n_labels: one more than the largest label, shape (n_units,).
        order: the samples of label 0 by ascending score, then anything, int32, shape (n_units, n_samples).
        n_continuous: how many those are, shape (n_units,).
        smooth: whether hardly any of them are tied, shape (n_units,).
    """

    score: Any
    value: Any
    label: Any
    n_labels: Any
    order: Any
    n_continuous: Any
    smooth: Any


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
    rank_of: Any
    by_x: Any
    sorted_x: Any
    sorted_y: Any
    counts: Any
    table: Any
    start: Any


def empty_room(n_samples: int, most_labels: int) -> Room:
    """Room for pairs of units with so many labels, the continuous one included."""
    n_slots, n_strips = 4 * n_samples + 16 * PAD, n_samples // LANES + 1
    x, y, distance = np.zeros((3, n_slots), np.float32)
    begin, end, free = np.zeros((3, n_strips), np.intp)
    first, last = np.zeros((2, n_strips), np.float32)
    strip_of, rank_of, by_x = np.zeros((3, n_samples), np.int32)
    sorted_x, sorted_y = np.zeros((2, n_samples), np.float32)
    return Room(
        x, y, distance, np.zeros(n_slots, np.int32), begin, end, free, first, last, strip_of, rank_of, by_x,
        sorted_x, sorted_y,
        counts=np.zeros(2 * LANES, np.int32),
        table=np.zeros((most_labels, most_labels), np.intp),
        start=np.zeros(most_labels + 1, np.intp),
    )  # fmt: skip


@njit(**INNER)
def arrange_by_x(units, i, j, n_both, room):
    """Cut the samples that are continuous in both units into strips by the first; whence they go is noted."""
    size = LANES * max(1, round(3 * math.sqrt(n_both) / LANES))
    strips = _empty_strips(room, n_both, size)
    rank, strip, until = 0, -1, 0
    for place in range(units.n_continuous[i]):
        sample = units.order[i, place]
        if units.label[j, sample] == 0:
            x = units.score[i, sample]
            if rank == until:
                strip += 1
                until += size
                strips.first[strip] = x
            strips.last[strip] = x
            room.strip_of[sample] = strip
            room.rank_of[sample] = rank
            room.by_x[rank] = sample
            room.sorted_x[rank] = x
            rank += 1
    return strips


@njit(**INNER)
def _empty_strips(room, n_points, size):
    n_strips = -(-n_points // size)
    begin, end = room.begin[:n_strips], room.end[:n_strips]
    for strip in range(n_strips):
        begin[strip] = PAD + strip * (size + 2 * PAD)
        end[strip] = begin[strip] + min(size, n_points - strip * size)
        room.free[strip] = begin[strip]
        for pad in range(PAD):
            room.y[begin[strip] - PAD + pad] = -np.inf
            room.y[end[strip] + pad] = np.inf
    return Strips(room.x, room.y, begin, end, room.first[:n_strips], room.last[:n_strips])


@njit(**INNER)
def arrange_by_y(units, i, j, room, strips):
    """Put the samples into their strips, by ascending y."""
    rank = 0
    for place in range(units.n_continuous[j]):
        sample = units.order[j, place]
        if units.label[i, sample] == 0:
            strip = room.strip_of[sample]
            slot = room.free[strip]
            room.free[strip] = slot + 1
            strips.x[slot] = units.score[i, sample]
            strips.y[slot] = units.score[j, sample]
            room.sample[slot] = sample
            room.sorted_y[rank] = strips.y[slot]
            rank += 1
