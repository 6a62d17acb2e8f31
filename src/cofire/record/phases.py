"""Phases of a series: growth up to a peak and the fall after it, each tested against noise."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..stats._base.student_t import student_tail

SHORTEST = 8
"""Fewest values from which the noise of a single series can be estimated."""


@dataclass(frozen=True)
class Change:
    """A rise or a fall between two steps.

    Attributes:
        size: how far, positive in the phase's own direction.
        standard_error: standard error of the size.
        p_value: probability that noise alone shows such a size anywhere in the series.
    """

    size: float
    standard_error: float
    p_value: float


@dataclass(frozen=True)
class Phases:
    """Where a series rose and fell.

    Attributes:
        start: the step from which it grew.
        peak: the step of the peak.
        end: the step to which it fell.
        growth: from start to peak.
        decorrelation: from peak to end.
        level: the p-value below which a phase counts as found.
    """

    start: int
    peak: int
    end: int
    growth: Change
    decorrelation: Change
    level: float

    @property
    def grew(self) -> bool:
        """Whether growth was found."""
        return self.growth.p_value < self.level

    @property
    def decorrelated(self) -> bool:
        """Whether a fall was found."""
        return self.decorrelation.p_value < self.level

    def __str__(self) -> str:
        """Return the phases as text."""
        found = []
        if self.grew:
            found.append(f"growth by {self.growth.size:.3g} from step {self.start} to {self.peak}")
        if self.decorrelated:
            found.append(f"decorrelation by {self.decorrelation.size:.3g} from step {self.peak} to {self.end}")
        return ", then ".join(found) or "no phase found"


def find_phases(
    values: Any, steps: Sequence[int] | None = None, *, noise: float | None = None, level: float = 0.05
) -> Phases:
    r"""Find growth, peak and decorrelation in one series, or in a series for each of several seeds.

    The peak maximizes the sum of the rise up to it and the fall after it, on the mean over seeds; start and end are the
    lowest values on either side.

    Several seeds: the steps for one seed are chosen on the mean of the *others*, so that its own noise has no
    influence, and its sizes are read at these steps. A one-sided Student's t test of the sizes gives the p-value; the
    noise is the spread between seeds. Each seed influences the others' steps, so the sizes are not independent:
    their standard error is widened by √(1 + n/(n − 1)) for n seeds, as Nadeau and Bengio do for cross-validation.

    One series: noise is assumed to be white and normal. Its standard deviation is ``noise``, or is estimated from
    second differences, to which a smooth course adds little. The p-value is that of one pair of values times the number
    of pairs (Bonferroni), because the largest was picked.

    Args:
        values: shape (n_steps,) or (n_seeds, n_steps); finite.
        steps: steps of the values, increasing; by default 0, 1, 2, ...
        noise: for one series, the standard deviation of a value at one step, as between seeds.
        level: the p-value below which a phase counts as found.

    Returns:
        `Phases`, also for a series without any, or one that only rises or only falls.

    Raises:
        ValueError: if shapes do not fit, a value is not finite, the noise is given for several seeds or is not
            positive, or a single series without ``noise`` has fewer than 8 values.

    Bias: sizes over seeds are unbiased for the chosen steps and a little below those of the best steps. The size of one
        series is too large by what noise adds to the largest difference.

    Level: in 1500 series of noise, white or a random walk, of 8 to 100 steps, each phase was found in 2 to 7 % for 2 to
        5 seeds at a level of 5 %, in up to 9 % for 10 seeds of white noise, and in up to 1 % for one series.

    References: Nadeau and Bengio 2003, for the widening.

    Example:
        >>> course = [0.10, 0.15, 0.22, 0.30, 0.33, 0.30, 0.26, 0.22, 0.20, 0.19]
        >>> print(find_phases(course, noise=0.01))
        growth by 0.23 from step 0 to 4, then decorrelation by 0.14 from step 4 to 9
        >>> print(find_phases([0.2, 0.21, 0.19, 0.2], noise=0.01))
        no phase found
    """
    series = np.atleast_2d(np.asarray(values, dtype=np.float64))
    at = list(range(series.shape[1])) if steps is None else [int(step) for step in steps]
    _check(series, at, noise, level)
    start, peak, end = _turns(series.mean(0))
    if len(series) > 1:
        rises, falls = _held_out(series)
        growth, decorrelation = _over_seeds(rises), _over_seeds(falls)
    else:
        sizes = _sizes(series[0], start, peak, end)
        growth, decorrelation = (_in_one(series[0], size, noise) for size in sizes)
    return Phases(at[start], at[peak], at[end], growth, decorrelation, level)


def _check(series: NDArray[np.float64], steps: Sequence[int], noise: float | None, level: float) -> None:
    if series.ndim != 2 or series.shape[1] < 2:
        raise ValueError(f"values must be (n_steps,) or (n_seeds, n_steps) with 2 steps or more, got {series.shape}")
    if len(steps) != series.shape[1] or any(a >= b for a, b in pairwise(steps)):
        raise ValueError(f"steps must rise, one for each of the {series.shape[1]} values; got {list(steps)}")
    if not np.isfinite(series).all():
        raise ValueError("values must be finite; leave out steps at which a correlation is undefined")
    check_level(level)
    check_noise(len(series), noise)
    if noise is None and len(series) == 1 and series.shape[1] < SHORTEST:
        raise ValueError(
            f"a single series needs {SHORTEST} values to estimate its noise, got {series.shape[1]}; give noise or seeds"
        )


def check_level(level: float) -> None:
    """Refuse a level that is not a p-value."""
    if not 0 < level < 1:
        raise ValueError(f"level is a p-value, between 0 and 1; got {level!r}")


def check_noise(n_series: int, noise: float | None) -> None:
    """Refuse noise that is not positive, or given for several series."""
    if noise is not None and (n_series > 1 or not noise > 0):
        raise ValueError(f"noise is a positive number, for one series only; got {noise!r} for {n_series} series")


def _turns(course: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return the indices of the start, the peak and the end."""
    rise = course - np.minimum.accumulate(course)
    fall = course - np.minimum.accumulate(course[::-1])[::-1]
    peak = int((rise + fall).argmax())
    return int(course[: peak + 1].argmin()), peak, peak + int(course[peak:].argmin())


def _sizes(course: NDArray[np.float64], start: int, peak: int, end: int) -> tuple[float, float]:
    return float(course[peak] - course[start]), float(course[peak] - course[end])


def _held_out(series: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Return each seed's rise and fall between the turns of the others' mean."""
    others = (series.sum(0) - series) / (len(series) - 1)
    sizes = [_sizes(own, *_turns(mean)) for own, mean in zip(series, others, strict=True)]
    return [rise for rise, _ in sizes], [fall for _, fall in sizes]


def _over_seeds(sizes: Sequence[float]) -> Change:
    n_seeds = len(sizes)
    error = float(np.std(sizes, ddof=1)) * math.sqrt(1 / n_seeds + 1 / (n_seeds - 1))
    return _change(float(np.mean(sizes)), error, lambda t: student_tail(t, n_seeds - 1))


def _in_one(course: NDArray[np.float64], size: float, noise: float | None) -> Change:
    """Return the change in one series; without ``noise``, it is estimated from second differences."""
    # White noise of variance s² has second differences of variance 6 s², about half of them independent.
    n_values = len(course)
    n_pairs, freedom = n_values * (n_values - 1) / 2, (n_values - 2) // 2
    if noise is None:
        sigma = math.sqrt(float(np.square(np.diff(course, 2)).mean()) / 6)
        return _change(size, sigma * math.sqrt(2), lambda t: n_pairs * student_tail(t, freedom))
    return _change(size, noise * math.sqrt(2), lambda t: n_pairs * math.erfc(t / math.sqrt(2)) / 2)


def _change(size: float, error: float, tail: Callable[[float], float]) -> Change:
    if error == 0:
        return Change(size, 0.0, 0.0 if size > 0 else 1.0)
    return Change(size, error, min(1.0, tail(size / error)))
