"""What each figure shows, before anything is drawn: plain values that can be tested."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite, isnan

import numpy as np
from numpy.typing import NDArray

from .view import Layer, Series, View
from .words import count, number, percent, plural

UNDEFINED = -32768
RHO_SCALE = 10_000
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
    """Lines over training steps; ``floor`` is the noise floor, empty where the quantity has none."""

    key: str
    title: str
    note: str
    lines: tuple[Line, ...]
    floor: Series = field(default_factory=Series)
    logarithmic: bool = False

    @property
    def domain(self) -> tuple[float, float]:
        """The values that the vertical axis spans: from 0, or what lies below it, to a little above all."""
        values = _finite([self.floor, *(line.series for line in self.lines)])
        low, high = min([0.0, *values]), max([0.0, *values])
        return low, high + 0.06 * (high - low or 1.0)

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


_PANELS = (
    ("nc", "Neuronal correlation", "Mean |ρ| of a layer's units, after the activation function."),
    ("nc:pre", "… before the activation", "Mean |ρ| of the same layers' pre-activations."),
    ("wc", "Weight correlation", "Mean |cosine| between the incoming weights of two units."),
    ("epsilon", "What the activation changes, ε", "|NC after − NC before| the activation function."),
)


def charts(view: View) -> list[Chart]:
    """The curves of a run: one chart for each quantity that was recorded, then the training's own."""
    names = list(dict.fromkeys(layer.name.removesuffix(":pre") for layer in view.layers))
    colors = dict(zip(names, shades(len(names)), strict=True))
    drawn = [_panel(view.layers, key, title, note, colors) for key, title, note in _PANELS]
    return [chart for chart in [*drawn, *_training(view)] if chart.lines]


def _panel(layers: Sequence[Layer], key: str, title: str, note: str, colors: dict[str, str]) -> Chart:
    measure, _, before = key.partition(":")
    chosen = [layer for layer in layers if layer.of(measure).defined]
    if measure == "nc":
        chosen = [layer for layer in chosen if layer.before_activation == bool(before)]
    lines = tuple(_line(layer, measure, colors) for layer in chosen)
    floor = _highest([layer.of("nc_noise_floor") for layer in chosen]) if measure == "nc" else Series()
    return Chart(key.replace(":", "-"), title, note, lines, floor, _logarithmic(lines))


def _line(layer: Layer, measure: str, colors: dict[str, str]) -> Line:
    name = layer.name.removesuffix(":pre")
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


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A layer's correlations ordered by likeness.

    ``units`` are the layer's unit numbers in the order drawn. ``packed`` holds ρ of the upper triangle,
    row by row without the diagonal, as little-endian int16 of ρ·10⁴ (−32768 where undefined), in base64.
    """

    layer: str
    units: tuple[int, ...]
    packed: str
    n_units: int
    note: str
    strongest: tuple[int, int, float] | None

    @property
    def alternative(self) -> str:
        """The heat map in words."""
        told = f"{self.layer}: |ρ| of every pair among {count(len(self.units))} units. {self.note}"
        if self.strongest is None:
            return f"{told} No pair has a correlation."
        first, second, rho = self.strongest
        return f"{told} The strongest pair is {first} and {second}, ρ {number(rho)}."


def heat_maps(layers: Iterable[Layer]) -> list[HeatMap]:
    """A heat map for each layer whose correlations were recorded."""
    return [_heat_map(layer) for layer in layers if layer.arrays.get("correlation", np.empty(0)).size > 1]


def _heat_map(layer: Layer) -> HeatMap:
    correlation = np.asarray(layer.arrays["correlation"], dtype=np.float64)
    recorded = np.asarray(layer.arrays.get("correlation_units", np.arange(len(correlation)))).reshape(-1)
    order = cluster_order(correlation)
    ordered, units = correlation[np.ix_(order, order)], tuple(int(unit) for unit in recorded[order])
    n_units = len(units) if isnan(layer.last("n_units")) else int(layer.last("n_units"))
    return HeatMap(layer.name, units, pack(ordered), n_units, _note(ordered, n_units), _strongest(ordered, units))


def _note(correlation: NDArray[np.float64], n_units: int) -> str:
    """How many of the units are shown, and how many of those have no correlation."""
    shown, blank = len(correlation), len(correlation) - len(_defined(correlation))
    told = "Every unit is shown" if shown >= n_units else f"{shown} of {count(n_units)} units are shown"
    return f"{told}, {plural(blank, 'blank one')} at the end without a correlation." if blank else f"{told}."


def _defined(correlation: NDArray[np.float64]) -> NDArray[np.intp]:
    """The units that have a correlation with some other unit."""
    others = np.isfinite(correlation) & ~np.eye(len(correlation), dtype=bool)
    return np.flatnonzero(others.any(axis=1))


def _strongest(correlation: NDArray[np.float64], units: Sequence[int]) -> tuple[int, int, float] | None:
    upper = np.nan_to_num(np.abs(np.triu(correlation, 1)))
    if not upper.any():
        return None
    row, column = divmod(int(upper.argmax()), len(upper))
    first, second = sorted((units[row], units[column]))
    return first, second, float(correlation[row, column])


def cluster_order(correlation: NDArray[np.float64]) -> NDArray[np.intp]:
    """Units so ordered that like stands beside like: average linkage on 1 − |ρ|, undefined units last."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    alive = _defined(correlation)
    dead = np.setdiff1d(np.arange(len(correlation)), alive)
    if len(alive) < 3:
        return np.concatenate([alive, dead])
    likeness = np.nan_to_num(np.abs(correlation[np.ix_(alive, alive)]))
    distance = np.clip(1 - (likeness + likeness.T) / 2, 0, 1)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return np.concatenate([alive[leaves_list(tree)], dead])


def pack(correlation: NDArray[np.float64]) -> str:
    """The upper triangle without the diagonal as `HeatMap.packed`."""
    upper = correlation[np.triu_indices(len(correlation), 1)]
    scaled = np.where(np.isfinite(upper), np.clip(np.nan_to_num(upper), -1, 1) * RHO_SCALE, UNDEFINED)
    return b64encode(np.rint(scaled).astype("<i2").tobytes()).decode("ascii")
