"""Units prepared for the pair search: atoms labeled, ties broken, samples standardized or mapped to normal scores."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .thresholds import (
    ATOM_COUNT,
    ATOM_PROMINENCE,
    ATOM_SHARE,
    DISCRETE_REST,
    FEW_LEVELS,
    LEVELS_BESIDE,
    SMOOTH_TIES,
    UNTIED_SHARE,
)


class Units(NamedTuple):
    """The units of a layer, each prepared once for all of its pairs.

    Attributes:
        score: the numbers that distances are computed from, float32, shape (n_units, n_samples).
        value: the samples themselves, up to an affine map, float32, shape (n_units, n_samples).
        label: 0 where the sample is continuous, else the number of its atom, int32, shape (n_units, n_samples).
        n_labels: one more than the largest label, shape (n_units,).
        order: the samples of label 0 by ascending score, then the others, uint32, shape (n_units, n_samples).
        n_continuous: number of samples of label 0, shape (n_units,).
        smooth: whether hardly any of those are tied, shape (n_units,).
        level: how many distinct values lie below each sample, of units that repeat nearly all of their values without
            being atoms throughout, int32, shape (n_units, n_samples); 0 for other units.
        n_levels: number of distinct values of those units, 0 for others, shape (n_units,).
    """

    score: Any
    value: Any
    label: Any
    n_labels: Any
    order: Any
    n_continuous: Any
    smooth: Any
    level: Any
    n_levels: Any


def standardized_units(x: NDArray[np.float64]) -> Units:
    """Prepare units without atoms, divided by their deviations; ``x`` has shape (n_units, n_samples), none constant."""
    order = np.argsort(x, axis=1, kind="stable")
    value = standardized(x)
    counts = np.full(len(x), x.shape[1])
    ones = np.ones(len(x), np.int64)
    label = np.zeros(x.shape, np.int32)
    no = np.zeros(len(x), np.bool_)
    return Units(value, value, label, ones, order.astype(np.uint32), counts, no, label, np.zeros(len(x), np.int64))


def scored_units(x: NDArray[np.float64]) -> Units:
    """Prepare units with atoms as labels and the rest as normal scores, which no monotone map of a unit changes.

    Other ties are broken at random, each unit by a seed made from its ranks. So equal input gives equal bits, and the
    scores of a unit do not depend on the other units of its layer.
    """
    n_units, n_samples = x.shape
    order = np.argsort(x, axis=1, kind="stable")
    label, level, score = np.zeros(x.shape, np.int32), np.zeros(x.shape, np.int32), np.zeros(x.shape, np.float32)
    n_continuous, smooth, n_levels = (
        np.full(n_units, n_samples),
        np.ones(n_units, np.bool_),
        np.zeros(n_units, np.int64),
    )
    table: dict[int, NDArray[np.float32]] = {}
    for unit, (values, by_value) in enumerate(zip(x, order, strict=True)):
        if (np.diff(values[by_value]) == 0).any():
            _, levels, shared = np.unique(values, return_inverse=True, return_counts=True)
            label[unit], by_value[:], smooth[unit] = _without_ties(levels, shared)
            if (shared == 1).sum() <= UNTIED_SHARE * n_samples and (label[unit] == 0).any():
                level[unit], n_levels[unit] = levels, len(shared)
        n_continuous[unit] = count = int((label[unit] == 0).sum())
        if count not in table:
            table[count] = _normal_scores(count)
        score[unit, by_value[:count]] = table[count]
    n_labels = label.max(axis=1).astype(np.int64) + 1
    ranked = order.astype(np.uint32)
    return Units(score, standardized(x), label, n_labels, ranked, n_continuous, smooth, level, n_levels)


def standardized(x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Center rows at their medians, where float32 is finest, and divide by deviations; a constant row becomes zeros."""
    centered = x - np.median(x, axis=1, keepdims=True)
    largest = np.abs(centered).max(axis=1, keepdims=True)
    centered /= np.where(largest > 0, largest, 1)
    deviation = centered.std(axis=1, keepdims=True)
    return (centered / np.where(deviation > 0, deviation, 1)).astype(np.float32)


def _without_ties(
    level: NDArray[np.intp], counts: NDArray[np.intp]
) -> tuple[NDArray[np.int32], NDArray[np.intp], bool]:
    """Return labels of atoms, an order with the continuous samples first and ties broken, and whether ties were few."""
    is_atom = atoms(counts)
    label = np.where(is_atom, np.cumsum(is_atom), 0).astype(np.int32)[level]
    chance = tie_breakers(level.astype(np.int64))
    n_tied = counts[~is_atom & (counts > 1)].sum()
    smooth = bool(n_tied <= SMOOTH_TIES * counts[~is_atom].sum())
    return label, np.lexsort((chance, level, label > 0)), smooth


def atoms(counts: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which levels, ascending, hold more samples than rounding explains.

    If there are few levels, all are atoms. Otherwise an atom stands out from the five levels on either side of it,
    which rounded data do not. If only a few, mostly tied, samples remain, they are atoms too.
    """
    n_samples = counts.sum()
    if len(counts) <= max(2, min(FEW_LEVELS, n_samples / 10)):
        return np.ones(len(counts), np.bool_)
    is_atom = np.zeros(len(counts), np.bool_)
    for level in np.flatnonzero(counts >= max(ATOM_SHARE * n_samples, ATOM_COUNT)):
        beside = np.r_[counts[max(0, level - LEVELS_BESIDE) : level], counts[level + 1 : level + 1 + LEVELS_BESIDE]]
        is_atom[level] = counts[level] >= ATOM_PROMINENCE * np.median(beside)
    rest = counts[~is_atom]
    if rest.sum() <= DISCRETE_REST * n_samples and 2 * rest[rest > 1].sum() >= rest.sum():
        return np.ones(len(counts), np.bool_)
    return is_atom


def _normal_scores(count: int) -> NDArray[np.float32]:
    """Return the quantiles of the normal distribution, one for each rank."""
    from scipy.special import ndtri

    return ndtri((np.arange(count) + 0.5) / max(count, 1)).astype(np.float32)


def tie_breakers(level: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number for each sample, as if at random, from a seed made of the levels of all samples.

    Args:
        level: how many distinct values are below each sample, shape (n_samples,).
    """
    place = np.arange(len(level))
    seed = (level * _mixed(place + 1)).sum(keepdims=True)  # an array: numpy warns where a scalar wraps
    return _mixed(place + _mixed(seed))


def _mixed(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Apply the finalizer of SplitMix64 (Steele, Lea and Flood 2014).

    It is defined on unsigned numbers whose products wrap; these wrap likewise, and shifts bring in zeros.
    """
    bits = numbers.astype(np.uint64)
    bits = bits * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (bits ^ (bits >> np.uint64(31))).astype(np.int64)
