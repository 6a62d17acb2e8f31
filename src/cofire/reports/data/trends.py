"""The correlation of a layer with its interval, and how it changed during training."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Literal

from ...record.phases import SHORTEST, Phases, find_phases
from .formatting import number
from .run_view import Layer

CLEAR = 0.2
"""Units *fire together* in a layer whose whole interval lies above this."""
FAINT = 0.05
"""Units are *close to uncorrelated* if the whole interval lies below this; smaller changes are not reported."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """The debiased mean |ρ| of a layer at one step, with its interval and the noise floor."""

    value: float
    low: float
    high: float
    floor: float = nan

    @property
    def above_noise(self) -> bool:
        """Return whether it is more than independent units would show."""
        return self.low > (0 if self.low < self.high or not isfinite(self.floor) else self.floor)

    @property
    def sentence(self) -> str:
        """Return the value with its interval in words."""
        if not (isfinite(self.low) and isfinite(self.high)):
            return number(self.value, 2)
        return f"{number(self.value, 2)} ({number(self.low, 2)} to {number(self.high, 2)})"


def correlation_at(layer: Layer, index: int) -> Correlation:
    """Return a layer's correlation at one of its recordings (−1 is the last)."""

    def value(quantity: str) -> float:
        values = layer.of(quantity).values
        return values[index] if -len(values) <= index < len(values) else nan

    # NC replaces a debiased value that was not recorded, but not one that two samples leave undefined.
    middle = value("nc_debiased") if layer.of("nc_debiased").steps else value("nc")
    low, high = value("nc_low"), value("nc_high")
    ends = (low if isfinite(low) else middle, high if isfinite(high) else middle)
    return Correlation(middle, *ends, value("nc_noise_floor"))


def firing_together(layers: Iterable[Layer]) -> list[Layer]:
    """Return the layers whose whole interval lies above `CLEAR`."""
    return [layer for layer in layers if correlation_at(layer, -1).low > CLEAR]


def telling_layers(layers: Sequence[Layer], most: int) -> list[Layer]:
    """Return the layers whose courses say most about all, in the network's order.

    These are the first, the last, the highest and the lowest at the end, and those that rose and fell most; the next
    highest fill up what is missing.
    """
    known = [(layer, _course(layer)) for layer in layers]
    known = [(layer, course) for layer, course in known if course]
    if not known:
        return list(layers[:most])
    last = sorted(known, key=lambda one: -one[1][-1][1].value)
    change = sorted(known, key=lambda one: one[1][-1][1].value - one[1][0][1].value)
    wanted = [last[0], last[-1], change[-1], change[0], known[0], known[-1], *last]
    names = list(dict.fromkeys(layer.name for layer, _ in wanted))[:most]
    return [layer for layer, _ in known if layer.name in names]


def direction(layer: Layer) -> Literal["rose", "fell", "peaked", "steady"]:
    """Return the course of a layer's correlation; a change counts if the intervals at its ends do not overlap."""
    course = [point for _, point in _course(layer)]
    if len(course) < 2:
        return "steady"
    first, last, peak = course[0], course[-1], max(course, key=lambda point: point.value)
    if _above(peak, first) and _above(peak, last):
        return "peaked"
    if _above(last, first):
        return "rose"
    return "fell" if _above(first, last) else "steady"


def _course(layer: Layer) -> list[tuple[int, Correlation]]:
    """Return the steps at which the correlation is known, with its values."""
    found = [(step, correlation_at(layer, index)) for index, step in enumerate(layer.of("nc").steps)]
    return [(step, point) for step, point in found if isfinite(point.value)]


def _above(upper: Correlation, lower: Correlation) -> bool:
    return upper.low > lower.high and upper.value - lower.value > FAINT


def above_noise_since(layer: Layer) -> int | None:
    """Return the step since which the correlation has been above that of independent units.

    Above means that the whole interval of the debiased value is positive or, without an interval, that NC exceeds its
    noise floor. None if it is not above at the last recording.
    """
    return _since(layer, lambda point, last: point.above_noise)


def present_level_since(layer: Layer) -> int | None:
    """Return the step since which the interval has overlapped with the last one."""
    return _since(layer, lambda point, last: point.low <= last.high and point.high >= last.low)


def _since(layer: Layer, holds: Callable[[Correlation, Correlation], bool]) -> int | None:
    """Return the first step of the unbroken stretch up to the last recording in which something holds."""
    course, found = _course(layer), None
    for step, point in reversed(course):
        if not holds(point, course[-1][1]):
            break
        found = step
    return found


def phases_of(layer: Layer) -> Phases | None:
    """Find growth and decorrelation of a layer's NC; None if there are too few recordings to estimate the noise.

    The noise is how much neighboring recordings of this one run differ. Another seed may take another course.
    """
    known = layer.of("nc").known
    return find_phases([value for _, value in known], [step for step, _ in known]) if len(known) >= SHORTEST else None
