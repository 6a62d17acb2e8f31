"""Checks whether one unit is a function of the other that is neither monotone nor near to it; compiled."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .arrangement import continuous_in_both
from .strip_layout import COMPILE, INNER
from .thresholds import (
    AGREE_BY_CHANCE,
    FEW_SAMPLES,
    FEWEST_IN_ROWS,
    FITTING_SHARE,
    IN_A_ROW,
    LINEAR_NEARBY,
    LINEAR_NEARBY_LEAST,
    PLACES,
    RANKS_APART,
)


@njit(**COMPILE)
def find_functions(units, pairs, by_x, out):
    """Find pairs in which one unit is a smooth function of the other, such as a sine of many periods.

    The samples of a function lie far from their neighbors on the curve once it turns often, so a search for neighbors
    in both units misses it; samples in a row in one unit do not.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        by_x: scratch space, shape (n_samples,).
        out: shape (n_pairs,), bool.
    """
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        out[pair] = _is_function(units, i, j, by_x) or _is_function(units, j, i, by_x)


@njit(**INNER)
def _is_function(units, i, j, by_x):
    """Return whether unit j is a smooth function of unit i."""
    n = continuous_in_both(units, i, j, by_x)
    apart = 1 + n // RANKS_APART
    reach = (IN_A_ROW - 1) * apart
    if n < FEWEST_IN_ROWS:
        return False
    tolerance = max(LINEAR_NEARBY_LEAST, LINEAR_NEARBY / n)
    n_fits = 0
    for place in range(PLACES):
        start = place * (n - reach - 1) // (PLACES - 1)
        n_fits += _lie_on_a_parabola(units.value[i], units.value[j], by_x, start, apart, tolerance)
    return n_fits > FITTING_SHARE * PLACES


@njit(**INNER)
def _lie_on_a_parabola(x, y, by_x, start, apart, tolerance):
    """Return whether the best parabola leaves less than ``tolerance`` of the variance of y over samples in a row."""
    center, level = np.float64(x[by_x[start + 2 * apart]]), np.float64(y[by_x[start + 2 * apart]])
    scale = np.float64(x[by_x[start + 4 * apart]]) - np.float64(x[by_x[start]])
    if scale <= 0:
        return False
    t1, t2, t3, t4, s0, s1, s2, yy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for at in range(IN_A_ROW):
        sample = by_x[start + at * apart]
        t, value = (np.float64(x[sample]) - center) / scale, np.float64(y[sample]) - level
        t1 += t
        t2 += t * t
        t3 += t * t * t
        t4 += t * t * t * t
        s0 += value
        s1 += value * t
        s2 += value * t * t
        yy += value * value
    # the moments about their means, and then the square without its linear part
    n = np.float64(IN_A_ROW)
    tt, tq, qq = t2 - t1 * t1 / n, t3 - t1 * t2 / n, t4 - t2 * t2 / n
    ty, qy, spread = s1 - t1 * s0 / n, s2 - t2 * s0 / n, yy - s0 * s0 / n
    if tt <= 0 or spread <= 0:
        return False
    rest, across = qq - tq * tq / tt, qy - tq * ty / tt
    explained = ty * ty / tt + (across * across / rest if rest > 1e-9 * qq else 0.0)
    return spread - explained < tolerance * spread


@njit(**COMPILE)
def find_determined(units, pairs, image, out):
    """Find pairs in which one unit takes one value wherever the other, most of whose values repeat, takes one.

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        image: scratch space, shape (n_samples,), integers.
        out: shape (n_pairs,): 1 where the first unit determines the second, 2 where it is the other way, else 0.
    """
    for pair in range(len(pairs)):
        i, j = pairs[pair]
        out[pair] = 1 if _determines(units, i, j, image) else (2 if _determines(units, j, i, image) else 0)


@njit(**INNER)
def _determines(units, i, j, image):
    n_levels = units.n_levels[i]
    if n_levels == 0:
        return False
    for level in range(n_levels):
        image[level] = -1
    for sample in range(units.level.shape[1]):
        level = units.level[i, sample]
        if image[level] < 0:
            image[level] = sample
        elif units.value[j, image[level]] != units.value[j, sample]:
            return False
    return True


def information_of_levels(values: NDArray[np.float32], n_levels: int) -> float:
    """Return the entropy of a unit that the levels of another determine, corrected by Miller and Madow.

    NaN if chance explains that it is determined: then independent units would agree as well.

    Args:
        values: samples of the determined unit.
        n_levels: number of levels of the other unit.
    """
    share = np.unique(values, return_counts=True)[1] / len(values)
    n_agreeing = len(values) - n_levels
    if len(values) < FEW_SAMPLES or n_agreeing * np.log(np.square(share).sum()) > np.log(AGREE_BY_CHANCE):
        return np.nan
    return float(-(share * np.log(share)).sum() + (len(share) - 1) / (2 * len(values)))
