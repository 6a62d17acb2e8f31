"""What was found out about the redundancy of a network, and how it reads."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ...stats._base.display import Shown
from ...stats._base.wording import plural
from ...stats.redundancy.activation_redundancy import Redundancy
from ...stats.redundancy.duplicates import Cluster
from ...stats.redundancy.weight_redundancy import WeightRedundancy

LEAST_INPUTS = 50
"""Independent inputs that a verdict on activations needs: with fewer, intervals were simulated to be too narrow."""


@dataclass(frozen=True, eq=False)
class Picture:
    """How the correlations of a layer look, for a page.

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
    """One layer; what was not measured is None.

    Attributes:
        layer: its name; of a layer with several weights each stands for itself, with the gate's name behind it.
        n_units: of the layer.
        n_samples: behind the activations; a position of an image or a token of a text counts as one.
        n_inputs: that were run.
        activations: what they say.
        weights: what the incoming weights say.
        picture: the correlations to look at.
        sampled: how many of the units were measured where they are too many, evenly spaced; None if all were.
        notes: what was assumed or left out, in words.
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

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """Clusters of duplicates: of activations where these were measured, of weights otherwise."""
        found = self.activations or self.weights
        return found.duplicates if found else ()

    @property
    def n_copies(self) -> int:
        """Units that could go if each cluster of duplicates kept one."""
        return sum(len(cluster.units) - 1 for cluster in self.clusters)

    @property
    def n_constant(self) -> int:
        """Units that never varied, or whose weights are all zero."""
        if self.activations:
            return len(self.activations.constant_units)
        return len(self.weights.zero_units) if self.weights else 0

    @property
    def enough_inputs(self) -> bool:
        """Whether a verdict may rest on the activations: at least 50 inputs, however many positions each has."""
        seen = [number for number in (self.n_samples, self.n_inputs) if number is not None]
        return self.activations is None or min(seen, default=0) >= LEAST_INPUTS

    @property
    def width_is_known(self) -> bool:
        """Whether a width can be recommended: measured on enough inputs and samples, and all units finite."""
        return self.activations is not None and self.activations.width_is_known and self.enough_inputs

    @property
    def superfluous_share(self) -> float:
        """Share of the units that could go: beyond the recommended width, or by weights zero or a copy.

        NaN where the samples do not suffice to tell, or units are not finite.
        """
        measured = self.sampled or self.n_units
        if self.activations:
            return self.activations.superfluous_share if self.width_is_known else math.nan
        return (self.n_copies + self.n_constant) / measured

    @property
    def order(self) -> tuple[float, ...]:
        """What layers are sorted by, the most redundant first: activations, share that could go, correlation."""
        by_data = self.activations is not None
        correlation = self.activations.correlation.debiased if self.activations else _excess(self.weights)
        return (-float(by_data), -_known(self.superfluous_share), -_known(correlation))


@dataclass(frozen=True, eq=False)
class RedundancyReport(Shown):
    """The layers of a network; ``str()`` is a table.

    Attributes:
        layers: in the model's order.
        left_out: what was not measured, with the reason: layers, and tensors that are no units' weights.
        threshold: abs(rho) or abs(cosine) from which on units counted as duplicates.
        unexplained: share of variance that the recommended widths leave; NaN without data.
    """

    layers: tuple[LayerRedundancy, ...]
    left_out: Mapping[str, str]
    threshold: float
    unexplained: float = math.nan

    @property
    def by_redundancy(self) -> list[LayerRedundancy]:
        """The layers, the most redundant first."""
        return sorted(self.layers, key=lambda layer: layer.order)

    def __repr__(self) -> str:
        return f"RedundancyReport({plural(len(self.layers), 'layer')}, {len(self.left_out):,} left out)"

    def __str__(self) -> str:
        rows = [COLUMNS, *(cells(layer) for layer in self.by_redundancy)]
        columns = [column for column in zip(*rows, strict=True) if set(column[1:]) != {DASH}]
        widths = [max(map(len, column)) for column in columns]
        lines = ["  ".join(_aligned(row, widths)).rstrip() for row in zip(*columns, strict=True)]
        reasons = [f"left out, {reason}: {_some(names)}" for reason, names in self.reasons().items()]
        return "\n".join([*lines, *self.assumptions(), *reasons])

    def assumptions(self) -> list[str]:
        """What was assumed of layers, in words, with the layers."""
        found: dict[str, list[str]] = {}
        for layer in self.layers:
            for note in layer.notes:
                found.setdefault(note, []).append(layer.layer)
        return [f"{_some(names)}: {note}" for note, names in found.items()]

    def reasons(self) -> dict[str, list[str]]:
        """What was left out, by the reason."""
        found: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            found.setdefault(reason, []).append(name)
        return found


DASH = "-"
COLUMNS = ("layer", "units", "constant", "copies", "NC", "debiased", "interval", "floor", "WC", "rank", "width")


def cells(layer: LayerRedundancy) -> tuple[str, ...]:
    """A layer as a row of a plain table; a dash where nothing was measured."""
    found, weights = layer.activations, layer.weights
    correlation = found.correlation if found else None
    low, high = correlation.interval if correlation else (math.nan, math.nan)
    return (
        layer.layer or "(the model)",
        str(layer.n_units),
        str(layer.n_constant),
        str(layer.n_copies),
        _number(correlation.mean_abs if correlation else math.nan),
        _number(correlation.debiased if correlation else math.nan),
        f"{low:.2f} to {high:.2f}" if math.isfinite(low + high) else DASH,
        _number(correlation.noise_floor if correlation else math.nan),
        _number(weights.mean_abs if weights else math.nan),
        _number(rank_of(layer), digits=1),
        _width(layer),
    )


def rank_of(layer: LayerRedundancy) -> float:
    """The effective rank (participation ratio): of the activations, debiased, or else of the weights."""
    if layer.activations:
        return layer.activations.effective_rank_debiased
    return layer.weights.effective_rank_participation if layer.weights else math.nan


def _width(layer: LayerRedundancy) -> str:
    if not layer.activations or layer.activations.nonfinite_units:
        return DASH
    width = layer.activations.width
    low, high = width.interval
    return f"{width.units} ({low} to {high})" if layer.width_is_known else "too few samples"


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    first, *others = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def _number(value: float, *, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else DASH


def _known(value: float) -> float:
    return value if math.isfinite(value) else -1.0


def _excess(weights: WeightRedundancy | None) -> float:
    """Weight correlation beyond what random weights show."""
    return weights.mean_abs - weights.chance_level if weights else math.nan


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
