"""One run as the page's templates ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan
from typing import ClassVar

from ...stats._base.quantities import QUANTITIES
from ..charts import histograms, pair_maps
from ..charts.panels import SENT
from ..data.formatting import MISSING, count
from ..data.provenance import provenance
from ..data.run_view import Layer, View, flatten
from ..data.trends import correlation_at
from ..findings import run_findings
from ..findings.finding import Finding
from ..findings.summary_questions import Answer, overview

_LAYERS = "model.layers."
# Characters, measured on pages of 4 to 120 layers; each a little high, so that pages stay below their limit.
PLAIN_PAGE = 250_000
ROW_SIZE = 9_000
NUMBER_SIZE = 8.0
BIN_SIZE = 4.5


@dataclass(frozen=True)
class Section:
    """One run, the others that it is shown beside, and how many characters the page has without maps and samples."""

    key: str
    view: View
    others: tuple[View, ...] = ()
    page_size: int = 0
    recorded: ClassVar[bool] = True
    """Whether numbers were recorded at steps; on other pages there is one of each."""

    @property
    def headline(self) -> str:
        """Return the run in one sentence."""
        return run_findings.headline(self.view)

    @property
    def findings(self) -> list[Finding]:
        """Return the findings, those that need action first."""
        return run_findings.findings(self.view)

    @property
    def answers(self) -> list[Answer]:
        """Return the answers to the four questions that head the page."""
        return overview(self.view, self.others)

    @cached_property
    def histograms(self) -> list[histograms.Histogram]:
        """Return the distribution of |ρ| by layer."""
        return histograms.histograms(self.view.measured)

    @cached_property
    def pairs(self) -> list[pair_maps.Pairs]:
        """Return the maps and samples of the layers that have any."""
        shown = {layer.name for layer in self.view.measured}
        layers = [layer for layer in self.view.layers if layer.name in shown or "dependence" in layer.arrays]
        return pair_maps.pairs_of_layers(layers, n_runs=1 + len(self.others), beside=self.page_size)

    @cached_property
    def strongest(self) -> str | None:
        """Return the layer with the highest correlation among those that have a map."""
        mapped = {pairs.layer for pairs in self.pairs}
        known = [(correlation_at(layer, -1).value, layer.name) for layer in self.view.hidden if layer.name in mapped]
        return max((found for found in known if isfinite(found[0])), default=(nan, None))[1]

    @property
    def shows_information(self) -> bool:
        """Return whether the page has to explain dependence."""
        return any(layer.of("dependence").steps or "dependence" in layer.arrays for layer in self.view.layers)

    @property
    def with_dependence(self) -> bool:
        """Return whether the table of layers has a dependence score to show."""
        return any(layer.of("dependence").defined for layer in self.view.measured)

    @property
    def made(self) -> list[tuple[str, str]]:
        """Return how the run was made, in words."""
        return provenance(self.view.made)

    @property
    def as_recorded(self) -> list[tuple[str, str]]:
        """Return the run's description as it was recorded, without the model's layers."""
        return [(name, value) for name, value in flatten(self.view.made) if not name.startswith(_LAYERS)]

    @property
    def model_layers(self) -> list[tuple[str, str]]:
        """Return the model's layers and their descriptions."""
        every = flatten(self.view.made)
        return [(name.removeprefix(_LAYERS), value) for name, value in every if name.startswith(_LAYERS)]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Return the few numbers that head the page, each with its name and what it counts."""
        layers = self.view.measured
        units = [layer.last("n_units") for layer in layers]
        accuracy = self.view.training["test_accuracy"].last if "test_accuracy" in self.view.training else nan
        facts = [
            ("layers measured", count(len(layers))),
            ("units in them", count(sum(int(value) for value in units if isfinite(value)) or None)),
            ("samples per layer, at most", count(max((layer.n_samples or 0 for layer in layers), default=0) or None)),
            ("last step recorded", count(self.view.last_step)),
            ("test accuracy, as logged", f"{100 * accuracy:.1f} %" if isfinite(accuracy) else MISSING),
        ]
        return [(name, value) for name, value in facts if value != MISSING]


def sections_of(views: Sequence[View]) -> list[Section]:
    """Return the sections of a page, one for each run, with the other runs to compare with."""
    size = PLAIN_PAGE + sum(map(_characters, views))
    return [
        Section(f"run{index}", view, tuple(other for other in views if other is not view), size)
        for index, view in enumerate(views)
    ]


def _characters(view: View) -> int:
    """Estimate how many characters of the page a run's numbers take, without maps and samples."""
    shown = {layer.name for layer in view.measured}
    numbers = sum(
        len(series.steps)
        for layer in view.layers
        for name, series in layer.series.items()
        if name in SENT or name not in QUANTITIES
    )
    bins = sum(
        int(counts.size)
        for layer in view.layers
        if layer.name in shown
        for counts in layer.at_steps("histogram").values()
    )
    rows = ROW_SIZE * len(view.layers)
    return int(NUMBER_SIZE * numbers + BIN_SIZE * bins) + rows


def reach(layers: Sequence[Layer]) -> float:
    """Return the upper end of the table's common axis: the highest correlation, interval or floor at any step."""
    known = [layer.of(name).highest for layer in layers for name in ("nc", "nc_high", "nc_noise_floor")]
    return max([value for value in known if isfinite(value)], default=1.0)
