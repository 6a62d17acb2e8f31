"""One run as the page's template asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

from ..charts import histograms, pair_maps
from ..data import formatting
from ..data.run_view import Layer, View, flatten
from ..data.trends import correlation_at
from ..findings import run_findings
from ..findings.summary_questions import Answer, overview

_LAYERS = "model.layers."


@dataclass(frozen=True)
class Section:
    """One run, and the others that it is shown beside."""

    key: str
    view: View
    others: tuple[View, ...] = ()

    @property
    def headline(self) -> str:
        """The run in one sentence."""
        return run_findings.headline(self.view)

    @property
    def findings(self) -> list[run_findings.Finding]:
        """What asks for action first."""
        return run_findings.findings(self.view)

    @property
    def answers(self) -> list[Answer]:
        """How redundant, where, since when, compared with what."""
        return overview(self.view, self.others)

    @cached_property
    def histograms(self) -> list[histograms.Histogram]:
        """The spread of abs(rho) by layer."""
        return histograms.histograms(self.view.measured)

    @cached_property
    def pairs(self) -> list[pair_maps.Pairs]:
        """The maps and samples of the layers that have any."""
        shown = {layer.name for layer in self.view.measured}
        layers = [layer for layer in self.view.layers if layer.name in shown or "dependence" in layer.arrays]
        return pair_maps.pairs_of_layers(layers, n_runs=1 + len(self.others))

    @cached_property
    def strongest(self) -> str | None:
        """The layer whose units fire together most, of those that have a map."""
        mapped = {pairs.layer for pairs in self.pairs}
        known = [
            (correlation_at(layer, -1).value, layer.name)
            for layer in self.view.hidden
            if layer.name in mapped and isfinite(correlation_at(layer, -1).value)
        ]
        return max(known)[1] if known else None

    @property
    def speaks_of_information(self) -> bool:
        """Whether the page has to say what dependence is."""
        return any(layer.of("dependence").steps or "dependence" in layer.arrays for layer in self.view.layers)

    @property
    def with_dependence(self) -> bool:
        """Whether any layer's dependence was recorded."""
        return any(layer.of("dependence").defined for layer in self.view.measured)

    @property
    def made(self) -> list[tuple[str, str]]:
        """How the run was made, as names and values; the model's layers are listed apart."""
        return [(name, value) for name, value in flatten(self.view.made) if not name.startswith(_LAYERS)]

    @property
    def model_layers(self) -> list[tuple[str, str]]:
        """The model's layers and what each is."""
        every = flatten(self.view.made)
        return [(name.removeprefix(_LAYERS), value) for name, value in every if name.startswith(_LAYERS)]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The few figures that head the page."""
        layers = self.view.measured
        accuracy = self._accuracy()
        facts = [
            ("layers", formatting.count(len(layers))),
            ("units", formatting.count(sum(_known(layer.last("n_units")) for layer in layers) or None)),
            ("samples", formatting.count(max((layer.n_samples or 0 for layer in layers), default=0) or None)),
            ("last step", formatting.count(self.view.last_step)),
            *([("test accuracy", f"{100 * accuracy:.1f} %")] if accuracy is not None else []),
        ]
        return [(name, value) for name, value in facts if value != formatting.MISSING]

    def _accuracy(self) -> float | None:
        series = self.view.training.get("test_accuracy")
        return series.last if series is not None and isfinite(series.last) else None


def _known(value: float) -> int:
    return int(value) if isfinite(value) else 0


def sections_of(views: Sequence[View]) -> list[Section]:
    """The runs of a page, each beside the others."""
    return [
        Section(f"run{index}", view, tuple(other for other in views if other is not view))
        for index, view in enumerate(views)
    ]


def reach(layers: Sequence[Layer]) -> float:
    """The end of the table's common axis: the largest NC at any step."""
    known = [layer.of(name).highest for layer in layers for name in ("nc", "nc_high", "nc_noise_floor")]
    return max([value for value in known if isfinite(value)], default=1.0)
