"""The page of an inspection: the layers of one network, the most redundant first."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from typing import ClassVar

from numpy.typing import NDArray

from ...nets.redundancy import LayerRedundancy, RedundancyReport
from ..charts import histograms, pair_maps
from ..data.formatting import count
from ..data.inspection_rows import COLUMNS, Row, numbered_notes, row_of
from ..data.run_view import Layer, Series, View
from ..data.short_names import short_names
from ..findings import inspection_findings, meanings
from ..findings.finding import Finding
from ..findings.shrink_findings import Advice
from .html import rendered, written
from .script_data import page_data
from .sections import reach

WITH_DATA = (
    *("units", "parameters", "constant", "copies", "width", "drawing", "nc_debiased", "interval", "explained"),
    *("wc", "rank"),
)
WITHOUT_DATA = ("units", "parameters", "zero", "copies", "wc", "chance", "rank", "entropy_rank")
MODEL = "(the model)"
SHORT = 34


@dataclass(frozen=True)
class Inspection:
    """A report on redundancy as a page and the terminal show it.

    Attributes:
        target: what was inspected, as the user named it.
        report: what was found.
        made: how it was measured, as names and text.
        advice: what can be cut; None if that is not known.
    """

    target: str
    report: RedundancyReport
    made: Mapping[str, str]
    advice: Advice | None = None
    recorded: ClassVar[bool] = False

    @property
    def by_data(self) -> bool:
        """Return whether any activations were measured."""
        return any(layer.activations for layer in self.report.layers)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the keys of the table's columns; "drawing" stands for the drawn correlation."""
        return WITH_DATA if self.by_data else WITHOUT_DATA

    @property
    def headline(self) -> str:
        """Return the network in one sentence."""
        return inspection_findings.headline(self.report)

    @property
    def findings(self) -> list[Finding]:
        """Return the findings, those that need action first."""
        pairs = [row.view for row in self.rows if row.judged and row.view.last("n_units") > 1]
        return inspection_findings.findings(self.report, pairs, self.advice)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Return the few numbers that head the page."""
        samples = max((layer.n_samples or 0 for layer in self.report.layers), default=0)
        layers = self.report.layers
        facts = [
            ("layers", count(len(layers))),
            ("units", count(sum(layer.n_units for layer in layers))),
            ("parameters of these layers", count(sum(layer.n_parameters or 0 for layer in layers))),
        ]
        return [*facts, *([("samples", count(samples))] if samples else [])]

    @cached_property
    def rows(self) -> list[Row]:
        """Return the layers, the most redundant first."""
        return [row_of(layer, as_view(layer)) for layer in self.report.by_redundancy]

    @cached_property
    def places(self) -> dict[str, int]:
        """Return where each layer lies in the network, or in the file."""
        return {layer.layer or MODEL: place for place, layer in enumerate(self.report.layers)}

    @property
    def meanings(self) -> list[meanings.Meaning]:
        """Return what the numbers of the page mean, with their thresholds."""
        parameters = COLUMNS["parameters"]
        by_weights = [meanings.DEAD] if any(layer.weights for layer in self.report.layers) else []
        found: list[meanings.Meaning] = [(parameters.heading, parameters.meaning)]
        copies = meanings.copies(self.report.threshold, by_weights=not self.by_data)
        if self.by_data:
            found += [meanings.CONSTANT, copies, meanings.width(self.report.unexplained), *meanings.CORRELATION]
            found += [meanings.EXPLAINED]
        else:
            found += [copies]
        return [*found, *by_weights, meanings.WEIGHT_CORRELATION, meanings.RANK]

    @cached_property
    def notes(self) -> dict[str, int]:
        """Return what was assumed, numbered as the marks beside the layers' names are."""
        return numbered_notes(self.rows)

    @cached_property
    def view(self) -> View:
        """Return the layers as a run of one step, which is what charts draw."""
        return View(self.target, tuple(row.view for row in self.rows))

    @cached_property
    def histograms(self) -> list[histograms.Histogram]:
        """Return the distribution of |ρ| by layer."""
        return histograms.histograms(self.view.layers)

    @cached_property
    def pairs(self) -> list[pair_maps.Pairs]:
        """Return the map of |ρ| by layer."""
        return pair_maps.pairs_of_layers(self.view.layers)

    @property
    def strongest(self) -> str | None:
        """Return the most redundant layer that has a map."""
        return next((pairs.layer for pairs in self.pairs), None)

    @property
    def shows_information(self) -> bool:
        """Return False: an inspection measures no mutual information."""
        return False

    @property
    def constant(self) -> list[tuple[str, tuple[int, ...]]]:
        """Return the units that never varied, or that are dead by their weights, by layer."""
        found = [(layer.layer, layer.constant_units) for layer in self.report.layers]
        return [(name, units) for name, units in found if units]

    @property
    def copies(self) -> list[tuple[str, list[tuple[str, float]]]]:
        """Return the groups of copies in words, with the weakest similarity in each, by layer."""
        return [
            (layer.layer, [(inspection_findings.group(one), one.weakest) for one in layer.clusters])
            for layer in self.report.layers
            if layer.clusters
        ]


def as_view(layer: LayerRedundancy) -> Layer:
    """Return a layer as a layer of a run, with one recording at step 0."""
    values = {"n_units": layer.n_units, "wc": layer.weights.mean_abs if layer.weights else nan}
    if layer.activations:
        found = layer.activations.correlation
        low, high = found.interval
        values |= {"nc": found.mean_abs, "nc_debiased": found.debiased, "nc_low": low, "nc_high": high}
        values |= {"nc_noise_floor": found.noise_floor, "n_constant": found.n_constant}
    series = {name: Series((0,), (float(value),), layer.n_samples) for name, value in values.items()}
    arrays: dict[str, NDArray] = {}
    if layer.picture is not None:
        arrays["histogram"] = layer.picture.histogram.numpy()
        arrays["correlation"] = layer.picture.correlation.numpy()
        arrays["correlation_units"] = layer.picture.units.numpy()
    return Layer(layer.layer or MODEL, series, arrays)


def write_inspection(inspection: Inspection, path: str | Path) -> Path:
    """Write an inspection as a single HTML page that opens offline.

    Like a page of :func:`~cofire.reports.write_report` it makes no request, and is written whole or not at all.

    Args:
        inspection: what to show.
        path: the file to write.

    Returns:
        The path written to.

    Raises:
        OSError: if the page cannot be written.
    """
    view = inspection.view
    page = rendered(
        "inspection.html",
        data=page_data([view], [inspection.pairs], [inspection.histograms], recorded=False),
        section=inspection,
        columns=COLUMNS,
        reach=reach(view.layers),
        labels=short_names((layer.name for layer in view.layers), SHORT),
        places=[{layer.name: index for index, layer in enumerate(view.layers)}],
    )
    return written(page, path)
