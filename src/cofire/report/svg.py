"""Figures drawn as SVG text: no color is named here, only classes, so that a style sheet can theme them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10, sqrt

import numpy as np
from markupsafe import Markup, escape

from .figures import Chart, Histogram, Line
from .view import Series
from .words import count, number, percent, shorten

LABEL_GAP = 14.0
MOST_LABELS = 8

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


def chart(figure: Chart, *, width: float = 400, height: float = 250) -> Markup:
    """Lines over training: the noise floor as a shaded area, each line named at its end."""
    frame = Frame(width, height, right=_room(figure.lines))
    steps = figure.steps or [0]
    x = frame.horizontal(steps[0], steps[-1], logarithmic=figure.logarithmic)
    y = frame.vertical(*figure.domain)
    across = decades(max(steps[0], 1), steps[-1]) if figure.logarithmic else ticks(steps[0], steps[-1])
    parts = [
        *_grid(frame, y, ticks(*figure.domain), _tick_label),
        *_steps_axis(frame, x, across),
        *_floor(frame, figure, x, y),
        *(_path(index, line, x, y) for index, line in enumerate(figure.lines)),
        *_labels(frame, figure.lines, y),
    ]
    return _svg(frame, parts, figure.alternative, "chart")


def _room(lines: Sequence[Line]) -> float:
    """The width that the names at the ends of lines need."""
    return 16 + 7.4 * max((len(_label(line)) for line in lines), default=0)


def _label(line: Line) -> str:
    return shorten(line.name, 13)


def _svg(frame: Frame, parts: Iterable[str], alternative: str, kind: str) -> Markup:
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {frame.width:g} {frame.height:g}" role="img"'
        f' data-frame="{frame.left:g} {frame.end:g} {frame.top:g} {frame.base:g}"'
        f' aria-label="{escape(alternative)}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: str, css: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(words)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<path class="{css}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def _tick_label(value: float) -> str:
    return f"{value:,.10g}".replace("-", "−") if abs(value) < 1e6 else f"{value:.0e}"


def _step_label(value: float) -> str:
    return count(value) if value < 1e5 else f"{value / 1000:,.10g}k"


def _grid(frame: Frame, y: Scale, at: Iterable[float], label: Callable[[float], str]) -> list[str]:
    return [
        _rule(frame.left, y(value), frame.end, y(value), "axis" if value == 0 else "grid")
        + _text(frame.left - 7, y(value) + 4, label(value), "tick", "end")
        for value in at
    ]


def _steps_axis(frame: Frame, x: Scale, at: Sequence[float]) -> list[str]:
    labels = [_text(x(step), frame.base + 16, _step_label(step), "tick", "middle") for step in at]
    return [*labels, _text(frame.end + 8, frame.base + 4, "step", "tick")]


def _points(series: Series, x: Scale, y: Scale) -> list[list[tuple[float, float]]]:
    """The finite stretches of a series, in drawing coordinates."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for step, value in zip(series.steps, series.values, strict=True):
        if isfinite(value):
            stretches[-1].append((x(step), y(value)))
        elif stretches[-1]:
            stretches.append([])
    return [stretch for stretch in stretches if stretch]


def _trace(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _path(index: int, line: Line, x: Scale, y: Scale) -> str:
    """A line, its lone points as dots."""
    stretches = _points(line.series, x, y)
    traced = "".join(_trace(stretch) for stretch in stretches if len(stretch) > 1)
    dots = [stretch[0] for stretch in stretches if len(stretch) == 1] + [stretches[-1][-1]] if stretches else []
    path = f'<path class="line" d="{traced}"/>' if traced else ""
    marks = "".join(f'<circle class="dot" cx="{cx:.1f}" cy="{cy:.1f}" r="2.6"/>' for cx, cy in dots)
    return f'<g class="{line.shade}" data-line="{index}">{path}{marks}</g>'


def _floor(frame: Frame, figure: Chart, x: Scale, y: Scale) -> list[str]:
    stretches = _points(figure.floor, x, y)
    if not stretches:
        return []
    points = (
        stretches[0] if len(stretches[0]) > 1 else [(frame.left, stretches[0][0][1]), (frame.end, stretches[0][0][1])]
    )
    closed = [(points[0][0], frame.base), *points, (points[-1][0], frame.base)]
    return [
        f'<path class="noise" d="{_trace(closed)}Z"/>',
        f'<path class="noise-edge" d="{_trace(points)}"/>',
        _text(points[0][0] + 4, points[0][1] - 4, figure.floor_name, "floor-label"),
    ]


def _labels(frame: Frame, lines: Sequence[Line], y: Scale) -> list[str]:
    """Names at the ends of lines, moved apart where they would touch."""
    wanted = [(y(line.series.last), index) for index, line in enumerate(lines) if isfinite(line.series.last)]
    chosen = sorted(_most_telling(wanted), key=lambda pair: pair[0])
    places = spread([place for place, _ in chosen], LABEL_GAP, frame.top + 4, frame.base - LABEL_GAP)
    return [
        f'<g class="{lines[index].shade}" data-line="{index}">'
        + _text(frame.end + 8, place + 4, _label(lines[index]), "name")
        + "</g>"
        for place, (_, index) in zip(places, chosen, strict=True)
    ]


def _most_telling(wanted: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """All while they are few; else first and last in depth, lowest and highest in value."""
    if len(wanted) <= MOST_LABELS:
        return wanted
    by_value = sorted(wanted, key=lambda pair: pair[0])
    telling = [wanted[0], wanted[-1], by_value[0], by_value[-1], by_value[len(by_value) // 2]]
    return list(set(telling))


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending places moved as little as needed to stand ``gap`` apart within [low, high].

    Example:
        >>> spread([10, 11, 50], 10, 0, 60)
        [5.5, 15.5, 50.0]
    """
    from scipy.optimize import isotonic_regression

    if not places:
        return []
    # Less its own share of gaps, each place only has to be no smaller than the one before.
    steps = gap * np.arange(len(places))
    moved = np.clip(isotonic_regression(np.asarray(places) - steps).x, low, max(low, high - steps[-1]))
    return [float(place) for place in moved + steps]


def histogram(figure: Histogram, *, width: float = 400, height: float = 210) -> Markup:
    """Shares of |ρ| as bars and the null's as an outline, on a square-root scale so that both are seen."""
    frame = Frame(width, height)
    top = max([*figure.shares, *figure.expected, 0.01])
    y = _root_scale(frame, top)
    x = frame.horizontal(0, 1)
    marks = [share for share in (0, 0.01, 0.05, 0.2, 0.5, 1.0) if share <= top]
    parts = [
        *_grid(frame, y, marks, percent),
        _bars(figure.shares, x, y, frame.base),
        _outline(figure.expected, x, y, frame.base),
        *(_text(x(rho), frame.base + 16, f"{rho:g}", "tick", "middle") for rho in (0, 0.25, 0.5, 0.75, 1)),
    ]
    return _svg(frame, parts, figure.alternative, "histogram")


def _root_scale(frame: Frame, top: float) -> Scale:
    scale = frame.vertical(0, sqrt(top) * 1.04)
    return lambda share: scale(sqrt(share))


def _bars(shares: Sequence[float], x: Scale, y: Scale, base: float) -> str:
    width = 1 / len(shares)
    bars = [
        f"M{x(index * width) + 0.5:.1f} {base:.1f}V{y(share):.1f}H{x((index + 1) * width) - 0.5:.1f}V{base:.1f}Z"
        for index, share in enumerate(shares)
        if share > 0
    ]
    return f'<path class="bars" d="{"".join(bars)}"/>'


def _outline(shares: Sequence[float], x: Scale, y: Scale, base: float) -> str:
    if not shares:
        return ""
    width = 1 / len(shares)
    seen = [(index, share) for index, share in enumerate(shares) if share > 1e-5]
    steps = "".join(f"V{y(share):.1f}H{x((index + 1) * width):.1f}" for index, share in seen)
    return f'<path class="null" d="M{x(0):.1f} {base:.1f}{steps}V{base:.1f}"/>'


def whisker(raw: float, value: float, low: float, high: float, noise: float, top: float) -> Markup:
    """One layer on the table's common axis: floor shaded, interval a bar, debiased a dot, raw a ring."""
    frame = Frame(150, 20, left=4, right=4, top=0, bottom=0)
    x = frame.horizontal(0, top or 1.0)
    parts = [_rule(frame.left, 10, frame.end, 10, "grid")]
    if isfinite(noise):
        parts.append(f'<rect class="noise" x="{frame.left}" y="3" width="{x(noise) - frame.left:.1f}" height="14"/>')
    if isfinite(low) and isfinite(high):
        parts.append(_rule(x(low), 10, x(high), 10, "interval"))
    if isfinite(raw):
        parts.append(f'<circle class="ring" cx="{x(raw):.1f}" cy="10" r="3.4"/>')
    if isfinite(value):
        parts.append(f'<circle class="dot hue-0" cx="{x(value):.1f}" cy="10" r="3.4"/>')
    told = (
        f"debiased {number(value)} between {number(low)} and {number(high)}, raw {number(raw)}, floor {number(noise)}"
    )
    return _svg(frame, parts, told, "whisker")
