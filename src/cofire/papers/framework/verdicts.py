"""`Verdict`: whether a claim holds, with effect and interval, and the functions that decide it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Literal

from ...stats._base.student_t import student_quantile
from .claim_table import MissingRows

Outcome = Literal["reproduced", "not reproduced", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """Result of checking a claim.

    Attributes:
        outcome: ``"reproduced"``, ``"not reproduced"`` or ``"inconclusive"``.
        effect: the deciding number, averaged over seeds.
        interval: its 95 % interval over seeds.
        n_seeds: number of seeds.
        note: description of the number, or the reason why it decides nothing.
    """

    outcome: Outcome
    effect: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    n_seeds: int = 0
    note: str = ""

    @property
    def reproduced(self) -> bool:
        """Whether the claim holds."""
        return self.outcome == "reproduced"

    def but(self, reason: str) -> "Verdict":
        """Return the same numbers as inconclusive, with a reason."""
        return replace(self, outcome="inconclusive", note=f"{self.note}; {reason}" if self.note else reason)


def interval(values: Mapping[int, float]) -> tuple[float, float, float]:
    """Return the mean and the ends of its 95 % interval over seeds, by Student's t; infinite ends for one seed.

    Example:
        >>> [round(x, 3) for x in interval({0: 0.9, 1: 1.0, 2: 1.1})]
        [1.0, 0.752, 1.248]
    """
    numbers = list(values.values())
    if not numbers or not all(map(math.isfinite, numbers)):
        return math.nan, math.nan, math.nan
    mean = fmean(numbers)
    if len(numbers) < 2:
        return mean, -math.inf, math.inf
    half = student(len(numbers) - 1) * stdev(numbers) / math.sqrt(len(numbers))
    return mean, mean - half, mean + half


def student(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t.

    Example:
        >>> round(student(2), 4), round(student(30), 3)
        (4.3027, 2.042)
    """
    return student_quantile(0.975, freedom)


def decide(
    effects: Mapping[int, float], *, above: float = -math.inf, below: float = math.inf, note: str = ""
) -> Verdict:
    """Judge a number that a claim states to lie above, below or between bounds.

    Reproduced: the whole 95 % interval over seeds lies within the bounds. Not reproduced: the whole interval lies
    outside. Otherwise inconclusive, also if a value is missing or not finite.

    Args:
        effects: the number for each seed; paired differences to compare two conditions.
        above: lower bound of the claim.
        below: upper bound of the claim.
        note: description of the number.

    Raises:
        ValueError: if there is no bound, so that nothing could refute the claim.

    Example:
        >>> decide({0: 0.9, 1: 1.0, 2: 1.1}, above=0).outcome, decide({0: -0.1, 1: 0.2}, above=0).outcome
        ('reproduced', 'inconclusive')
    """
    if above == -math.inf and below == math.inf:
        raise ValueError("a claim needs a bound; give above, below or both")
    mean, low, high = interval(effects)
    found = Verdict("inconclusive", mean, (low, high), len(effects), note)
    if not math.isfinite(mean):
        return found.but("a value is not finite" if effects else "no values")
    if len(effects) < 2:
        return found.but("one seed has no interval")
    return placed(found, above=above, below=below)


def placed(found: Verdict, *, above: float = -math.inf, below: float = math.inf) -> Verdict:
    """Judge an interval: reproduced within the bounds, not reproduced outside, inconclusive across one.

    Example:
        >>> placed(Verdict("inconclusive", 0.5, (0.1, 0.9), 3), above=0).outcome
        'reproduced'
    """
    low, high = found.interval
    if low > above and high < below:
        return replace(found, outcome="reproduced")
    return replace(found, outcome="not reproduced" if high <= above or low >= below else "inconclusive")


def all_of(parts: Mapping[str, Verdict]) -> Verdict:
    """Combine the verdicts on a claim's parts: the result is that of the worst part, with its numbers.

    Raises:
        ValueError: if there are no parts.

    Example:
        >>> good, bad = decide({0: 1.0, 1: 1.1}, above=0), decide({0: -1.0, 1: -1.1}, above=0)
        >>> verdict = all_of({"ReLU": good, "tanh": bad})
        >>> verdict.outcome, verdict.note
        ('not reproduced', 'tanh; 1 of 2 parts reproduced')
    """
    if not parts:
        raise ValueError("a combined verdict needs at least one part, got 0")
    ranks = {"not reproduced": 0, "inconclusive": 1, "reproduced": 2}
    name, worst = min(parts.items(), key=lambda part: (ranks[part[1].outcome], _margin(part[1])))
    count = sum(part.reproduced for part in parts.values())
    told = "; ".join(filter(None, [f"{name}: {worst.note}" if worst.note else name]))
    return replace(worst, note=f"{told}; {count} of {len(parts)} parts reproduced")


def decide_each(
    effects: Mapping[str, Mapping[int, float]], *, above: float = -math.inf, below: float = math.inf, note: str = ""
) -> Verdict:
    """Judge one number under several named conditions by the same bounds; all must hold.

    Raises:
        ValueError: as `decide` and `all_of`.

    Example:
        >>> decide_each({"ReLU": {0: 1.0, 1: 1.1}, "tanh": {0: -1.0, 1: 2.0}}, above=0, note="rise").note
        'tanh: rise; 1 of 2 parts reproduced'
    """
    return all_of({name: decide(part, above=above, below=below, note=note) for name, part in effects.items()})


def _margin(verdict: Verdict) -> float:
    """Return the distance of the interval's nearer end from 0, to order parts with the same outcome."""
    low, high = verdict.interval
    return min(abs(low), abs(high)) if math.isfinite(low + high) else math.inf


def differences(a: Mapping[int, float], b: Mapping[int, float]) -> dict[int, float]:
    """Subtract the second condition from the first, seed by seed.

    Raises:
        MissingRows: if their seeds differ.

    Example:
        >>> differences({0: 3.0, 1: 4.0}, {0: 1.0, 1: 1.0})
        {0: 2.0, 1: 3.0}
    """
    return combined(lambda x, y: x - y, a, b)


def shared(*parts: Mapping[int, float]) -> list[dict[int, float]]:
    """Restrict the conditions to the seeds that all of them have.

    Example:
        >>> shared({0: 3.0, 1: 4.0, 2: 5.0}, {0: 1.0, 1: 1.0})
        [{0: 3.0, 1: 4.0}, {0: 1.0, 1: 1.0}]
    """
    return [{seed: part[seed] for seed in part if all(seed in other for other in parts)} for part in parts]


def combined(function: Callable[..., float], *parts: Mapping[int, float]) -> dict[int, float]:
    """Apply a function to several conditions' values, seed by seed.

    Raises:
        MissingRows: if there are no conditions, or their seeds differ.
    """
    if not parts:
        raise MissingRows("no conditions to combine")
    if any(part.keys() != parts[0].keys() for part in parts):
        raise MissingRows(f"the conditions have different seeds: {[sorted(part) for part in parts]}")
    return {seed: function(*(part[seed] for part in parts)) for seed in parts[0]}
