"""Checks of single arguments: whole numbers, real numbers, names and flags.

Python takes True for 1 and lets NaN pass every comparison the wrong way round, so no argument is used unchecked.
"""

from collections.abc import Iterable
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
from torch import Tensor

MOST_SEED = 2**64 - 1


def check_count(value: Any, name: str, *, least: int = 1, most: float = inf) -> int:
    """Return a whole number within bounds as an int.

    Raises:
        ValueError: for anything else, booleans and 2.0 included.

    Example:
        >>> check_count(3, "bins")
        3
        >>> check_count(True, "bins")
        Traceback (most recent call last):
        ...
        ValueError: bins must be a whole number of at least 1, got True
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= int(value) <= most:
        upto = f" and at most {most:,}" if whole and int(value) > most else ""
        raise ValueError(f"{name} must be a whole number of at least {least}{upto}, got {_shown(value)}")
    return int(value)


def check_seed(seed: Any) -> int:
    """Return a random seed that torch and numpy take.

    Raises:
        ValueError: unless it is a whole number from 0 to 2⁶⁴ − 1.
    """
    return check_count(seed, "seed", least=0, most=MOST_SEED)


def check_number(
    value: Any, name: str, *, least: float = -inf, above: float = -inf, most: float = inf, below: float = inf
) -> float:
    """Return a finite real number within bounds as a float; arrays and tensors of one number count as numbers.

    Args:
        value: the argument.
        name: its name.
        least: the smallest value allowed.
        above: a bound that the value must exceed.
        most: the largest value allowed.
        below: a bound that the value must stay under.

    Raises:
        ValueError: for anything else, booleans, NaN and infinities included.

    Example:
        >>> check_number(0.95, "level", above=0, below=1)
        0.95
        >>> check_number(float("nan"), "level", above=0, below=1)
        Traceback (most recent call last):
        ...
        ValueError: level must be above 0 and below 1, got nan
    """
    number = as_number(value)
    if not (number is not None and isfinite(number) and least <= number <= most and above < number < below):
        low = f"above {above:g}" if above > -inf else f"at least {least:g}" if least > -inf else "a number"
        high = f"below {below:g}" if below < inf else f"at most {most:g}" if most < inf else "finite"
        raise ValueError(f"{name} must be {low} and {high}, got {_shown(value)}")
    return number


def as_number(value: Any) -> float | None:
    """Return a real number as a float, infinite if float64 cannot hold it; None for booleans and all else."""
    if isinstance(value, Tensor | np.ndarray) and value.ndim == 0:
        if isinstance(value, Tensor) and value.is_meta:
            return None
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number may be of any size
        return inf if cast("int", value) > 0 else -inf


def check_choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """Return one of several names.

    Raises:
        ValueError: for anything else.
    """
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {_shown(value)}")
    return value


def check_flag(value: Any, name: str) -> bool:
    """Return True or False.

    Raises:
        ValueError: for anything else: a text such as "no" would count as true.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {_shown(value)}")
    return bool(value)


def _shown(value: Any) -> str:
    """Return an argument as an error message shows it: arrays by shape, long texts cut."""
    if isinstance(value, Tensor | np.ndarray) and value.ndim:
        return f"{'a tensor' if isinstance(value, Tensor) else 'an array'} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
