"""What the page's script is given: the series and the pairs of each run, in few bytes."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from ..charts.figures import Chart
from ..charts.histograms import Histogram
from ..charts.pair_maps import Pairs
from ..charts.panels import PANELS
from ..data.run_view import Layer, Series, View

DIGITS = 5
_OF_TABLE = ("nc_debiased", "nc_low", "nc_high", "nc_noise_floor", "n_units", "n_constant")
MEASURES = (*(panel.measure for panel in PANELS), *_OF_TABLE)


class Grids:
    """Lists of steps, each held once: series refer to them by number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, ...], int] = {}

    def place(self, steps: tuple[int, ...]) -> int:
        """The number of a list of steps."""
        return self._numbers.setdefault(steps, len(self._numbers))

    @property
    def lists(self) -> list[tuple[int, ...]]:
        """All of them, by number."""
        return list(self._numbers)


def page_data(views: Sequence[View], pairs: Sequence[Sequence[Pairs]], spreads: Sequence[Sequence[Histogram]]) -> Any:
    """All runs, as JSON holds them."""
    runs = zip(views, pairs, spreads, strict=True)
    return {"runs": [_run(view, of_pairs, of_spreads) for view, of_pairs, of_spreads in runs]}


def _run(view: View, pairs: Sequence[Pairs], spreads: Sequence[Histogram]) -> dict[str, Any]:
    grids, units = Grids(), {layer.name: layer.last("n_units") for layer in view.layers}
    layers = [{"name": layer.name, "series": _layer(layer, grids)} for layer in view.layers]
    training = {name: _series(series, grids) for name, series in view.training.items()}
    places = {layer.name: index for index, layer in enumerate(view.layers)}
    return {
        "name": view.name,
        "last": view.last_step or 0,
        "layers": layers,
        "training": training,
        "grids": grids.lists,
        "pairs": [{"layer": places[one.layer], "units": _or_none(units[one.layer]), **_pairs(one)} for one in pairs],
        "spreads": [{"layer": places[one.layer], **_spread(one)} for one in spreads],
    }


def _layer(layer: Layer, grids: Grids) -> dict[str, Any]:
    found = {name: _series(layer.of(name), grids) for name in MEASURES if layer.of(name).steps}
    if copies := layer.at_steps("duplicates"):
        steps = tuple(sorted(copies))
        counts = tuple(float(len(copies[step].reshape(-1, 3))) for step in steps)
        found["copies"] = _series(Series(steps, counts), grids)
    return found


def _series(series: Series, grids: Grids) -> list[Any]:
    return [grids.place(series.steps), [_or_none(value) for value in series.values]]


def _or_none(value: float) -> float | int | None:
    """A number in as few characters as its digits need.

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
    return {"maps": maps, "chance": _by_step(pairs.chance), "sample": _sample(pairs)}


def _by_step(values: Mapping[int, float]) -> dict[str, Any]:
    return {"steps": list(values), "values": [_or_none(value) for value in values.values()]}


def _sample(pairs: Pairs) -> dict[str, Any] | None:
    if pairs.sample is None:
        return None
    kept = pairs.sample
    ends = {"low": kept.low.values(), "high": kept.high.values()}
    return {
        "units": kept.units,
        "rows": kept.n_rows,
        "steps": list(kept.packed),
        "packed": list(kept.packed.values()),
        **{end: [[_or_none(value) for value in values] for values in of_steps] for end, of_steps in ends.items()},
    }


def _spread(histogram: Histogram) -> dict[str, Any]:
    counts = histogram.counts
    return {"steps": list(counts), "counts": list(counts.values()), "top": _or_none(histogram.top)}


def chart_data(chart: Chart, run: int, places: Mapping[str, int]) -> dict[str, Any]:
    """A chart's axes, and where its lines are found; layer −1 is the training's own."""
    return {
        "run": run,
        "logarithmic": chart.logarithmic,
        "steps": chart.ends,
        "values": chart.domain,
        "lines": [
            {"name": line.name, "shade": line.shade, "layer": places.get(line.site, -1), "measure": line.measure}
            for line in chart.lines
        ],
    }
