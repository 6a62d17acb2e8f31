"""Numbers with their uncertainty over repetitions: means, changes, shares; and arithmetic repetition by repetition."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Protocol

from ...stats._base.student_t import student_quantile, student_tail
from .claim_table import MissingRows

Values = Mapping[int, float]
"""A number for each repetition, by its seed."""
LEVEL = 0.025
"""Of a test to one side; an interval has this much on either side."""


class Uncertain(Protocol):
    """A number that tells how sure it is to lie above or below another."""

    @property
    def effect(self) -> float:
        """The number."""
        ...

    @property
    def error(self) -> float:
        """Its standard error."""
        ...

    @property
    def n(self) -> int:
        """Number of repetitions."""
        ...

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        ...

    def p_above(self, bar: float) -> float:
        """Return the p-value of the test that it lies above a bar."""
        ...

    def p_below(self, bar: float) -> float:
        """Return the p-value of the test that it lies below a bar."""
        ...


@dataclass(frozen=True)
class Estimate:
    """A number with a standard error, by Student's t.

    Attributes:
        effect: the number.
        error: its standard error.
        freedom: degrees of freedom of the error.
        n: number of repetitions.

    Example:
        >>> found = Estimate(1.0, 0.1, freedom=2, n=3)
        >>> [round(end, 3) for end in found.interval], round(found.p_above(0.75), 3)
        ([0.57, 1.43], 0.065)
    """

    effect: float
    error: float
    freedom: float
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval; infinite for a single repetition."""
        if self.freedom < 1:
            return -math.inf, math.inf
        half = student_quantile(1 - LEVEL, self.freedom) * self.error
        return self.effect - half, self.effect + half

    def p_above(self, bar: float) -> float:
        """Return the p-value of the test that the number lies above a bar."""
        if self.freedom < 1:
            return math.nan
        if self.error == 0:
            return 0.0 if self.effect > bar else 1.0
        return student_tail((self.effect - bar) / self.error, self.freedom)

    def p_below(self, bar: float) -> float:
        """Return the p-value of the test that the number lies below a bar."""
        return Estimate(-self.effect, self.error, self.freedom, self.n).p_above(-bar)


@dataclass(frozen=True)
class Share:
    """The share of repetitions in which something happened, by the binomial distribution (Clopper and Pearson).

    Attributes:
        count: in how many it happened.
        n: number of repetitions.

    Example:
        >>> [round(end, 3) for end in Share(6, 6).interval], round(Share(6, 6).p_above(0.5), 3)
        ([0.541, 1.0], 0.016)
    """

    count: int
    n: int

    @property
    def effect(self) -> float:
        """The share."""
        return self.count / self.n if self.n else math.nan

    @property
    def error(self) -> float:
        """A standard error, not below that of one in n + 1."""
        share = min(max(self.effect, 1 / (self.n + 1)), self.n / (self.n + 1))
        return math.sqrt(share * (1 - share) / max(self.n, 1))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        from scipy.special import betaincinv  # takes long to import

        low = float(betaincinv(self.count, self.n - self.count + 1, LEVEL)) if self.count else 0.0
        high = float(betaincinv(self.count + 1, self.n - self.count, 1 - LEVEL)) if self.count < self.n else 1.0
        return low, high

    def p_above(self, bar: float) -> float:
        """Return the p-value of the test that the share lies above a bar."""
        from scipy.special import bdtrc

        return float(bdtrc(self.count - 1, self.n, min(max(bar, 0.0), 1.0))) if self.count else 1.0

    def p_below(self, bar: float) -> float:
        """Return the p-value of the test that the share lies below a bar."""
        return Share(self.n - self.count, self.n).p_above(1 - bar)


def mean_of(values: Values) -> Estimate:
    """Return the mean over repetitions with its standard error; NaN if a value is not finite.

    Example:
        >>> round(mean_of({0: 0.9, 1: 1.0, 2: 1.1}).error, 4)
        0.0577
    """
    numbers = list(values.values())
    if not numbers or not all(map(math.isfinite, numbers)):
        return Estimate(math.nan, math.nan, len(numbers) - 1, len(numbers))
    error = stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else math.nan
    return Estimate(fmean(numbers), error, len(numbers) - 1, len(numbers))


def interval(values: Values) -> tuple[float, float, float]:
    """Return the mean and the ends of its 95 % interval over repetitions; infinite ends for a single one.

    Example:
        >>> [round(x, 3) for x in interval({0: 0.9, 1: 1.0, 2: 1.1})]
        [1.0, 0.752, 1.248]
    """
    found = mean_of(values)
    return (found.effect, *found.interval) if math.isfinite(found.effect) else (math.nan, math.nan, math.nan)


def differences(a: Values, b: Values) -> dict[int, float]:
    """Subtract the second condition from the first, seed by seed.

    Raises:
        MissingRows: if their seeds differ.

    Example:
        >>> differences({0: 3.0, 1: 4.0}, {0: 1.0, 1: 1.0})
        {0: 2.0, 1: 3.0}
    """
    return combined(lambda x, y: x - y, a, b)


def shared(*parts: Values) -> list[dict[int, float]]:
    """Restrict the conditions to the seeds that all of them have.

    Example:
        >>> shared({0: 3.0, 1: 4.0, 2: 5.0}, {0: 1.0, 1: 1.0})
        [{0: 3.0, 1: 4.0}, {0: 1.0, 1: 1.0}]
    """
    return [{seed: part[seed] for seed in part if all(seed in other for other in parts)} for part in parts]


def combined(function: Callable[..., float], *parts: Values) -> dict[int, float]:
    """Apply a function to several conditions' values, seed by seed.

    Raises:
        MissingRows: if there are no conditions, or their seeds differ.
    """
    if not parts:
        raise MissingRows("no conditions to combine")
    if any(part.keys() != parts[0].keys() for part in parts):
        raise MissingRows(f"the conditions have different seeds: {[sorted(part) for part in parts]}")
    return {seed: function(*(part[seed] for part in parts)) for seed in parts[0]}
