"""Axes, ticks and frames of SVG figures. They name no colors, only classes, so that a style sheet can theme them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

from ..data.formatting import count

Scale = Callable[[float], float]


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round numbers from ``low`` to ``high``, roughly ``about`` of them.

    Example:
        >>> ticks(0.0, 1.0), ticks(0, 70)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 20.0, 40.0, 60.0])
        >>> ticks(0.0, 5e-324), ticks(-1e308, 1e308)
        ([0.0, 5e-324], [-1e+308, 1e+308])
    """
    if not high > low:
        return [low]
    raw = high / about - low / about
    if not 1e-300 < raw < 1e300:  # where powers of ten are 0 or infinite
        return [low, high]
    magnitude = 10.0 ** floor(log10(raw))
    step = next(unit * magnitude for unit in (1, 2, 2.5, 5, 10) if unit * magnitude >= raw * 0.8)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """Return the powers of ten from ``low`` to ``high``, or the two ends if fewer than two powers lie between.

    Example:
        >>> decades(1, 2000), decades(30, 80)
        ([1, 10, 100, 1000], [30, 80])
    """
    powers = [10**power for power in range(12) if low <= 10**power <= high]
    return powers if len(powers) > 1 else [low, high]


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing area of a figure of ``width`` × ``height``; axes and labels are outside it."""

    width: float
    height: float
    left: float = 38
    right: float = 12
    top: float = 10
    bottom: float = 26

    @property
    def end(self) -> float:
        """Return the right edge of the drawing area."""
        return self.width - self.right

    @property
    def base(self) -> float:
        """Return the lower edge of the drawing area."""
        return self.height - self.bottom

    def horizontal(self, low: float, high: float, *, logarithmic: bool = False) -> Scale:
        """Return the scale from data to x; a single value is placed in the middle."""

        def position(value: float) -> float:
            return log10(value + 1) if logarithmic else value

        start, span = position(low), position(high) - position(low)
        if span == 0:
            return lambda value: (self.left + self.end) / 2
        return lambda value: self.left + (position(value) - start) / span * (self.end - self.left)

    def vertical(self, low: float, high: float) -> Scale:
        """Return the scale from data to y, upward."""
        span = (high - low) or 1.0
        return lambda value: self.base - (value - low) / span * (self.base - self.top)


def figure_svg(frame: Frame, parts: Iterable[str], alternative: str, kind: str) -> Markup:
    """Return a drawing with its frame, for the script, and its description, for screen readers."""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {frame.width:g} {frame.height:g}" role="img"'
        f' data-frame="{frame.left:g} {frame.end:g} {frame.top:g} {frame.base:g}"'
        f' aria-label="{escape(alternative)}">{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, css: str, anchor: str = "start") -> str:
    """Draw escaped text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(words)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """Draw a straight line."""
    return f'<path class="{css}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def tick_label(value: float) -> str:
    """Format a value at an axis."""
    return f"{value:,.10g}".replace("-", "−") if abs(value) < 1e6 else f"{value:.0e}"


def grid(frame: Frame, y: Scale, at: Iterable[float], label: Callable[[float], str]) -> list[str]:
    """Draw horizontal lines with their values."""
    return [
        rule(frame.left, y(value), frame.end, y(value), "axis" if value == 0 else "grid")
        + text(frame.left - 7, y(value) + 4, label(value), "tick", "end")
        for value in at
    ]


def steps_axis(frame: Frame, x: Scale, at: Sequence[float]) -> list[str]:
    """Draw the axis of steps below the frame."""
    labels = [
        text(x(step), frame.base + 16, count(step) if step < 1e5 else f"{step / 1000:,.10g}k", "tick", "middle")
        for step in at
    ]
    return [*labels, text(frame.end + 8, frame.base + 4, "step", "tick")]


def trace(points: Iterable[tuple[float, float]]) -> str:
    """Return a path through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
