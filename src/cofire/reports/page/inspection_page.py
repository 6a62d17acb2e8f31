"""One network as it is: its layers by redundancy, as a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path

import numpy as np

from ...nets.redundancy import LayerRedundancy, RedundancyReport
from ...record.runs.whole_files import replaced
from ..charts import histograms, pair_maps
from ..data.formatting import count, labels
from ..data.run_view import Layer, Series, View
from ..findings import inspection_findings
from ..findings.finding import Finding
from ..terminal.inspection_rows import Row, row_of
from .script_data import page_data
from .sections import reach


@dataclass(frozen=True)
class Inspection:
    """What a page and the terminal show of a report on redundancy.

    Attributes:
        target: what was inspected, as the user named it.
        report: what was found.
        made: how it was made, as names and words.
    """

    target: str
    report: RedundancyReport
    made: Mapping[str, str]
    key = "inspection"

    @property
    def by_data(self) -> bool:
        """Whether any activations were measured."""
        return any(layer.activations for layer in self.report.layers)

    @property
    def headline(self) -> str:
        """The network in one sentence."""
        return inspection_findings.headline(self.report)

    @property
    def findings(self) -> list[Finding]:
        """What asks for action first."""
        pairs = [row.view for row in self.rows if row.judged and row.view.last("n_units") > 1]
        return inspection_findings.findings(self.report, pairs)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The few figures that head the page."""
        samples = max((layer.n_samples or 0 for layer in self.report.layers), default=0)
        facts = [
            ("layers", count(len(self.report.layers))),
            ("units", count(sum(layer.n_units for layer in self.report.layers))),
        ]
        return [*facts, *([("samples", count(samples))] if samples else [])]

    @cached_property
    def rows(self) -> list[Row]:
        """The layers, the most redundant first."""
        return [row_of(layer, as_view(layer)) for layer in self.report.by_redundancy]

    @cached_property
    def view(self) -> View:
        """The layers as a report on a run knows them, in one step."""
        return View(self.target, tuple(row.view for row in self.rows))

    @cached_property
    def histograms(self) -> list[histograms.Histogram]:
        """The spread of abs(rho) by layer."""
        return histograms.histograms(self.view.layers)

    @cached_property
    def pairs(self) -> list[pair_maps.Pairs]:
        """The map of abs(rho) by layer."""
        return pair_maps.pairs_of_layers(self.view.layers)

    @property
    def strongest(self) -> str | None:
        """The most redundant layer that has a map."""
        return next((pairs.layer for pairs in self.pairs), None)

    @property
    def speaks_of_information(self) -> bool:
        """Never: an inspection measures no information."""
        return False

    @property
    def constant(self) -> list[tuple[str, tuple[int, ...]]]:
        """Units that never varied, or have no weights but zero, by layer."""
        found = [(layer.layer, constant_units(layer)) for layer in self.report.layers]
        return [(name, units) for name, units in found if units]

    @property
    def copies(self) -> list[tuple[str, list[tuple[str, float]]]]:
        """Groups of copies in words with the weakest likeness, by layer."""
        return [
            (layer.layer, [(inspection_findings.group(one), one.weakest) for one in layer.clusters])
            for layer in self.report.layers
            if layer.clusters
        ]


def constant_units(layer: LayerRedundancy) -> tuple[int, ...]:
    """Units that never varied, or have no weights but zero."""
    if layer.activations:
        return layer.activations.constant_units
    return layer.weights.zero_units if layer.weights else ()


def as_view(layer: LayerRedundancy) -> Layer:
    """A layer as the figures know it: each quantity a series of one step."""
    values = {"n_units": layer.n_units, "wc": layer.weights.mean_abs if layer.weights else nan}
    if layer.activations:
        found = layer.activations.correlation
        low, high = found.interval
        values |= {"nc": found.mean_abs, "nc_debiased": found.debiased, "nc_low": low, "nc_high": high}
        values |= {"nc_noise_floor": found.noise_floor, "n_constant": found.n_constant}
    series = {name: Series((0,), (float(value),), layer.n_samples) for name, value in values.items()}
    return Layer(layer.layer or "(the model)", series, _arrays(layer))


def _arrays(layer: LayerRedundancy) -> dict[str, np.ndarray]:
    if layer.picture is None:
        return {}
    return {
        "histogram": layer.picture.histogram.numpy(),
        "correlation": layer.picture.correlation.numpy(),
        "correlation_units": layer.picture.units.numpy(),
    }


def write_inspection(inspection: Inspection, path: str | Path) -> Path:
    """Write an inspection as a single HTML page that opens offline.

    As :func:`~cofire.reports.write_report` does: it can request nothing, and appears whole or not at all.

    Raises:
        OSError: if the page cannot be written.
    """
    from .html import rendered

    view = inspection.view
    text = rendered(
        "inspection.html",
        data=page_data([view], [inspection.pairs], [inspection.histograms]),
        section=inspection,
        reach=reach(view.layers),
        labels=labels(layer.name for layer in view.layers),
        places=[{layer.name: index for index, layer in enumerate(view.layers)}],
    )
    with replaced(path) as file:
        file.write(text.encode("utf-8", "replace"))
    return Path(path)
