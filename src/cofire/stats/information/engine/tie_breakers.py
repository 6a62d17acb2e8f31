"""Which of tied samples comes first: numbers as if at random, hashed from the unit's ranks, alike on every device."""

from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Integers = TypeVar("Integers", NDArray[np.int64], Tensor)


def tie_breakers(level: Integers, place: Integers) -> Integers:
    """A number for each sample, drawn by a seed made of the levels of all.

    Args:
        level: how many distinct values are below each sample, int64, shape (..., n_samples).
        place: 0 … n_samples − 1, likewise, where the levels are.

    Returns:
        Int64, the shape of the levels.
    """
    seed = cast("Integers", (level * _mixed(place + 1)).sum(-1)[..., None])
    return _mixed(place + _mixed(seed))


def _mixed(numbers: Integers) -> Integers:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014); products wrap, as those of its unsigned numbers do."""
    numbers = numbers * -7046029254386353131
    numbers = (numbers ^ _shifted(numbers, 30)) * -4658895280553007687
    numbers = (numbers ^ _shifted(numbers, 27)) * -7723592293110705685
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Integers, by: int) -> Integers:
    """To the right, and zeros from the left."""
    return (numbers >> by) & ((1 << (64 - by)) - 1)
