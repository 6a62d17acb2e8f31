"""The contents of each figure as plain values, before anything is drawn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np

from ...stats._base.quantities import QUANTITIES, Quantity
from ..data.formatting import number
from ..data.run_view import BEFORE_ACTIVATION, Layer, Series, View
from ..data.short_names import TINY, short_names
from ..data.trends import phases_of, telling_layers
from .panels import panels

HUES = 8
CHOSEN = 6  # of more than HUES layers, this many are drawn at first
ALIKE = 1.25  # layers share one floor if the highest of theirs is at most this many times the lowest


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; ``shade`` names its color, "" if it is not drawn; ``site`` and ``measure`` name its rows."""

    name: str
    series: Series
    shade: str
    site: str = ""
    measure: str = ""
    floor: Series = field(default_factory=Series)


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """The phases of one line: the steps of start, peak and end, what is beyond noise, and a description."""

    line: int
    name: str
    shade: str
    start: int
    peak: int
    end: int
    grew: bool
    decorrelated: bool
    description: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over training steps.

    Attributes:
        key: tells charts of one run apart.
        title: its heading.
        note: what it shows.
        lines: the lines.
        floor: what noise alone gives, if all lines share it; otherwise each line has its own, or there is none.
        logarithmic: whether the axis of steps is.
        floor_name: the label of the floor.
        from_zero: whether the axis of values starts at 0.
        phases: growth and decorrelation of the lines.
        span: the first and last step, if other charts share the axis.
        values: the ends of the axis of values, likewise.
        names: the names in all charts beside this one, so that each leaves the same room for them.

    With many layers only the chosen ones are drawn, over the range of all.
    """

    key: str
    title: str
    note: str
    lines: tuple[Line, ...]
    floor: Series = field(default_factory=Series)
    logarithmic: bool = False
    floor_name: str = "noise floor"
    from_zero: bool = True
    phases: tuple[PhaseRow, ...] = ()
    span: tuple[int, int] | None = None
    values: tuple[float, float] | None = None
    names: tuple[str, ...] = ()

    @property
    def domain(self) -> tuple[float, float]:
        """Return the values that the vertical axis spans, from 0 if that is meaningful, with some room above."""
        if self.values is not None:
            return self.values
        values = (
            _finite([self.floor, *(one for line in self.lines for one in (line.series, line.floor))])
            + [0.0] * self.from_zero
        )
        low, high = min(values), max(values)
        room = 0.06 * (high - low or 1.0)
        return low - room * (not self.from_zero), high + room

    @property
    def drawn(self) -> list[tuple[int, Line]]:
        """Return the lines that are drawn, with their places among all."""
        return [(index, line) for index, line in enumerate(self.lines) if line.shade]

    @property
    def band(self) -> list[tuple[int, float, float]]:
        """Return the range of all lines at each step that most of them have, if some are not drawn."""
        if len(self.drawn) == len(self.lines):
            return []
        by_step = _by_step([line.series for line in self.lines])
        return [(step, min(of), max(of)) for step, of in by_step.items() if 2 * len(of) > len(self.lines)]

    @property
    def steps(self) -> list[int]:
        """Return all steps at which any line has a value."""
        return sorted({step for line in self.lines for step in line.series.steps})

    @property
    def ends(self) -> tuple[int, int]:
        """Return the first and the last step of the horizontal axis."""
        steps = self.steps or [0]
        return self.span or (steps[0], steps[-1])

    @property
    def alternative(self) -> str:
        """Return the chart in words, for screen readers."""
        ends = [f"{line.name} ends at {number(line.series.last)}" for _, line in self.drawn[:8]]
        rest = [f"{len(self.lines) - len(ends)} more"] if len(self.lines) > len(ends) else []
        return f"{self.title} over training. " + "; ".join(ends + rest) + "."


def _finite(many: Iterable[Series]) -> list[float]:
    return [value for series in many for value in series.values if isfinite(value)]


def shade(place: int) -> str:
    """Return the name of a line's color by its place among those that are drawn.

    Example:
        >>> shade(1), shade(9)
        ('hue-1', 'hue-1')
    """
    return f"hue-{place % HUES}"


def is_geometric(steps: Sequence[int]) -> bool:
    """Return whether a logarithmic axis spaces ascending steps more evenly than a linear one.

    Example:
        >>> is_geometric(range(0, 1000, 100)), is_geometric([0, 1, 2, 4, 8, 16]), is_geometric([0, 50, 1000])
        (False, True, False)
    """
    if len(steps) < 4 or steps[-1] <= 0:
        return False
    linear, logarithmic = np.diff(np.asarray(steps, float)), np.diff(np.log1p(np.asarray(steps, float)))
    return bool(logarithmic.std() / logarithmic.mean() < linear.std() / linear.mean())


@dataclass(frozen=True, slots=True)
class Group:
    """One quantity of several runs on common axes: a chart for each, or None if a run lacks the quantity."""

    key: str
    title: str
    note: str
    charts: tuple[Chart | None, ...]


def side_by_side(views: Sequence[View]) -> list[Group]:
    """Return the curves of runs on one axis of steps, with layers of the same name in the same color."""
    styles = _styles(views)
    of_runs = [charts(view, styles) for view in views]
    drawn = [chart for of_run in of_runs for chart in of_run]
    if not drawn:
        return []
    firsts, lasts = zip(*(chart.ends for chart in drawn), strict=True)
    axis = {"span": (min(firsts), max(lasts)), "logarithmic": any(chart.logarithmic for chart in drawn)}
    names = tuple(dict.fromkeys(line.name for chart in drawn for line in chart.lines))
    placed = [{chart.key: replace(chart, **axis, names=names) for chart in of_run} for of_run in of_runs]
    keys = dict.fromkeys(chart.key for chart in drawn)
    return [_group([of_run.get(key) for of_run in placed]) for key in keys]


def _group(drawn: Sequence[Chart | None]) -> Group:
    """Put the charts of one quantity on the same axis of values."""
    there = [chart for chart in drawn if chart is not None]
    lows, highs = zip(*(chart.domain for chart in there), strict=True)
    placed = tuple(chart and replace(chart, values=(min(lows), max(highs))) for chart in drawn)
    return Group(there[0].key, there[0].title, there[0].note, placed)


@dataclass(frozen=True, slots=True)
class Style:
    """The short name and the color of a layer, "" if its curves are not drawn."""

    label: str
    shade: str


def _styles(views: Sequence[View]) -> dict[str, Style]:
    """Return the styles of all layers; if there are many, only the most telling ones have a color."""
    layers = (layer for view in views for layer in view.layers)
    names = list(dict.fromkeys(layer.name.removesuffix(BEFORE_ACTIVATION) for layer in layers))
    chosen = chosen_layers(views)
    short = short_names(names, TINY)
    return {name: Style(short[name], shade(chosen.index(name)) if name in chosen else "") for name in names}


def chosen_layers(views: Sequence[View]) -> list[str]:
    """Return the names of the layers whose curves are drawn at first: all if they are few, or the most telling ones."""
    layers = {layer.name.removesuffix(BEFORE_ACTIVATION): layer for view in views for layer in view.layers}
    if len(layers) <= HUES:
        return list(layers)
    telling = {layer.name.removesuffix(BEFORE_ACTIVATION) for layer in telling_layers(views[0].measured, CHOSEN)}
    return [name for name in layers if name in telling] or list(layers)[:CHOSEN]


def charts(view: View, styles: Mapping[str, Style] | None = None) -> list[Chart]:
    """Return the curves of a run: a chart for each quantity of its layers, then those of the training itself."""
    styles = styles or _styles([view])
    recorded = (name for layer in view.layers for name in layer.series)
    drawn = [chart for panel in panels(recorded) for chart in _panel_charts(view.layers, panel, styles)]
    return [chart for chart in [*drawn, *_training(view)] if chart.lines]


def _panel_charts(layers: Sequence[Layer], panel: Quantity, styles: Mapping[str, Style]) -> list[Chart]:
    """Return one chart for sites after the activation function, and one for sites before it."""
    with_it = [layer for layer in layers if layer.of(panel.name).defined]
    after = [layer for layer in with_it if not layer.before_activation]
    before = [layer for layer in with_it if layer.before_activation]
    title = "… before the activation function" if after else panel.title
    return [
        _panel_chart(after, panel, panel.name, panel.title, styles, " Measured after the activation function."),
        _panel_chart(before, panel, f"{panel.name}-pre", title, styles, " Measured before the activation function."),
    ]


def _panel_chart(
    layers: Sequence[Layer], panel: Quantity, key: str, title: str, styles: Mapping[str, Style], where: str
) -> Chart:
    floors = [layer.of(panel.floor) for layer in layers]
    alike = _alike(floors)
    lines = tuple(
        _line(layer, panel.name, styles, Series() if alike else floor)
        for layer, floor in zip(layers, floors, strict=True)
    )
    note = panel.meaning
    note += where if panel.source == "activations" and panel.name != "epsilon" else ""  # ε compares both sites
    return Chart(
        key,
        title,
        note,
        lines,
        _highest(floors) if alike else Series(),
        _logarithmic(lines),
        floor_name=QUANTITIES[panel.floor].title.lower() if panel.floor else "",
        from_zero=panel.zero_means_none,
        phases=_phases(layers, lines) if panel.name == "nc" else (),
    )


def _line(layer: Layer, measure: str, styles: Mapping[str, Style], floor: Series) -> Line:
    style = styles[layer.name.removesuffix(BEFORE_ACTIVATION)]
    return Line(style.label, layer.of(measure), style.shade, layer.name, measure, floor)


def _phases(layers: Sequence[Layer], lines: Sequence[Line]) -> tuple[PhaseRow, ...]:
    """Return the phases of each line that has enough recordings to find any."""
    found = [(index, line, phases_of(layer)) for index, (layer, line) in enumerate(zip(layers, lines, strict=True))]
    return tuple(
        PhaseRow(index, line.name, line.shade, of.start, of.peak, of.end, of.grew, of.decorrelated, str(of))
        for index, line, of in found
        if of is not None
    )


def _logarithmic(lines: Iterable[Line]) -> bool:
    return is_geometric(sorted({step for line in lines for step in line.series.steps}))


def _alike(floors: Sequence[Series]) -> bool:
    """Return whether one floor can represent all: convolutional layers have many more samples than others."""
    return all(max(values) <= ALIKE * min(values) for values in _by_step(floors).values())


def _highest(floors: Sequence[Series]) -> Series:
    """Return the highest noise floor at each step: whatever exceeds it is beyond noise in every layer."""
    found = _by_step(floors)
    return Series(tuple(found), tuple(map(max, found.values())))


def _by_step(floors: Sequence[Series]) -> dict[int, list[float]]:
    """Return the finite values of all series by step, ascending."""
    found: dict[int, list[float]] = {}
    for floor in floors:
        for step, value in zip(floor.steps, floor.values, strict=True):
            if isfinite(value):
                found.setdefault(step, []).append(value)
    return dict(sorted(found.items()))


def _training(view: View) -> list[Chart]:
    accuracies = {name: series for name, series in view.training.items() if "accuracy" in name}
    losses = {name: series for name, series in view.training.items() if "loss" in name}
    rest = {name: series for name, series in view.training.items() if name not in accuracies | losses}
    groups = [("accuracy", "Accuracy", accuracies), ("loss", "Loss", losses)]
    groups += [(f"training-{index}", name, {name: series}) for index, (name, series) in enumerate(rest.items())]
    return [_training_chart(key, title, group) for key, title, group in groups]


def _training_chart(key: str, title: str, group: dict[str, Series]) -> Chart:
    group = {name: series for name, series in group.items() if series.defined}
    lines = tuple(
        Line(_short(name), series, shade(place), measure=name) for place, (name, series) in enumerate(group.items())
    )
    return Chart(key, title, "As the training loop logged it.", lines, logarithmic=_logarithmic(lines))


def _short(name: str) -> str:
    """Shorten ``test_accuracy`` to ``test``, and ``accuracy`` alone to ``training``."""
    return name.replace("_", " ").removesuffix("accuracy").removesuffix("loss").strip() or "training"
