"""Figures as SVG text. They name no colors, only classes, so that a style sheet can theme them."""

from collections.abc import Sequence
from math import isfinite, sqrt

import numpy as np
from markupsafe import Markup

from ...stats._base.quantities import QUANTITIES
from ..data.formatting import number, percent
from ..data.run_view import Series
from .axes import Frame, Scale, decades, figure_svg, grid, rule, steps_axis, text, tick_label, ticks, trace
from .figures import Chart, Line
from .histograms import Histogram

LABEL_GAP = 14.0


def chart(figure: Chart, *, width: float = 400, height: float = 250) -> Markup:
    """Draw lines over training, the noise floor as a shaded area, and each line's name at its end."""
    frame = Frame(width, height, right=_room(figure))
    x = frame.horizontal(*figure.ends, logarithmic=figure.logarithmic)
    y = frame.vertical(*figure.domain)
    parts = [
        *grid(frame, y, ticks(*figure.domain), tick_label),
        *steps_axis(frame, x, _steps_marked(figure)),
        *_floor(frame, figure, x, y),
        *_band(figure, x, y),
        *(_path(index, line, x, y) for index, line in figure.drawn),
        *_floor_label(frame, figure, x, y),
        *_peaks(figure, x, y),
        *_labels(frame, figure.drawn, y),
    ]
    return figure_svg(frame, parts, figure.alternative, "chart")


def _steps_marked(figure: Chart) -> list[float]:
    first, last = figure.ends
    if figure.logarithmic:
        return decades(max(first, 1), last)
    return sorted({float(round(step)) for step in ticks(first, last)})


def _peaks(figure: Chart, x: Scale, y: Scale) -> list[str]:
    """Draw a diamond at the peak of each line that decorrelated."""
    marks = []
    for row in figure.phases:
        series = figure.lines[row.line].series
        if row.decorrelated and row.shade:
            cx, cy = x(row.peak), y(series.values[series.steps.index(row.peak)])
            shape = f"M{cx:.1f} {cy - 5.5:.1f}l5 5.5l-5 5.5l-5-5.5Z"
            marks.append(f'<g class="{row.shade}" data-line="{row.line}"><path class="peak" d="{shape}"/></g>')
    return marks


def _room(figure: Chart) -> float:
    """Return the width that the names at the ends of lines need, here and in the charts beside this one."""
    names = [*figure.names, *(line.name for line in figure.lines)]
    return 16 + 7.8 * max((len(name) for name in names), default=0)


def _band(figure: Chart, x: Scale, y: Scale) -> list[str]:
    """Draw the range of all lines behind those that are drawn."""
    if not figure.band:
        return []
    upper = [(x(step), y(high)) for step, _, high in figure.band]
    lower = [(x(step), y(low)) for step, low, _ in reversed(figure.band)]
    return [f'<path class="band" d="{trace([*upper, *lower])}Z"/>']


def _points(series: Series, x: Scale, y: Scale) -> list[list[tuple[float, float]]]:
    """Split a series into its finite stretches, in drawing coordinates."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for step, value in zip(series.steps, series.values, strict=True):
        if isfinite(value):
            stretches[-1].append((x(step), y(value)))
        elif stretches[-1]:
            stretches.append([])
    return [stretch for stretch in stretches if stretch]


def _path(index: int, line: Line, x: Scale, y: Scale) -> str:
    """Draw a line, with isolated points as dots."""
    stretches = _points(line.series, x, y)
    traced = "".join(trace(stretch) for stretch in stretches if len(stretch) > 1)
    dots = [stretch[0] for stretch in stretches if len(stretch) == 1] + [stretches[-1][-1]] if stretches else []
    path = f'<path class="line" d="{traced}"/>' if traced else ""
    marks = "".join(f'<circle class="dot" cx="{cx:.1f}" cy="{cy:.1f}" r="2.6"/>' for cx, cy in dots)
    floor = "".join(trace(stretch) for stretch in _points(line.floor, x, y) if len(stretch) > 1)
    own_floor = f'<path class="own-floor" d="{floor}"/>' if floor else ""
    return f'<g class="{line.shade}" data-line="{index}">{own_floor}{path}{marks}</g>'


def _floor_points(frame: Frame, figure: Chart, x: Scale, y: Scale) -> list[tuple[float, float]]:
    """Return the path of the common floor, across the whole width if only one step has it; empty without a floor."""
    stretches = _points(figure.floor, x, y)
    if not stretches:
        return []
    level = stretches[0][0][1]
    return stretches[0] if len(stretches[0]) > 1 else [(frame.left, level), (frame.end, level)]


def _floor(frame: Frame, figure: Chart, x: Scale, y: Scale) -> list[str]:
    points = _floor_points(frame, figure, x, y)
    if not points:
        return []
    closed = [(points[0][0], frame.base), *points, (points[-1][0], frame.base)]
    return [f'<path class="noise" d="{trace(closed)}Z"/>', f'<path class="noise-edge" d="{trace(points)}"/>']


def _floor_label(frame: Frame, figure: Chart, x: Scale, y: Scale) -> list[str]:
    """Draw the floor's name; it comes after the lines, so that none crosses it out."""
    if points := _floor_points(frame, figure, x, y):
        return [text(points[0][0] + 4, points[0][1] - 4, figure.floor_name, "floor-label")]
    if any(line.floor.defined for line in figure.lines):
        return [text(frame.left + 4, frame.top + 2, f"dotted: {figure.floor_name} of each layer", "floor-label")]
    return []


def _labels(frame: Frame, lines: Sequence[tuple[int, Line]], y: Scale) -> list[str]:
    """Draw names at the ends of lines, moved apart where they would overlap."""
    known = ((y(line.series.last), index, line) for index, line in lines if isfinite(line.series.last))
    wanted = sorted(known, key=lambda one: one[0])
    places = spread([place for place, _, _ in wanted], LABEL_GAP, frame.top + 4, frame.base - LABEL_GAP)
    return [
        f'<g class="{line.shade}" data-line="{index}">{text(frame.end + 8, place + 4, line.name, "name")}</g>'
        for place, (_, index, line) in zip(places, wanted, strict=True)
    ]


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending places as little as needed to be ``gap`` apart within [low, high].

    Example:
        >>> spread([10, 11, 50], 10, 0, 60)
        [5.5, 15.5, 50.0]
    """
    from scipy.optimize import isotonic_regression

    if not places:
        return []
    # After subtracting the gaps before it, each place only has to be no smaller than the one before: isotonic
    # regression finds the closest such places.
    steps = gap * np.arange(len(places))
    moved = np.clip(isotonic_regression(np.asarray(places) - steps).x, low, max(low, high - steps[-1]))
    return [float(place) for place in moved + steps]


def histogram(figure: Histogram, *, width: float = 400, height: float = 210) -> Markup:
    """Draw shares of |ρ| as bars and those of independent units as an outline, on a square-root scale to show both."""
    frame = Frame(width, height)
    top = figure.top
    x, linear = frame.horizontal(0, 1), frame.vertical(0, sqrt(top) * 1.04)

    def y(share: float) -> float:
        return linear(sqrt(share))

    marks = [share for share in (0, 0.01, 0.05, 0.2, 0.5, 1.0) if share <= top]
    parts = [
        *grid(frame, y, marks, percent),
        _bars(figure.shares, x, y, frame.base),
        _outline(figure.expected, x, y, frame.base),
        *(text(x(rho), frame.base + 16, f"{rho:g}", "tick", "middle") for rho in (0, 0.25, 0.5, 0.75, 1)),
    ]
    return figure_svg(frame, parts, figure.alternative, "histogram")


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
    """Draw a layer on the table's common axis: floor shaded, interval as a bar, debiased as a dot, NC as a ring."""
    frame = Frame(150, 20, left=4, right=4, top=0, bottom=0)
    x = frame.horizontal(0, top or 1.0)
    parts = [rule(frame.left, 10, frame.end, 10, "grid")]
    if isfinite(noise):
        parts.append(f'<rect class="noise" x="{frame.left}" y="3" width="{x(noise) - frame.left:.1f}" height="14"/>')
    if isfinite(low) and isfinite(high):
        parts.append(rule(x(low), 10, x(high), 10, "interval"))
    if isfinite(raw):
        parts.append(f'<circle class="ring" cx="{x(raw):.1f}" cy="10" r="3.4"/>')
    if isfinite(value):
        parts.append(f'<circle class="dot hue-0" cx="{x(value):.1f}" cy="10" r="3.4"/>')
    values = {"nc_debiased": value, "nc_low": low, "nc_high": high, "nc": raw, "nc_noise_floor": noise}
    description = ", ".join(f"{QUANTITIES[name].label} {number(one)}" for name, one in values.items())
    return figure_svg(frame, parts, description, "whisker")
