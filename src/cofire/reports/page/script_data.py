"""The data of the page's script: the series and the pairs of each run, in few bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from ...stats._base.quantities import QUANTITIES
from ..charts.figures import Chart
from ..charts.heatmaps import LayersOverTraining
from ..charts.histograms import Histogram
from ..charts.pair_maps import Pairs
from ..charts.panels import SENT
from ..data.run_view import Layer, Series, View
from ..data.short_names import TINY, short_site_names
from .layer_table import COPIES

DIGITS = 5

Grids = dict[tuple[int, ...], int]
"""Lists of steps with their numbers: each list is sent once, and series refer to it by number."""


def page_data(
    views: Sequence[View],
    pairs: Sequence[Sequence[Pairs]],
    spreads: Sequence[Sequence[Histogram]],
    *,
    recorded: bool = True,
) -> Any:
    """Return all runs, and how to show each quantity, as plain data for JSON.

    Args:
        views: the runs.
        pairs: the maps of each.
        spreads: the distributions of each.
        recorded: whether they were recorded at steps, which the page then tells.
    """
    runs = zip(views, pairs, spreads, strict=True)
    sites = [layer.name for view in views for layer in view.layers]
    short, tiny = short_site_names(sites), short_site_names(sites, TINY)
    return {
        "recorded": recorded,
        "quantities": {name: {"label": QUANTITIES[name].label, "digits": QUANTITIES[name].digits} for name in SENT},
        "runs": [_run(view, of_pairs, of_spreads, short, tiny) for view, of_pairs, of_spreads in runs],
    }


def _run(
    view: View, pairs: Sequence[Pairs], spreads: Sequence[Histogram], short: Mapping[str, str], tiny: Mapping[str, str]
) -> dict[str, Any]:
    grids: Grids = {}
    units = {layer.name: layer.last("n_units") for layer in view.layers}
    places = {layer.name: index for index, layer in enumerate(view.layers)}
    return {
        "name": view.name,
        "last": view.last_step or 0,
        "layers": [
            {"name": layer.name, "label": short[layer.name], "tiny": tiny[layer.name], "series": _layer(layer, grids)}
            for layer in view.layers
        ],
        "training": {name: _series(series, grids) for name, series in view.training.items()},
        "grids": list(grids),  # after the series, which fill it
        "pairs": [{"layer": places[one.layer], "units": _or_none(units[one.layer]), **_pairs(one)} for one in pairs],
        "spreads": [
            {
                "layer": places[one.layer],
                "steps": list(one.counts),
                "counts": list(one.counts.values()),
                "top": _or_none(one.top),
            }
            for one in spreads
        ],
    }


def _layer(layer: Layer, grids: Grids) -> dict[str, Any]:
    shown = {name: series for name, series in layer.series.items() if name in SENT or name not in QUANTITIES}
    found = {name: _series(series, grids) for name, series in shown.items() if series.steps}
    if copies := layer.at_steps("duplicates"):
        steps = tuple(sorted(copies))
        counts = tuple(float(len(copies[step].reshape(-1, 3))) for step in steps)
        found[COPIES.key] = _series(Series(steps, counts), grids)
    return found


def _series(series: Series, grids: Grids) -> list[Any]:
    return [grids.setdefault(series.steps, len(grids)), [_or_none(value) for value in series.values]]


def _or_none(value: float) -> float | int | None:
    """Round a number so that it takes few characters; return None for NaN and infinity, which JSON lacks.

    Example:
        >>> _or_none(0.1234567), _or_none(64.0), _or_none(float("nan"))
        (0.12346, 64, None)
    """
    if not isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}") if abs(value) < 10**DIGITS else float(f"{value:.9g}")
    return int(short) if short.is_integer() else short


def _pairs(pairs: Pairs) -> dict[str, Any]:
    maps = {
        kind: {"units": one.units, "steps": list(one.packed), "packed": list(one.packed.values())}
        for kind, one in pairs.maps.items()
    }
    chance = {"steps": list(pairs.chance), "values": [_or_none(value) for value in pairs.chance.values()]}
    return {"maps": maps, "chance": chance, "sample": _sample(pairs)}


def _sample(pairs: Pairs) -> dict[str, Any] | None:
    if pairs.sample is None:
        return None
    kept = pairs.sample
    ends = {"low": kept.low.values(), "high": kept.high.values()}
    return {
        "units": kept.units,
        "steps": list(kept.packed),
        "packed": list(kept.packed.values()),
        **{end: [[_or_none(value) for value in values] for values in of_steps] for end, of_steps in ends.items()},
    }


def chart_data(chart: Chart, run: int, places: Mapping[str, int]) -> dict[str, Any]:
    """Return a chart's axes, and where the script finds its lines; layer −1 stands for the training itself."""
    peaks = {row.line: row.peak for row in chart.phases if row.decorrelated}
    return {
        "run": run,
        "logarithmic": chart.logarithmic,
        "steps": chart.ends,
        "values": chart.domain,
        "lines": [
            {
                "name": line.name,
                "shade": line.shade,
                "layer": places.get(line.site, -1),
                "measure": line.measure,
                "floor": QUANTITIES[line.measure].floor if line.floor.steps else None,
                "peak": peaks.get(index),
            }
            for index, line in enumerate(chart.lines)
        ],
    }


def heatmap_data(heatmaps: LayersOverTraining, ends: tuple[str, str]) -> dict[str, Any]:
    """Return the scales and phases of the heatmaps, and the parts of names that their rows leave out."""
    return {
        "maps": [asdict(one) for one in heatmaps.maps],
        "logarithmic": heatmaps.logarithmic,
        "phases": heatmaps.phases,
        "start": ends[0],
        "end": ends[1],
    }
