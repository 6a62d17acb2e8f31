"""Units prepared for the measures of pairs: their atoms told apart, ties broken, heavy tails tamed."""

import numpy as np
import torch
from numpy.typing import NDArray

from .tie_breakers import tie_breakers
from .units import Units

FEW_LEVELS = 20
ATOM_SHARE, ATOM_COUNT, ABOVE_NEIGHBORS, NEIGHBORS = 0.02, 5, 5, 5
SMALL_REST = 0.05
HARDLY_TIED = 0.05


def standardized_units(x: NDArray[np.float64]) -> Units:
    """Units as they are, each divided by its deviation; ``x`` has shape (n_units, n_samples), none constant."""
    order = np.argsort(x, axis=1, kind="stable")
    value = standardized(x)
    counts = np.full(len(x), x.shape[1])
    ones = np.ones(len(x), np.int64)
    label = np.zeros(x.shape, np.int32)
    return Units(value, value, label, ones, order.astype(np.uint32), counts, np.zeros(len(x), np.bool_))


def scored_units(x: NDArray[np.float64]) -> Units:
    """Atoms as labels and the rest as normal scores, which no monotone map of a unit changes.

    Ties that are no atoms are broken at random, each unit by a seed made of its ranks: so equal input gives equal
    bits, and a unit's own scores do not depend on the others of its layer.
    """
    n_units, n_samples = x.shape
    order = np.argsort(x, axis=1, kind="stable")
    label, score = np.zeros(x.shape, np.int32), np.zeros(x.shape, np.float32)
    n_continuous, smooth = np.full(n_units, n_samples), np.ones(n_units, np.bool_)
    table: dict[int, NDArray[np.float32]] = {}
    for unit, (values, by_value) in enumerate(zip(x, order, strict=True)):
        if (np.diff(values[by_value]) == 0).any():
            label[unit], by_value[:], smooth[unit] = _without_ties(values)
        n_continuous[unit] = count = int((label[unit] == 0).sum())
        if count not in table:
            table[count] = _normal_scores(count)
        score[unit, by_value[:count]] = table[count]
    n_labels = label.max(axis=1).astype(np.int64) + 1
    return Units(score, standardized(x), label, n_labels, order.astype(np.uint32), n_continuous, smooth)


def standardized(x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows about their medians, where float32 is finest, in deviations; a constant row is zeros."""
    centered = x - np.median(x, axis=1, keepdims=True)
    largest = np.abs(centered).max(axis=1, keepdims=True)
    centered /= np.where(largest > 0, largest, 1)
    deviation = centered.std(axis=1, keepdims=True)
    return (centered / np.where(deviation > 0, deviation, 1)).astype(np.float32)


def _without_ties(values: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.intp], bool]:
    """Labels of the atoms; first the continuous samples, ascending, ties broken; whether these were few."""
    _, level, counts = np.unique(values, return_inverse=True, return_counts=True)
    is_atom = atoms(counts)
    label = np.where(is_atom, np.cumsum(is_atom), 0).astype(np.int32)[level]
    chance = tie_breakers(level.astype(np.int64), np.arange(len(values), dtype=np.int64))
    n_tied = counts[~is_atom & (counts > 1)].sum()
    smooth = bool(n_tied <= HARDLY_TIED * counts[~is_atom].sum())
    return label, np.lexsort((chance, level, label > 0)), smooth


def atoms(counts: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which levels, ascending, hold so many samples that rounding cannot be the reason.

    Few levels are all atoms. Otherwise an atom stands out of the five levels on either side of it, as rounded data do
    not. If what then remains is a handful of mostly tied samples, they are atoms too.
    """
    n_samples = counts.sum()
    if len(counts) <= max(2, min(FEW_LEVELS, n_samples / 10)):
        return np.ones(len(counts), np.bool_)
    is_atom = np.zeros(len(counts), np.bool_)
    for level in np.flatnonzero(counts >= max(ATOM_SHARE * n_samples, ATOM_COUNT)):
        beside = np.r_[counts[max(0, level - NEIGHBORS) : level], counts[level + 1 : level + 1 + NEIGHBORS]]
        is_atom[level] = counts[level] >= ABOVE_NEIGHBORS * np.median(beside)
    rest = counts[~is_atom]
    if rest.sum() <= SMALL_REST * n_samples and 2 * rest[rest > 1].sum() >= rest.sum():
        return np.ones(len(counts), np.bool_)
    return is_atom


def _normal_scores(count: int) -> NDArray[np.float32]:
    """Quantiles of the normal distribution, one for each rank."""
    shares = (torch.arange(count, dtype=torch.float64, device="cpu") + 0.5) / max(count, 1)
    return torch.special.ndtri(shares).float().numpy()
