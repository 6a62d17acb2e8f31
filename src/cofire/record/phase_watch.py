"""A tracker's sink that reports phases during training."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from .phases import SHORTEST, Phases, check_level, check_noise, find_phases
from .runs.rows import Row, refuse_misspelled

Phase = Literal["none yet", "growing", "decorrelating"]

_LOOKS = 2 * (math.pi**2 / 6 - 1)
"""Σ 2/n² over n ≥ 2: the total level of tests after each value, relative to the level divided by n."""


@dataclass(frozen=True)
class Turn:
    """A phase that has just been detected.

    Attributes:
        site: where.
        phase: ``"growing"`` or ``"decorrelating"``.
        step: when it was detected, later than it began.
        phases: the series so far; its ``peak`` is where decorrelation began.
    """

    site: str
    phase: Phase
    step: int
    phases: Phases


@dataclass
class _Series:
    """The values seen at a site and the phases reported there, by step."""

    kind: tuple[str, str]  # parameters and mode
    values: dict[int, float] = field(default_factory=dict)
    reported: dict[int, Phase] = field(default_factory=dict)

    @property
    def phase(self) -> Phase:
        return list(self.reported.values())[-1] if self.reported else "none yet"

    @property
    def latest(self) -> tuple[int, float] | None:
        return list(self.values.items())[-1] if self.values else None

    def go_back_before(self, step: int) -> None:
        """Forget this step and later ones."""
        for known in (self.values, self.reported):
            while known and next(reversed(known)) >= step:
                known.popitem()


class PhaseWatch:
    """A tracker's sink that reports "now decorrelating" during training.

    Each new value is tested. The level is divided among these tests, so that in the whole run a site with white noise
    alone is reported with a probability of at most ``level``. If several measures, or both modes, give rows of that
    name at a site, the watch follows the first to arrive. If training goes back to an earlier step, so does the watch.

    Args:
        measure: the quantity to follow: one of cofire's, or of your own measures.
        then: called with each `Turn`: to stop early, to lower a learning rate, to print a line.
        noise: as for `find_phases`; by default it is estimated from the series, which takes 8 values.
        level: the p-value below which a phase counts as found.

    Raises:
        ValueError: if ``measure`` looks like a misspelled quantity, the noise is not positive, or the level is not
            between 0 and 1.

    Example:
        >>> watch = PhaseWatch(noise=0.01, then=lambda turn: print(turn.site, turn.phase, "by step", turn.step))
        >>> for step, value in enumerate([0.10, 0.16, 0.24, 0.30, 0.31, 0.27, 0.22, 0.20]):
        ...     watch([Row("run", step, 0, "fc", "nc", "{}", value, 1000, 0)])
        fc growing by step 1
        fc decorrelating by step 6
        >>> watch.phase("fc"), watch.decorrelating
        ('decorrelating', True)
    """

    def __init__(
        self,
        measure: str = "nc",
        *,
        then: Callable[[Turn], object] = lambda turn: None,
        noise: float | None = None,
        level: float = 0.05,
    ) -> None:
        refuse_misspelled(measure)
        check_level(level)
        check_noise(1, noise)
        self._measure, self._then, self._noise, self._level = measure, then, noise, level
        self._series: dict[str, _Series] = {}

    def __repr__(self) -> str:
        phases = {site: series.phase for site, series in self._series.items() if series.reported}
        return f"PhaseWatch({self._measure!r}, noise={self._noise}, level={self._level}, phases={phases})"

    def __call__(self, rows: Iterable[Row]) -> None:
        """Take the rows of a recording; values that are not finite are ignored."""
        for row in rows:
            if row.measure == self._measure and math.isfinite(row.value):
                kind = row.parameters, row.mode
                series = self._series.setdefault(row.site, _Series(kind))
                if series.kind == kind and series.latest != (row.step, row.value):
                    series.go_back_before(row.step)
                    series.values[row.step] = row.value
                    self._look(row.site, series)

    def _look(self, site: str, series: "_Series") -> None:
        steps, values = list(series.values), list(series.values.values())
        if len(values) < (2 if self._noise is not None else SHORTEST):
            return
        level = min(self._level / (_LOOKS * len(values)), self._level)
        found = find_phases(values, steps, noise=self._noise, level=level)
        phase: Phase = "decorrelating" if found.decorrelated else "growing" if found.grew else "none yet"
        if phase not in ("none yet", series.phase):
            series.reported[steps[-1]] = phase
            self._then(Turn(site, phase, steps[-1], found))

    def phase(self, site: str) -> Phase:
        """Return the latest phase reported at a site."""
        return self._series[site].phase if site in self._series else "none yet"

    @property
    def decorrelating(self) -> bool:
        """Whether all recorded sites are decorrelating."""
        return bool(self._series) and all(self.phase(site) == "decorrelating" for site in self._series)
