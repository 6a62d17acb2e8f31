"""The debiased correlation of a layer with its interval: where it stands, and the course it took."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite, nan
from typing import Literal

from ...record.phases import SHORTEST, Phases, find_phases
from .formatting import number
from .run_view import Layer

CLEAR = 0.2
FAINT = 0.05


@dataclass(frozen=True, slots=True)
class Correlation:
    """The debiased mean |ρ| of a layer with its interval, at one step."""

    value: float
    low: float
    high: float
    floor: float = nan

    @property
    def beyond_noise(self) -> bool:
        """Whether it is more than independent units would show."""
        return self.low > (0 if self.low < self.high or not isfinite(self.floor) else self.floor)

    @property
    def sentence(self) -> str:
        """The value with its interval, in words."""
        if not (isfinite(self.low) and isfinite(self.high)):
            return number(self.value, 2)
        return f"{number(self.value, 2)} ({number(self.low, 2)} to {number(self.high, 2)})"


def correlation_at(layer: Layer, index: int) -> Correlation:
    """A layer's correlation at one of its recorded steps (−1 is the last)."""

    def value(measure: str) -> float:
        values = layer.of(measure).values
        return values[index] if -len(values) <= index < len(values) else nan

    # NC stands in where no debiased value was recorded, not where two samples define none
    middle = value("nc_debiased") if layer.of("nc_debiased").steps else value("nc")
    low, high = value("nc_low"), value("nc_high")
    ends = (low if isfinite(low) else middle, high if isfinite(high) else middle)
    return Correlation(middle, *ends, value("nc_noise_floor"))


def firing_together(layers: Iterable[Layer]) -> list[Layer]:
    """The layers whose whole interval lies above `CLEAR`."""
    return [layer for layer in layers if correlation_at(layer, -1).low > CLEAR]


def direction(layer: Layer) -> Literal["rose", "fell", "peaked", "steady"]:
    """The course of a layer's correlation: a change counts where the intervals of its ends do not overlap."""
    course = [correlation_at(layer, index) for index in range(len(layer.of("nc").values))]
    course = [point for point in course if isfinite(point.value)]
    if len(course) < 2:
        return "steady"
    first, last, peak = course[0], course[-1], max(course, key=lambda point: point.value)
    if _above(peak, first) and _above(peak, last):
        return "peaked"
    if _above(last, first):
        return "rose"
    return "fell" if _above(first, last) else "steady"


def _above(upper: Correlation, lower: Correlation) -> bool:
    return upper.low > lower.high and upper.value - lower.value > FAINT


def above_noise_since(layer: Layer) -> int | None:
    """The step from which on the correlation is above what independent units would show, up to the last recording.

    Above means that the interval of the debiased value lies wholly above 0; without an interval, that NC is above its
    noise floor. None if it is not at the last.
    """
    return _since(layer, lambda point, last: point.beyond_noise)


def present_level_since(layer: Layer) -> int | None:
    """The step from which on the interval overlaps with the last one's, up to the last recording."""
    return _since(layer, lambda point, last: point.low <= last.high and point.high >= last.low)


def _since(layer: Layer, holds: Callable[[Correlation, Correlation], bool]) -> int | None:
    """The first step of the stretch up to the last recording in which something holds."""
    steps = layer.of("nc").steps
    known = [(step, correlation_at(layer, index)) for index, step in enumerate(steps)]
    known = [(step, point) for step, point in known if isfinite(point.value)]
    found = None
    for step, point in reversed(known):
        if not holds(point, known[-1][1]):
            break
        found = step
    return found


def phases_of(layer: Layer) -> Phases | None:
    """Growth and decorrelation of a layer's NC; None where too few recordings tell noise from course.

    This is one run: the noise is what neighboring recordings differ by. Another seed may take another course.
    """
    series = layer.of("nc")
    known = [point for point in zip(series.steps, series.values, strict=True) if isfinite(point[1])]
    if len(known) < SHORTEST:
        return None
    return find_phases([value for _, value in known], [step for step, _ in known])
