"""The heatmaps of layers × training: what each shows, and its scale. The page's script draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

import numpy as np

from ...stats._base.quantities import QUANTITIES
from ..data.run_view import View
from ..data.trends import CLEAR, FAINT
from .figures import Group, is_geometric
from .panels import panels

MOST = 0.99
"""The share of all values that the scale covers."""


_JUDGED = (
    f" Units fire together if the whole 95 % interval lies above {CLEAR}, and are close to uncorrelated if it lies"
    f" below {FAINT}; 0 stands for no correlation, 1 for units that are all copies."
)


@dataclass(frozen=True, slots=True)
class Heatmap:
    """One quantity of all layers over training.

    Attributes:
        measure: its name in the rows.
        title: its heading.
        meaning: what it is, and what a high value means.
        digits: the digits of a value.
        low: the value of the lightest color; smaller ones have it too.
        high: that of the darkest; larger ones have it too.
        clipped: whether there are larger ones: a few outliers would make all others pale.
        threshold: a value that the scale marks, and what it marks; None without one.
    """

    measure: str
    title: str
    meaning: str
    digits: int
    low: float
    high: float
    clipped: bool
    threshold: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True)
class LayersOverTraining:
    """The heatmaps of some runs on one axis of steps.

    Attributes:
        maps: by quantity, the correlation first.
        logarithmic: whether the axis of steps is, until the reader chooses.
        phases: of each run, by the name of the site: start, peak, end, and whether growth and a fall were found.
    """

    maps: tuple[Heatmap, ...]
    logarithmic: bool
    phases: tuple[dict[str, tuple[int, int, int, bool, bool]], ...]


def layers_over_training(views: Sequence[View], groups: Sequence[Group]) -> LayersOverTraining:
    """Return the heatmaps of runs; their curves know the phases."""
    recorded = list(dict.fromkeys(name for view in views for layer in view.layers for name in layer.series))
    shown = ["nc_debiased" if name == "nc" and "nc_debiased" in recorded else name for name in recorded]
    names = [panel.name for panel in panels(recorded)]
    found = [_heatmap(views, "nc_debiased" if name == "nc" and "nc_debiased" in shown else name) for name in names]
    steps = sorted(
        {step for view in views for layer in view.layers for one in layer.series.values() for step in one.steps}
    )
    charts = next((group.charts for group in groups if group.key == "nc"), (None,) * len(views))
    phases = tuple(
        {chart.lines[row.line].site: (row.start, row.peak, row.end, row.grew, row.decorrelated) for row in chart.phases}
        if chart
        else {}
        for chart in charts
    )
    return LayersOverTraining(tuple(one for one in found if one), is_geometric(steps), phases)


def _heatmap(views: Sequence[View], measure: str) -> Heatmap | None:
    every = (layer.of(measure) for view in views for layer in view.layers)
    values = [value for series in every for value in series.values if isfinite(value)]
    if not values:
        return None
    (panel,) = [QUANTITIES[measure]] if measure in QUANTITIES else panels([measure])
    if panel.zero_means_none:
        low, high = 0.0, _round_up(float(np.quantile(values, MOST)))
    else:
        low, high = min(values), max(values)
    judged = measure in ("nc", "nc_debiased")
    meaning = panel.meaning + _JUDGED * judged
    threshold = (CLEAR, "units fire together above") if judged else None
    return Heatmap(measure, panel.title, meaning, panel.digits, low, high, max(values) > high, threshold)


def _round_up(value: float) -> float:
    """Return a round number that is not below a value.

    Example:
        >>> _round_up(0.43), _round_up(0.0), _round_up(7.2)
        (0.5, 1.0, 8.0)
    """
    if value <= 0:
        return 1.0
    magnitude = 10.0 ** floor(log10(value))
    return next(
        unit * magnitude for unit in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if unit * magnitude >= value * (1 - 1e-9)
    )
