"""A figure of two networks, layer by layer: a ring for the first, a dot for the second, a line between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from markupsafe import Markup, escape

from ..data.comparison import COMPARED, Comparison, Estimate, Pair
from ..data.short_names import short_names
from .axes import Frame, Scale, figure_svg, rule, text, tick_label, ticks

WIDE = 640  # from this width on, a name is beside its line, not above
CHARACTER = 7.6  # the width of one, in the size of names
MOST = 40


@dataclass(frozen=True, slots=True)
class Dumbbell:
    """One layer: the number in both networks, what to call their difference, and whether it is real."""

    layer: str
    label: str
    a: Estimate
    b: Estimate
    difference: str
    real: bool

    @property
    def css(self) -> str:
        """Return the class of its color."""
        return ("rose" if self.b.value > self.a.value else "fell") if self.real else "same"


@dataclass(frozen=True, slots=True)
class Dumbbells:
    """A figure of layers, the largest difference first.

    Attributes:
        quantity: its key.
        rows: the layers.
        n_layers: how many there are, if not all are drawn.
    """

    quantity: str
    rows: tuple[Dumbbell, ...]
    n_layers: int

    @property
    def ends(self) -> tuple[float, float]:
        """Return the ends of the axis: all numbers with their intervals, from 0 if that is near."""
        numbers = [end for row in self.rows for side in (row.a, row.b) for end in (side.value, side.low, side.high)]
        known = [number for number in numbers if isfinite(number)]
        low, high = min(known, default=0.0), max(known, default=1.0)
        low = 0.0 if 0 <= low < 0.4 * high else low
        room = 0.03 * (high - low or abs(high) or 1.0)
        return low - room * (low != 0), high + room

    @property
    def alternative(self) -> str:
        """Return the figure in words, for screen readers."""
        rows = "; ".join(
            f"{row.layer} {row.a.text(self.quantity)} to {row.b.text(self.quantity)}" for row in self.rows[:8]
        )
        rest = f"; and {self.n_layers - 8} more layers" if self.n_layers > 8 else ""
        return f"{COMPARED[self.quantity].title} in both networks, the largest difference first. {rows}{rest}."


def dumbbells(comparison: Comparison, quantity: str, *, most: int = MOST) -> Dumbbells:
    """Return the figure of a quantity, with at most so many layers."""
    pairs = comparison.by_effect(quantity)
    labels = short_names(pair.layer for pair in pairs)
    return Dumbbells(quantity, tuple(_row(pair, quantity, labels[pair.layer]) for pair in pairs[:most]), len(pairs))


def _row(pair: Pair, quantity: str, label: str) -> Dumbbell:
    a, b = pair.a[quantity], pair.b[quantity]
    difference = pair.difference(quantity).text(quantity, signed=True)
    return Dumbbell(pair.layer, label, a, b, difference, pair.real(quantity))


def draw(figure: Dumbbells, *, width: float = 1160) -> Markup:
    """Draw the figure; on a narrow one, names and differences are above the lines."""
    beside = width >= WIDE
    each = 24.0 if beside else 40.0
    rooms = [max(CHARACTER * len(words) + 18 for words in column) for column in _columns(figure.rows)]
    left, right = rooms if beside else (6.0, 6.0)
    frame = Frame(width, each * len(figure.rows) + 34, left=left, right=right, top=8)
    x = frame.horizontal(*figure.ends)
    parts = [
        *(rule(x(at), frame.top, x(at), frame.base, "axis" if at == 0 else "grid") for at in _ticks(figure, frame)),
        *(text(x(at), frame.base + 18, tick_label(at), "tick", "middle") for at in _ticks(figure, frame)),
        *(
            _drawn(row, frame, x, frame.top + each * (place + (0.5 if beside else 0.72)), beside)
            for place, row in enumerate(figure.rows)
        ),
    ]
    return figure_svg(frame, parts, figure.alternative, "chart dumbbells")


def _columns(rows: Sequence[Dumbbell]) -> tuple[list[str], list[str]]:
    return [row.label for row in rows] or [""], [row.difference for row in rows] or [""]


def _ticks(figure: Dumbbells, frame: Frame) -> list[float]:
    return ticks(*figure.ends, about=8 if frame.end - frame.left > 400 else 4)


def _drawn(row: Dumbbell, frame: Frame, x: Scale, y: float, beside: bool) -> str:
    (start, name_anchor), end = ((frame.left - 12, "end") if beside else (frame.left, "start")), frame.width - 2
    above = 4 if beside else -14
    parts = [
        f"<title>{escape(row.layer)}: {row.difference}</title>",
        text(start, y + above, row.label, "name", name_anchor),
        text(end, y + above, row.difference, "value", "end"),
        *(
            f'<path class="reach" d="M{x(side.low):.1f} {y:.1f}H{x(side.high):.1f}"/>'
            for side in (row.a, row.b)
            if side.has_interval
        ),
        rule(x(row.a.value), y, x(row.b.value), y, "line"),
        f'<circle class="first" cx="{x(row.a.value):.1f}" cy="{y:.1f}" r="4.2"/>',
        f'<circle class="dot" cx="{x(row.b.value):.1f}" cy="{y:.1f}" r="5"/>',
    ]
    return f'<g class="{row.css}">{"".join(parts)}</g>'
