"""A figure of what a network costs at each size: the share that stays against an error or a score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from markupsafe import Markup

from ..data.formatting import percent
from .axes import Frame, Scale, figure_svg, grid, text, ticks, trace
from .svg import spread

GAP = 14.0
MARGIN = 0.06


@dataclass(frozen=True, slots=True)
class Mark:
    """Values by share, as a line or as points.

    Attributes:
        name: at the last point.
        shade: name of the color.
        points: (share that stays, value), in any order; values that are unknown are left out.
        joined: whether a line joins them.
    """

    name: str
    shade: str
    points: tuple[tuple[float, float], ...]
    joined: bool = True

    @property
    def known(self) -> list[tuple[float, float]]:
        """Return the points with finite values, the largest network first."""
        return sorted((point for point in self.points if all(map(isfinite, point))), reverse=True)


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """A figure of marks; the horizontal axis begins at the whole network.

    Attributes:
        title: its heading.
        note: what it shows.
        marks: lines and points.
        label: formats a value.
        from_zero: whether the axis of values starts at 0.
    """

    title: str
    note: str
    marks: tuple[Mark, ...]
    label: Callable[[float], str]
    from_zero: bool = True

    @property
    def shares(self) -> tuple[float, float]:
        """Return the ends of the horizontal axis: 1, and the smallest share rounded down to tenths."""
        smallest = min((share for mark in self.marks for share, _ in mark.known), default=0.0)
        return 1.0, max(0.0, min(0.9, int(smallest * 10 + 0.2) / 10))

    @property
    def values(self) -> tuple[float, float]:
        """Return the ends of the vertical axis."""
        values = [value for mark in self.marks for _, value in mark.known] + [0.0] * self.from_zero
        low, high = min(values, default=0.0), max(values, default=1.0)
        room = MARGIN * (high - low or abs(high) or 1.0)
        return (low if self.from_zero and low >= 0 else low - room), high + room

    @property
    def numbers(self) -> list[tuple[str, float, float]]:
        """Return the line, the share and the value of each point."""
        return [(mark.name, share, value) for mark in self.marks for share, value in mark.known]

    @property
    def alternative(self) -> str:
        """Return the figure in words, for screen readers."""
        told = [
            f"{mark.name}: " + ", ".join(f"{self.label(value)} at {percent(share)}" for share, value in mark.known)
            for mark in self.marks
            if mark.known
        ]
        return f"{self.title} by the share that stays. {'; '.join(told)}."


def tradeoff(figure: Tradeoff, *, width: float = 400, height: float = 250) -> Markup:
    """Draw the figure: the whole network at the left, smaller ones to the right."""
    room = 18 + 7.4 * max((len(mark.name) for mark in figure.marks), default=0)
    frame = Frame(width, height, left=56, right=room, bottom=30)
    first, last = figure.shares
    x = lambda share: frame.left + (first - share) / (first - last) * (frame.end - frame.left)  # noqa: E731
    y = frame.vertical(*figure.values)
    steps = round((first - last) * 10)
    every = 2 if steps > 5 and width < 500 else 1
    parts = [
        *grid(frame, y, ticks(*figure.values), figure.label),
        *(
            text(x(first - step / 10), frame.base + 17, percent(first - step / 10), "tick", "middle")
            for step in range(0, steps + 1, every)
        ),
        *(_drawn(mark, x, y) for mark in figure.marks),
        *_names(figure.marks, frame, x, y),
    ]
    return figure_svg(frame, parts, figure.alternative, "chart")


def _drawn(mark: Mark, x: Scale, y: Scale) -> str:
    places = [(x(share), y(value)) for share, value in mark.known]
    line = f'<path class="line" d="{trace(places)}"/>' if mark.joined and len(places) > 1 else ""
    radius = 3.0 if mark.joined else 5.0
    dots = "".join(f'<circle class="dot" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius}"/>' for cx, cy in places)
    return f'<g class="{mark.shade}">{line}{dots}</g>'


def _names(marks: Sequence[Mark], frame: Frame, x: Scale, y: Scale) -> list[str]:
    """Draw names to the right of the last points, moved apart where they would overlap."""
    named = sorted((mark for mark in marks if mark.known), key=lambda mark: y(mark.known[-1][1]))
    places = spread([y(mark.known[-1][1]) for mark in named], GAP, frame.top + 4, frame.base - 4)
    return [
        f'<g class="{mark.shade}">{text(x(mark.known[-1][0]) + 10, place + 4, mark.name, "name")}</g>'
        for mark, place in zip(named, places, strict=True)
    ]
