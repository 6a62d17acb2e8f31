"""`Verdict`: what is said of a claim. The rules, in the order in which they apply, are in `judge`."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from .claim_table import Table
from .estimates import LEVEL, Estimate, Share, Uncertain, Values, differences, mean_of

Word = Literal["reproduced", "not reproduced", "depends", "not at this scale", "inconclusive"]
DECIDED: tuple[Word, ...] = ("reproduced", "not reproduced", "depends")


@dataclass(frozen=True)
class Bar:
    """What a number must reach for a claim to hold.

    Attributes:
        above: the claim says that the number lies above this.
        below: the claim says that the number lies below this.
        margin: the smallest effect that would matter: the number must lie beyond the bound by this much.
        why: the reason for bound and margin.

    Raises:
        ValueError: if there is no bound, so that nothing could refute the claim; if there is one and no margin; or if
            nothing can meet both.

    Example:
        >>> Bar(above=0, margin=0.01, why="smaller changes are within the noise of a figure").ends
        (0.01, inf)
    """

    above: float = -math.inf
    below: float = math.inf
    margin: float = 0.0
    why: str = ""

    def __post_init__(self) -> None:
        if self.above == -math.inf and self.below == math.inf:
            raise ValueError("a claim needs a bound; give above, below or both")
        if self.ends[0] >= self.ends[1] or self.margin < 0:
            raise ValueError(f"no number can meet above {self.above}, below {self.below}, margin {self.margin}")
        if not self.margin and math.inf in (-self.above, self.below):
            raise ValueError("a claim with one bound needs a margin: the smallest effect that would matter")

    @property
    def ends(self) -> tuple[float, float]:
        """The range in which the claim holds."""
        return self.above + self.margin, self.below - self.margin

    @property
    def negligible(self) -> float:
        """The largest drift of the number that does not matter."""
        return self.margin or (self.below - self.above) / 4

    def p_met(self, number: Uncertain) -> float:
        """Return the p-value of the test that a number lies in the range."""
        low, high = self.ends
        return max(number.p_above(low) if low > -math.inf else 0.0, number.p_below(high) if high < math.inf else 0.0)

    def p_missed(self, number: Uncertain) -> float:
        """Return the p-value of the test that a number lies outside."""
        low, high = self.ends
        return min(number.p_below(low) if low > -math.inf else 1.0, number.p_above(high) if high < math.inf else 1.0)

    def slack(self, number: Uncertain) -> float:
        """Return how far a number is inside the range, in its standard errors; negative outside."""
        low, high = self.ends
        room = min(number.effect - low, high - number.effect)
        return room / number.error if number.error else math.copysign(math.inf, room)


@dataclass(frozen=True)
class Part:
    """One number on which a claim rests; several must all hold.

    Attributes:
        number: the number, usually by `mean_of`.
        note: what it is.
        sample: parts with the same label rest on the same networks and count as one.
        trend: how far the number still moved late in training. A run that is shorter than the paper's may refute a
            claim only if this does not matter.
        censored: why the run ended before the number could reach the bar.
        reduced: in what this part falls short of the paper's settings, whatever the scale.
        diverged: which networks diverged, so that there is no number.
        reference_diverged: whether those are the networks that the claim's own are compared with.
    """

    number: Uncertain = field(default_factory=lambda: mean_of({}))
    note: str = ""
    sample: str = ""
    trend: Estimate | None = None
    censored: str = ""
    reduced: str = ""
    diverged: str = ""
    reference_diverged: bool = False


Parts = Part | Mapping[str, Part]


def part(values: Values, note: str = "", **others: object) -> Part:
    """Return a part of one number per repetition; ``others`` as for `Part`."""
    return Part(mean_of(values), note, **others)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Verdict:
    """What is said of a claim.

    Attributes:
        word: see `judge` and `depending`.
        number: the number of the part that is furthest from passing.
        note: what the number is, or why it decides nothing.
        passed: number of samples whose parts all hold, and number of samples.
        p: p-value of what is said; NaN if nothing is decided.
        fragile: whether what is said would not stand with all claims of the figure taken together (Holm).
        choice: the open choice of the paper on which the verdict depends.
        readings: the verdict under each reading of that choice.
    """

    word: Word
    number: Uncertain = field(default_factory=lambda: mean_of({}))
    note: str = ""
    passed: tuple[int, int] = (0, 0)
    p: float = math.nan
    fragile: bool = False
    choice: str = ""
    readings: tuple[tuple[str, "Verdict"], ...] = ()

    @property
    def decided(self) -> bool:
        """Whether something is known about the claim."""
        return self.word in DECIDED


def judge(parts: Parts, bar: Bar, *, whole: bool = True, reduction: str = "") -> Verdict:
    """Judge a claim by its parts.

    1. A part without a number because its networks diverged is not reproduced, or inconclusive if it is what they are
       compared with that diverged.
    2. *Reproduced*: the whole 95 % interval lies in the bar's range; all parts must.
    3. *Not reproduced*: a whole interval lies outside it. With k samples, the level is divided by k.
    4. *Not at this scale* in place of these: the number was still on its way when training ended; or the settings are
       not the paper's, ``reduction`` does not say why that makes no difference, and the number was still moving.
    5. *Inconclusive*: anything else; more repetitions would decide it.

    Args:
        parts: one part or several, by name.
        bar: what each number must reach.
        whole: whether the settings are the paper's own.
        reduction: why smaller settings make no difference to this claim, if so.

    Raises:
        ValueError: if there are no parts.

    Example:
        >>> bar = Bar(above=0, margin=0.01)
        >>> judge(part({0: 0.5, 1: 0.6, 2: 0.4}), bar).word, judge(part({0: 0.001, 1: 0.002, 2: 0.0}), bar).word
        ('reproduced', 'not reproduced')
        >>> judge(part({0: 0.001, 1: 0.002, 2: 0.0}), bar, whole=False).word
        'not at this scale'
    """
    named = {"": parts} if isinstance(parts, Part) else dict(parts)
    if not named:
        raise ValueError("a claim needs at least one part, got 0")
    samples = {one.sample or name for name, one in named.items()}
    found = {
        name: _judged(one, bar, whole=whole and not one.reduced, reduction=reduction, n_samples=len(samples))
        for name, one in named.items()
    }
    word = max((one.word for one in found.values()), key=_SEVERITY.index)
    name, worst = min(
        ((name, one) for name, one in found.items() if one.word == word), key=lambda one: _slack(one[1], bar)
    )
    failed = {one.sample or name for name, one in named.items() if found[name].word != "reproduced"}
    p = max((one.p for one in found.values()), default=math.nan) if word == "reproduced" else worst.p
    note = f"{name}: {worst.note}" if name and worst.note else name or worst.note
    return replace(worst, note=note, p=p, passed=(len(samples) - len(failed), len(samples)))


_OPEN: Sequence[Word] = ("not at this scale", "inconclusive")
_SEVERITY: Sequence[Word] = ("reproduced", "inconclusive", "not at this scale", "not reproduced")


def _slack(verdict: Verdict, bar: Bar) -> float:
    slack = bar.slack(verdict.number)
    return -math.inf if math.isnan(slack) else slack


def _judged(one: Part, bar: Bar, *, whole: bool, reduction: str, n_samples: int) -> Verdict:
    number, found = one.number, Verdict("inconclusive", one.number, one.note)
    if one.diverged:
        word: Word = "inconclusive" if one.reference_diverged else "not reproduced"
        return Verdict(word, note=_joined(one.note, one.diverged), p=math.nan)
    if not math.isfinite(number.effect):
        return replace(found, note=_joined(one.note, "a value is not finite" if number.n else "no values"))
    if number.n < 2:
        return replace(found, note=_joined(one.note, "one repetition has no interval"))
    if (p := bar.p_met(number)) <= LEVEL:
        return replace(found, word="reproduced", p=p)
    if one.censored:
        return replace(found, word="not at this scale", note=_joined(one.note, one.censored))
    if (p := min(1.0, n_samples * bar.p_missed(number))) > LEVEL:
        return found
    if whole or reduction or _settled(one.trend, bar):
        return replace(found, word="not reproduced", p=p)
    return replace(found, word="not at this scale", note=_joined(one.note, one.reduced or _unsettled(one.trend)))


def _settled(trend: Estimate | None, bar: Bar) -> bool:
    """Return whether the number moved, late in training, by less than what matters."""
    if trend is None or not math.isfinite(trend.effect) or trend.n < 2:
        return False
    low, high = trend.interval
    return -bar.negligible < low and high < bar.negligible


def _unsettled(trend: Estimate | None) -> str:
    if trend is None:
        return "the settings are smaller than the paper's"
    return f"it still moved by {trend.effect:.2g} late in training, which is shorter than the paper's"


def _joined(*texts: str) -> str:
    return "; ".join(filter(None, texts))


def depending(choice: str, readings: Mapping[str, Verdict]) -> Verdict:
    """Combine the verdicts under several readings of a choice that the paper leaves open.

    Args:
        choice: what is left open.
        readings: the verdict under each; the first is the one that we think the paper means.

    Returns:
        The readings' common word. *Depends* if one reproduces the claim and another refutes it; the least decided word
        if that of another is open.

    Raises:
        ValueError: if there are fewer than two readings.

    Example:
        >>> depending("initialization", {"He": Verdict("reproduced"), "torch": Verdict("not reproduced")}).word
        'depends'
    """
    if len(readings) < 2:
        raise ValueError(f"a choice needs at least two readings, got {list(readings)}")
    words: list[Word] = [verdict.word for verdict in readings.values()]
    if {"reproduced", "not reproduced"} <= set(words):
        word: Word = "depends"
    else:
        word = min(words, key=lambda one: _OPEN.index(one) if one in _OPEN else len(_OPEN))
    shown = next((one for one in readings.values() if one.word == word), next(iter(readings.values())))
    return replace(shown, word=word, choice=choice, readings=tuple(readings.items()))


def with_holm(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Mark as fragile what would not stand with all claims of a figure taken together, by Holm's method.

    Readings of a claim count each for itself. A claim that nothing is said of counts as one that was tested.

    Example:
        >>> [one.fragile for one in with_holm([Verdict("reproduced", p=0.02), Verdict("reproduced", p=1e-6)])]
        [False, False]
        >>> [one.fragile for one in with_holm([Verdict("reproduced", p=0.02), Verdict("inconclusive")])]
        [True, False]
    """
    verdicts = list(verdicts)
    tested = [one for verdict in verdicts for one in _tests(verdict)]
    left, stands = len(tested), True
    limits: list[tuple[float, bool]] = []
    for p in sorted(one.p for one in tested if math.isfinite(one.p)):
        stands = stands and p <= LEVEL / left
        limits.append((p, stands))
        left -= 1
    weak = {p for p, stood in limits if not stood}

    def marked(verdict: Verdict) -> Verdict:
        readings = tuple((name, marked(one)) for name, one in verdict.readings)
        if readings:
            fragile = any(one.fragile for _, one in readings if one.decided) and verdict.decided
        else:
            fragile = verdict.decided and verdict.p in weak
        return replace(verdict, readings=readings, fragile=fragile)

    return [marked(verdict) for verdict in verdicts]


def _tests(verdict: Verdict) -> list[Verdict]:
    return [one for _, one in verdict.readings] or [verdict]


def drift(read: Callable[[Table], Values], table: Table, by: str = "epoch") -> Estimate:
    """Return how far a number moved over the second half of training.

    Args:
        read: rows of one moment → the number for each repetition.
        table: rows of the whole training.
        by: column of time.
    """
    return mean_of(differences(read(table.last(by)), read(table.near(0.5, by))))


def share(happened: Values) -> Share:
    """Return the share of repetitions whose value is not 0.

    Example:
        >>> share({0: 1.0, 1: 0.0, 2: 1.0}).effect
        0.6666666666666666
    """
    return Share(sum(value != 0 for value in happened.values()), len(happened))
