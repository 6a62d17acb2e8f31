"""What each figure shows, before anything is drawn: plain values that can be tested."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from .panels import PANELS, Panel
from .view import BEFORE_ACTIVATION, Layer, Series, View
from .words import number, percent, plural

SHADES = 12
CATEGORIES = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; ``shade`` names its color."""

    name: str
    series: Series
    shade: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over training steps; ``floor`` is what noise alone gives, empty where the quantity has none."""

    key: str
    title: str
    note: str
    lines: tuple[Line, ...]
    floor: Series = field(default_factory=Series)
    logarithmic: bool = False
    floor_name: str = "noise floor"
    from_zero: bool = True

    @property
    def domain(self) -> tuple[float, float]:
        """The values that the vertical axis spans, to a little above all, and from 0 where that means something."""
        values = _finite([self.floor, *(line.series for line in self.lines)]) + [0.0] * self.from_zero
        low, high = min(values), max(values)
        room = 0.06 * (high - low or 1.0)
        return low - room * (not self.from_zero), high + room

    @property
    def steps(self) -> list[int]:
        """All steps at which any line has a value."""
        return sorted({step for line in self.lines for step in line.series.steps})

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


def charts(view: View) -> list[Chart]:
    """The curves of a run: one chart for each quantity that was recorded, then the training's own."""
    names = list(dict.fromkeys(layer.name.removesuffix(BEFORE_ACTIVATION) for layer in view.layers))
    colors = dict(zip(names, shades(len(names)), strict=True))
    drawn = [chart for panel in PANELS for chart in _panel_charts(view.layers, panel, colors)]
    return [chart for chart in [*drawn, *_training(view)] if chart.lines]


def _panel_charts(layers: Sequence[Layer], panel: Panel, colors: dict[str, str]) -> list[Chart]:
    """After the activation function, and before it, where that was recorded."""
    with_it = [layer for layer in layers if layer.of(panel.measure).defined]
    after = [layer for layer in with_it if not layer.before_activation]
    before = [layer for layer in with_it if layer.before_activation]
    title = "… before the activation" if after else panel.title
    return [
        _panel_chart(after, panel, panel.measure, panel.title, colors, " After the activation function."),
        _panel_chart(before, panel, f"{panel.measure}-pre", title, colors, " Before the activation function."),
    ]


def _panel_chart(
    layers: Sequence[Layer], panel: Panel, key: str, title: str, colors: dict[str, str], where: str
) -> Chart:
    lines = tuple(_line(layer, panel.measure, colors) for layer in layers)
    floor = _highest([layer.of(panel.floor) for layer in layers])
    note = panel.note + (where if panel.of_activations else "")
    return Chart(
        key, title, note, lines, floor, _logarithmic(lines), floor_name=panel.floor_name, from_zero=panel.from_zero
    )


def _line(layer: Layer, measure: str, colors: dict[str, str]) -> Line:
    name = layer.name.removesuffix(BEFORE_ACTIVATION)
    return Line(name, layer.of(measure), colors[name])


def _logarithmic(lines: Iterable[Line]) -> bool:
    return is_geometric(sorted({step for line in lines for step in line.series.steps}))


def _highest(floors: Sequence[Series]) -> Series:
    """The highest noise floor at each step, so that nothing above it is noise in any layer."""
    highest: dict[int, float] = {}
    for floor in floors:
        for step, value in zip(floor.steps, floor.values, strict=True):
            if isfinite(value):
                highest[step] = max(value, highest.get(step, 0.0))
    steps = sorted(highest)
    return Series(tuple(steps), tuple(highest[step] for step in steps))


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
        Line(_spoken(name), series, shade)
        for (name, series), shade in zip(group.items(), shades(len(group)), strict=True)
    )
    return Chart(key, title, "As the training loop recorded it.", lines, logarithmic=_logarithmic(lines))


def _spoken(name: str) -> str:
    """``test_accuracy`` as ``test``, ``accuracy`` alone as ``training``."""
    return name.replace("_", " ").removesuffix("accuracy").removesuffix("loss").strip() or "training"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How a layer's |ρ| are spread: the share of pairs in each bin of [0, 1], and the null's."""

    layer: str
    n_pairs: int
    shares: tuple[float, ...]
    expected: tuple[float, ...]

    @property
    def alternative(self) -> str:
        """The histogram in words."""
        upper = sum(self.shares[len(self.shares) // 2 :])
        null = sum(self.expected[len(self.expected) // 2 :]) if self.expected else float("nan")
        return (
            f"{self.layer}: {percent(upper)} of {plural(self.n_pairs, 'pair')} have |ρ| above 0.5; "
            f"independent units would show {percent(null)}."
        )


def histograms(layers: Iterable[Layer]) -> list[Histogram]:
    """The spread of |ρ| in each layer that has at least one pair."""
    drawn = []
    for layer in layers:
        counts = layer.arrays.get("histogram", np.empty(0)).reshape(-1)
        if counts.sum() > 0:
            shares = tuple(float(share) for share in counts / counts.sum())
            drawn.append(
                Histogram(layer.name, int(counts.sum()), shares, expected_shares(layer.n_samples, len(counts)))
            )
    return drawn


def expected_shares(n_samples: int | None, n_bins: int) -> tuple[float, ...]:
    r"""The share of pairs that independent Gaussian units put in each bin of \|r\| over [0, 1].

    .. math:: P(|r| \le t) = I_{t^2}\left(\tfrac12, \tfrac{n-2}{2}\right)

    Empty below three samples, where r has no density.

    Example:
        >>> [round(share, 3) for share in expected_shares(4, 2)]  # uniform on [0, 1] for four samples
        [0.5, 0.5]
    """
    from scipy.special import betainc

    if n_samples is None or n_samples < 3:
        return ()
    edges = np.linspace(0, 1, n_bins + 1)
    return tuple(float(share) for share in np.diff(betainc(0.5, (n_samples - 2) / 2, edges**2)))
