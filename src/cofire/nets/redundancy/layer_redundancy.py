"""A report on the redundancy of a network's layers, and its table as text."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ...stats._base.display import Shown, text_table
from ...stats._base.notebook import html_lines, html_table
from ...stats._base.quantities import QUANTITIES
from ...stats._base.wording import plural
from ...stats.correlation.maps.map_images import html_maps
from ...stats.redundancy.activation_redundancy import Redundancy
from ...stats.redundancy.duplicates import Cluster
from ...stats.redundancy.weight_redundancy import WeightRedundancy

LEAST_INPUTS = 50
"""Independent inputs that a verdict on activations needs: with fewer, intervals were simulated to be too narrow."""


@dataclass(frozen=True, eq=False)
class Picture:
    """The correlations of a layer, small enough to draw.

    Attributes:
        histogram: counts of abs(rho) over pairs in equal bins over [0, 1], int64, shape (50,).
        units: which units the map shows, at most 256, evenly spaced.
        correlation: their correlations, float16, shape (n_shown, n_shown).
    """

    histogram: Tensor
    units: Tensor
    correlation: Tensor


@dataclass(frozen=True, eq=False)
class LayerRedundancy:
    """The redundancy of one layer; None stands for what was not measured.

    Attributes:
        layer: its name. A layer with several weights has one entry for each, named after the gate or projection.
        n_units: units of the layer.
        n_samples: samples behind the activations; a position of an image or a token of a text counts as one.
        n_inputs: inputs that were run.
        activations: the redundancy of the activations.
        weights: the redundancy of the incoming weights.
        picture: the correlations to draw.
        sampled: how many units were measured, evenly spaced, if the layer has too many for all; None if all were.
        notes: sentences on what was assumed or left out.
        switched_off: units that the batch norm behind the layer has switched off, where a file of weights shows it.
        is_output: whether it is the output layer, see :mod:`cofire.nets.layers.outputs`.
        n_parameters: incoming weights and biases of its units; None if it has no weight of its own.
    """

    layer: str
    n_units: int
    n_samples: int | None = None
    n_inputs: int | None = None
    activations: Redundancy | None = None
    weights: WeightRedundancy | None = None
    picture: Picture | None = None
    sampled: int | None = None
    notes: tuple[str, ...] = ()
    switched_off: tuple[int, ...] = ()
    is_output: bool = False
    n_parameters: int | None = None

    @property
    def n_measured(self) -> int:
        """Units that were measured."""
        return self.sampled or self.n_units

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """Clusters of duplicates, by activations where these were measured, else by weights."""
        found = self.activations or self.weights
        return found.duplicates if found else ()

    @property
    def n_copies(self) -> int:
        """Units that could go if each cluster of duplicates kept one."""
        return sum(len(cluster.units) - 1 for cluster in self.clusters)

    @property
    def constant_units(self) -> tuple[int, ...]:
        """Units that never varied; without activations, those dead by their weights or the batch norm behind."""
        if self.activations:
            return self.activations.constant_units
        return tuple(sorted({*(self.weights.zero_units if self.weights else ()), *self.switched_off}))

    @property
    def n_constant(self) -> int:
        """How many units are constant."""
        return len(self.constant_units)

    @property
    def enough_inputs(self) -> bool:
        """Whether the activations suffice for a verdict: at least 50 inputs, however many positions each has."""
        seen = [number for number in (self.n_samples, self.n_inputs) if number is not None]
        return self.activations is None or min(seen, default=0) >= LEAST_INPUTS

    @property
    def width_is_known(self) -> bool:
        """Whether a width can be recommended: measured on enough inputs and samples, with all units finite."""
        return self.activations is not None and self.activations.width_is_known and self.enough_inputs

    @property
    def superfluous_share(self) -> float:
        """Share of units that could go: those beyond the recommended width or, by weights, dead ones and copies.

        NaN if there are too few samples, or if units are not finite.
        """
        if self.activations:
            return self.activations.superfluous_share if self.width_is_known else math.nan
        # A dead unit may be the copy of another.
        copies = {unit for cluster in self.clusters for unit in cluster.units[1:]}
        return len(copies | set(self.constant_units)) / self.n_measured

    @property
    def order(self) -> tuple[float, ...]:
        """Sort key, most redundant first: layers with activations, then the share that could go, then correlation.

        Of layers with activations, outputs come last: the task fixes how many there are.
        """
        correlation = math.nan
        if self.activations:
            correlation = self.activations.correlation.debiased
        elif self.weights:  # beyond what random weights show
            correlation = self.weights.mean_abs - self.weights.chance_level
        known = [-value if math.isfinite(value) else 1.0 for value in (self.superfluous_share, correlation)]
        by_data = self.activations is not None
        return (-float(by_data), float(by_data and self.is_output), *known)


@dataclass(frozen=True, eq=False)
class RedundancyReport(Shown):
    """The redundancy of all layers of a network; ``str()`` is a table.

    Attributes:
        layers: in the model's order; of a file of weights, in that of the file.
        left_out: layers that were not measured, and tensors that are no unit's weights, with the reason.
        threshold: abs(rho) or abs(cosine) at and above which units counted as duplicates.
        unexplained: share of variance that the recommended widths leave; NaN without data.
        in_order: whether the order of the layers is the network's; a file that is sorted by name does not show it.
    """

    layers: tuple[LayerRedundancy, ...]
    left_out: Mapping[str, str]
    threshold: float
    unexplained: float = math.nan
    in_order: bool = True

    @property
    def by_redundancy(self) -> list[LayerRedundancy]:
        """The layers, most redundant first."""
        return sorted(self.layers, key=lambda layer: layer.order)

    def __repr__(self) -> str:
        return f"RedundancyReport({plural(len(self.layers), 'layer')}, {len(self.left_out):,} left out)"

    def __str__(self) -> str:
        return "\n".join([*text_table(_columns(self.by_redundancy)), *self.assumptions(), *self._left_out()])

    def _repr_html_(self) -> str:
        layers = self.by_redundancy
        columns = {**_columns(layers), PARAMETERS: [_whole(layer.n_parameters) for layer in layers]}
        table = html_table(list(columns), zip(*columns.values(), strict=True), meanings=MEANINGS)
        maps = [(layer.layer or "(the model)", layer.picture.correlation.numpy()) for layer in layers if layer.picture]
        return table + html_maps(maps[:MOST_MAPS]) + html_lines([*self.assumptions(), *self._left_out()])

    def assumptions(self) -> list[str]:
        """Return sentences on what was assumed, each with the layers that it concerns."""
        notes = ((note, layer.layer) for layer in self.layers for note in layer.notes)
        return [f"{_some(names)}: {note}" for note, names in _grouped(notes).items()]

    def _left_out(self) -> list[str]:
        return [f"left out, {reason}: {_some(names)}" for reason, names in self.reasons().items()]

    def reasons(self) -> dict[str, list[str]]:
        """Return the names of what was left out, by reason."""
        return _grouped((reason, name) for name, reason in self.left_out.items())


DASH = "-"
COLUMNS = ("layer", "units", "constant", "copies", "NC", "debiased", "interval", "floor", "WC", "rank", "width")
PARAMETERS = "parameters"
MOST_MAPS = 6
MEANINGS = {
    "copies": "Units that copy one that stays.",
    "interval": "95 % interval of the debiased neuronal correlation.",
    PARAMETERS: "Incoming weights and biases of the layer's units.",
    **{
        column: QUANTITIES[name].meaning
        for column, name in {
            "units": "n_units",
            "constant": "n_constant",
            "NC": "nc",
            "debiased": "nc_debiased",
            "floor": "nc_noise_floor",
            "WC": "wc",
            "rank": "effective_rank",
            "width": "width",
        }.items()
    },
}


def _columns(layers: Iterable[LayerRedundancy]) -> dict[str, list[str]]:
    """Return the cells of a table by column, without columns of which nothing is known."""
    rows = [COLUMNS, *map(_cells, layers)]
    return {title: cells for title, *cells in zip(*rows, strict=True) if set(cells) != {DASH}}


def _whole(number: int | None) -> str:
    return DASH if number is None else f"{number:,}"


def _cells(layer: LayerRedundancy) -> tuple[str, ...]:
    correlation = layer.activations.correlation if layer.activations else None
    low, high = correlation.interval if correlation else (math.nan, math.nan)
    return (
        layer.layer or "(the model)",
        str(layer.n_units),
        str(layer.n_constant),
        str(layer.n_copies),
        _number("nc", correlation and correlation.mean_abs),
        _number("nc_debiased", correlation and correlation.debiased),
        f"{low:.2f} to {high:.2f}" if math.isfinite(low + high) else DASH,
        _number("nc_noise_floor", correlation and correlation.noise_floor),
        _number("wc", layer.weights and layer.weights.mean_abs),
        _number("effective_rank", rank_of(layer)),
        _width(layer),
    )


def rank_of(layer: LayerRedundancy) -> float:
    """Return the participation ratio of the activations, debiased; of the weights if there are no activations."""
    if layer.activations:
        return layer.activations.effective_rank_debiased
    return layer.weights.effective_rank_participation if layer.weights else math.nan


def _number(name: str, value: float | None) -> str:
    return DASH if value is None or not math.isfinite(value) else f"{value:.{QUANTITIES[name].digits}f}"


def _width(layer: LayerRedundancy) -> str:
    if not layer.activations or layer.activations.nonfinite_units:
        return DASH
    width = layer.activations.width
    low, high = width.interval
    return f"{width.units} ({low} to {high})" if layer.width_is_known else "too few samples"


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key, name in pairs:
        found[key].append(name)
    return dict(found)


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
