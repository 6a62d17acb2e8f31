"""What each figure shows, before anything is drawn: plain values that can be tested."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from ..data.formatting import labels, number
from ..data.run_view import BEFORE_ACTIVATION, Layer, Series, View
from ..data.trends import phases_of
from .panels import PANELS, Panel

SHADES = 12
CATEGORIES = 6
ALIKE = 1.25  # floors of several layers, of which the highest is so many times the lowest at most, count as one


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; ``shade`` names its color, ``site`` and ``measure`` its rows."""

    name: str
    series: Series
    shade: str
    site: str = ""
    measure: str = ""
    floor: Series = field(default_factory=Series)


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """The phases of one line: steps of start, peak and end, and what of it was told from noise, in words."""

    line: int
    name: str
    shade: str
    start: int
    peak: int
    end: int
    grew: bool
    decorrelated: bool
    told: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over training steps; ``floor`` is what noise alone gives, empty where the quantity has none, or where the
    lines' floors differ: then each has its own.

    ``span`` (first and last step) and ``values`` are the ends of the axes, where other charts set them too; ``names``
    are those of all lines beside it, so that each chart leaves them the same room.
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
        """The values that the vertical axis spans, to a little above all, and from 0 where that means something."""
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
    def steps(self) -> list[int]:
        """All steps at which any line has a value."""
        return sorted({step for line in self.lines for step in line.series.steps})

    @property
    def ends(self) -> tuple[int, int]:
        """The steps that the horizontal axis spans."""
        steps = self.steps or [0]
        return self.span or (steps[0], steps[-1])

    @property
    def alternative(self) -> str:
        """The chart in words, for those who cannot see it."""
        told = [f"{line.name} ends at {number(line.series.last)}" for line in self.lines[:8]]
        rest = [f"and {len(self.lines) - 8} more"] if len(self.lines) > 8 else []
        return f"{self.title} over training. " + "; ".join(told + rest) + "."


def _finite(many: Iterable[Series]) -> list[float]:
    return [value for series in many for value in series.values if isfinite(value)]


def shades(n_lines: int) -> list[str]:
    """Color names for lines in order of depth: distinct hues while few, a ramp when many.

    Example:
        >>> shades(3), shades(24)[0], shades(24)[-1]
        (['hue-0', 'hue-1', 'hue-2'], 'depth-0', 'depth-11')
    """
    if n_lines <= CATEGORIES:
        return [f"hue-{index}" for index in range(n_lines)]
    return [f"depth-{round(index * (SHADES - 1) / (n_lines - 1))}" for index in range(n_lines)]


def is_geometric(steps: Sequence[int]) -> bool:
    """Whether steps crowd so near the start that only a logarithmic axis shows them.

    Example:
        >>> is_geometric(range(0, 1000, 100)), is_geometric([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
        (False, True)
    """
    if len(steps) < 6 or steps[-1] <= 0:
        return False
    return sum(step <= steps[-1] / 10 for step in steps) > len(steps) / 2


@dataclass(frozen=True, slots=True)
class Group:
    """One quantity of several runs on common axes: a chart each, None where a run has none."""

    key: str
    title: str
    note: str
    charts: tuple[Chart | None, ...]


def side_by_side(views: Sequence[View]) -> list[Group]:
    """The curves of runs, all on the same axis of steps, a layer of the same name in the same color."""
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
    """Those of one quantity on the same axis of values."""
    there = [chart for chart in drawn if chart is not None]
    lows, highs = zip(*(chart.domain for chart in there), strict=True)
    placed = tuple(chart and replace(chart, values=(min(lows), max(highs))) for chart in drawn)
    return Group(there[0].key, there[0].title, there[0].note, placed)


@dataclass(frozen=True, slots=True)
class Style:
    """How a layer is drawn: its short name and its color."""

    label: str
    shade: str


def _styles(views: Iterable[View]) -> dict[str, Style]:
    layers = (layer for view in views for layer in view.layers)
    names = list(dict.fromkeys(layer.name.removesuffix(BEFORE_ACTIVATION) for layer in layers))
    drawn = zip(labels(names).items(), shades(len(names)), strict=True)
    return {name: Style(label, shade) for (name, label), shade in drawn}


def charts(view: View, styles: Mapping[str, Style] | None = None) -> list[Chart]:
    """The curves of a run: one chart for each quantity that was recorded, then the training's own."""
    styles = styles or _styles([view])
    drawn = [chart for panel in PANELS for chart in _panel_charts(view.layers, panel, styles)]
    return [chart for chart in [*drawn, *_training(view)] if chart.lines]


def _panel_charts(layers: Sequence[Layer], panel: Panel, styles: Mapping[str, Style]) -> list[Chart]:
    """After the activation function, and before it, where that was recorded."""
    with_it = [layer for layer in layers if layer.of(panel.measure).defined]
    after = [layer for layer in with_it if not layer.before_activation]
    before = [layer for layer in with_it if layer.before_activation]
    title = "… before the activation" if after else panel.title
    return [
        _panel_chart(after, panel, panel.measure, panel.title, styles, " After the activation function."),
        _panel_chart(before, panel, f"{panel.measure}-pre", title, styles, " Before the activation function."),
    ]


def _panel_chart(
    layers: Sequence[Layer], panel: Panel, key: str, title: str, styles: Mapping[str, Style], where: str
) -> Chart:
    floors = [layer.of(panel.floor) for layer in layers]
    alike = _alike(floors)
    lines = tuple(
        _line(layer, panel.measure, styles, Series() if alike else floor)
        for layer, floor in zip(layers, floors, strict=True)
    )
    note = panel.note + (where if panel.of_activations else "")
    return Chart(
        key,
        title,
        note,
        lines,
        _highest(floors) if alike else Series(),
        _logarithmic(lines),
        floor_name=panel.floor_name,
        from_zero=panel.from_zero,
        phases=_phases(layers, lines) if panel.measure == "nc" else (),
    )


def _line(layer: Layer, measure: str, styles: Mapping[str, Style], floor: Series) -> Line:
    style = styles[layer.name.removesuffix(BEFORE_ACTIVATION)]
    return Line(style.label, layer.of(measure), style.shade, layer.name, measure, floor)


def _phases(layers: Sequence[Layer], lines: Sequence[Line]) -> tuple[PhaseRow, ...]:
    """The phases of each line that has recordings enough to tell any."""
    found = [(index, line, phases_of(layer)) for index, (layer, line) in enumerate(zip(layers, lines, strict=True))]
    return tuple(
        PhaseRow(index, line.name, line.shade, of.start, of.peak, of.end, of.grew, of.decorrelated, str(of))
        for index, line, of in found
        if of is not None
    )


def _logarithmic(lines: Iterable[Line]) -> bool:
    return is_geometric(sorted({step for line in lines for step in line.series.steps}))


def _alike(floors: Sequence[Series]) -> bool:
    """Whether one floor may stand for all: layers of positions have many more samples than those of whole inputs."""
    return all(max(values) <= ALIKE * min(values) for values in _by_step(floors).values())


def _highest(floors: Sequence[Series]) -> Series:
    """The highest noise floor at each step, so that nothing above it is noise in any layer."""
    found = _by_step(floors)
    return Series(tuple(found), tuple(map(max, found.values())))


def _by_step(floors: Sequence[Series]) -> dict[int, list[float]]:
    """The finite values of all, by their steps, ascending."""
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
        Line(_spoken(name), series, shade, measure=name)
        for (name, series), shade in zip(group.items(), shades(len(group)), strict=True)
    )
    return Chart(key, title, "As the training loop recorded it.", lines, logarithmic=_logarithmic(lines))


def _spoken(name: str) -> str:
    """``test_accuracy`` as ``test``, ``accuracy`` alone as ``training``."""
    return name.replace("_", " ").removesuffix("accuracy").removesuffix("loss").strip() or "training"
