"""The debiased correlation of a layer with its interval: where it stands, and the course it took."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, nan
from typing import Literal

from .view import Layer
from .words import number

CLEAR = 0.2
FAINT = 0.05


@dataclass(frozen=True, slots=True)
class Correlation:
    """The debiased mean |ρ| of a layer with its interval, at one step."""

    value: float
    low: float
    high: float

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

    middle = value("nc_debiased") if layer.of("nc_debiased").defined else value("nc")
    low, high = value("nc_low"), value("nc_high")
    return Correlation(middle, low if isfinite(low) else middle, high if isfinite(high) else middle)


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
