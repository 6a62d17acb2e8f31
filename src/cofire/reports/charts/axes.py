"""What every figure is drawn with: axes, ticks, frames. No color is named, only classes that a style sheet themes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

from ..data.formatting import count

Scale = Callable[[float], float]


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from ``low`` to ``high``, about as many as asked for.

    Example:
        >>> ticks(0.0, 1.0), ticks(0, 70)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 20.0, 40.0, 60.0])
    """
    if not high > low:
        return [low]
    raw = (high - low) / about
    magnitude = 10.0 ** floor(log10(raw))
    step = next(unit * magnitude for unit in (1, 2, 2.5, 5, 10) if unit * magnitude >= raw * 0.8)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """The powers of ten from ``low`` to ``high``, with the ends where fewer than two lie between.

    Example:
        >>> decades(1, 2000), decades(30, 80)
        ([1, 10, 100, 1000], [30, 80])
    """
    powers = [10**power for power in range(12) if low <= 10**power <= high]
    return powers if len(powers) > 1 else [low, high]


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing area inside a figure of ``width`` × ``height``, axes and labels outside it."""

    width: float
    height: float
    left: float = 38
    right: float = 12
    top: float = 10
    bottom: float = 26

    @property
    def end(self) -> float:
        """The right edge of the drawing area."""
        return self.width - self.right

    @property
    def base(self) -> float:
        """The lower edge of the drawing area."""
        return self.height - self.bottom

    def horizontal(self, low: float, high: float, *, logarithmic: bool = False) -> Scale:
        """The scale from data to x; a single value stands in the middle."""

        def position(value: float) -> float:
            return log10(value + 1) if logarithmic else value

        start, span = position(low), position(high) - position(low)
        if span == 0:
            return lambda value: (self.left + self.end) / 2
        return lambda value: self.left + (position(value) - start) / span * (self.end - self.left)

    def vertical(self, low: float, high: float) -> Scale:
        """The scale from data to y, upward."""
        span = (high - low) or 1.0
        return lambda value: self.base - (value - low) / span * (self.base - self.top)


def figure_svg(frame: Frame, parts: Iterable[str], alternative: str, kind: str) -> Markup:
    """A drawing with its frame for the script and its words for those who cannot see it."""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {frame.width:g} {frame.height:g}" role="img"'
        f' data-frame="{frame.left:g} {frame.end:g} {frame.top:g} {frame.base:g}"'
        f' aria-label="{escape(alternative)}">{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, css: str, anchor: str = "start") -> str:
    """Escaped words."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(words)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A straight line."""
    return f'<path class="{css}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def tick_label(value: float) -> str:
    """A value at an axis."""
    return f"{value:,.10g}".replace("-", "−") if abs(value) < 1e6 else f"{value:.0e}"


def _step_label(value: float) -> str:
    return count(value) if value < 1e5 else f"{value / 1000:,.10g}k"


def grid(frame: Frame, y: Scale, at: Iterable[float], label: Callable[[float], str]) -> list[str]:
    """Horizontal lines with their values."""
    return [
        rule(frame.left, y(value), frame.end, y(value), "axis" if value == 0 else "grid")
        + text(frame.left - 7, y(value) + 4, label(value), "tick", "end")
        for value in at
    ]


def steps_axis(frame: Frame, x: Scale, at: Sequence[float]) -> list[str]:
    """Steps below the frame."""
    labels = [text(x(step), frame.base + 16, _step_label(step), "tick", "middle") for step in at]
    return [*labels, text(frame.end + 8, frame.base + 4, "step", "tick")]


def trace(points: Iterable[tuple[float, float]]) -> str:
    """A path through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
