"""Two networks side by side: the layers that both have, what differs in them, and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import hypot, isfinite, nan
from pathlib import Path
from typing import Any, Literal

from ...nets.redundancy import LayerRedundancy, RedundancyReport
from ...nets.redundancy.layer_redundancy import rank_of
from ...record.runs.whole_files import replaced
from ...stats.correlation.summary import debiased_square
from ...stats.redundancy.activation_redundancy import rank_of_square
from ..findings.finding import Finding
from .formatting import count, number
from .run_view import Layer, View

QUANTITIES = {
    "units": "units",
    "constant": "constant units",
    "nc": "neuronal correlation, debiased",
    "wc": "weight correlation",
    "rank": "effective rank (participation ratio)",
    "width": "recommended width",
}
WHOLE = frozenset({"units", "constant", "width"})


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; without one the number is exact, NaN is not known."""

    value: float = nan
    low: float = nan
    high: float = nan

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return isfinite(self.value)

    @property
    def estimated(self) -> bool:
        """Whether it has an interval."""
        return isfinite(self.low) and isfinite(self.high)

    @property
    def clear(self) -> bool:
        """Whether, as a difference, it is none of chance: not 0, nor is 0 in its interval."""
        return self.known and self.value != 0 and (not self.estimated or self.low > 0 or self.high < 0)

    def minus(self, other: "Estimate") -> "Estimate":
        """The difference, with an interval where either has one.

        From the two intervals (Zou, Donner 2008), as if they were independent; of two networks on the same data, whose
        errors go together, it is rather too wide.

        Example:
            >>> Estimate(0.5, 0.4, 0.6).minus(Estimate(0.2, 0.2, 0.2)).clear
            True
            >>> Estimate(0.5, 0.4, 0.6).minus(Estimate(0.45, 0.35, 0.5)).clear
            False
        """
        value = self.value - other.value
        if not (self.estimated or other.estimated):
            return Estimate(value)
        mine, theirs = self._ends, other._ends
        return Estimate(value, value - hypot(mine[0], theirs[1]), value + hypot(mine[1], theirs[0]))

    @property
    def _ends(self) -> tuple[float, float]:
        """How far the interval reaches below and above; 0 for an exact number."""
        if not self.estimated:
            return 0.0, 0.0
        return max(self.value - self.low, 0.0), max(self.high - self.value, 0.0)


Quantities = Mapping[str, Estimate]


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        name: as the user named it.
        layers: the quantities of each layer, in the network's order.
        made: how it was made, as names and words.
        kind: weights alone, a network that was run on data, or a run directory.
    """

    name: str
    layers: Mapping[str, Quantities]
    made: Mapping[str, str]
    kind: Literal["weights", "data", "run"] = "data"

    @classmethod
    def of_report(cls, name: str, report: RedundancyReport, made: Mapping[str, str]) -> "Side":
        """From what ``cofire inspect`` finds out."""
        kind = "data" if any(layer.activations for layer in report.layers) else "weights"
        return cls(name, {layer.layer or "(the model)": _of_layer(layer) for layer in report.layers}, made, kind)

    @classmethod
    def of_run(cls, name: str, view: View) -> "Side":
        """From what a run recorded last."""
        layers = {layer.name: _of_view(layer) for layer in view.measured}
        weights = {layer.name: _of_view(layer) for layer in view.layers if layer.name not in layers}
        return cls(name, {**layers, **weights}, {"last step": count(view.last_step)}, "run")


def _of_layer(layer: LayerRedundancy) -> dict[str, Estimate]:
    found, weights = layer.activations, layer.weights
    return {
        "units": Estimate(layer.n_units),
        "constant": Estimate(layer.n_constant),
        "nc": Estimate(found.correlation.debiased, *found.correlation.interval) if found else Estimate(),
        "wc": Estimate(weights.mean_abs) if weights else Estimate(),
        "rank": Estimate(rank_of(layer)),
        "width": Estimate(found.width.units, *found.width.interval) if found and layer.width_is_known else Estimate(),
    }


def _of_view(layer: Layer) -> dict[str, Estimate]:
    return {
        "units": Estimate(layer.last("n_units")),
        "constant": Estimate(layer.last("n_constant")),
        "nc": Estimate(layer.last("nc_debiased"), layer.last("nc_low"), layer.last("nc_high")),
        "wc": Estimate(layer.last("wc")),
        "rank": Estimate(_rank_of(layer)),
        "width": Estimate(*(layer.last(name) for name in ("width", "width_low", "width_high"))),
    }


def _rank_of(layer: Layer) -> float:
    """The effective rank, debiased, by the mean ρ² that was recorded."""
    rms, samples = layer.last("nc_rms"), layer.n_samples or 0
    varying = layer.last("n_units") - layer.last("n_constant")
    if samples < 3 or not isfinite(varying):
        return nan
    return rank_of_square(debiased_square(rms**2, samples), int(varying))


@dataclass(frozen=True)
class Pair:
    """A layer that both networks have."""

    layer: str
    a: Quantities
    b: Quantities

    def difference(self, quantity: str) -> Estimate:
        """The second less the first."""
        return self.b[quantity].minus(self.a[quantity])

    def clear(self, quantity: str) -> bool:
        """Whether the difference is none of chance; never said of an effective rank, which has no interval."""
        return quantity != "rank" and self.difference(quantity).clear


@dataclass(frozen=True)
class Comparison:
    """Two networks side by side; layers are matched by their names."""

    a: Side
    b: Side
    key = "comparison"

    @cached_property
    def pairs(self) -> list[Pair]:
        """The layers that both have, in the order of the first."""
        both = [(name, found, self.b.layers[name]) for name, found in self.a.layers.items() if name in self.b.layers]
        return [Pair(name, *map(_of_weights, (a, b))) if self.mixed else Pair(name, a, b) for name, a, b in both]

    @property
    def mixed(self) -> bool:
        """Whether one is weights alone and the other not: rank and constant units then mean two different things."""
        return (self.a.kind == "weights") != (self.b.kind == "weights")

    @property
    def only_a(self) -> list[str]:
        """Layers that the second does not have."""
        return [name for name in self.a.layers if name not in self.b.layers]

    @property
    def only_b(self) -> list[str]:
        """Layers that the first does not have."""
        return [name for name in self.b.layers if name not in self.a.layers]

    @property
    def quantities(self) -> list[str]:
        """What is known of some layer on both sides."""
        return [name for name in QUANTITIES if any(pair.difference(name).known for pair in self.pairs)]

    @property
    def headline(self) -> str:
        """The comparison in one sentence."""
        from ..findings.comparison_findings import headline

        return headline(self)

    @property
    def findings(self) -> list[Finding]:
        """What differs, in sentences."""
        from ..findings.comparison_findings import findings

        return findings(self)


def _of_weights(found: Quantities) -> Quantities:
    return {name: one if name in ("units", "wc") else Estimate() for name, one in found.items()}


def told(estimate: Estimate, quantity: str, *, signed: bool = False) -> str:
    """An estimate in words, with its interval where it has one.

    Example:
        >>> told(Estimate(0.25, 0.2, 0.3), "nc"), told(Estimate(-3), "units", signed=True)
        ('0.250 (0.20 to 0.30)', '−3')
    """
    whole = quantity in WHOLE
    text = count(estimate.value) if whole else number(estimate.value, 1 if quantity == "rank" else 3)
    text = f"+{text}" if signed and estimate.value > 0 else text
    if not estimate.estimated or estimate.low == estimate.high:
        return text
    ends = (count(round(end)) if whole else number(end, 2) for end in (estimate.low, estimate.high))
    return f"{text} ({' to '.join(ends)})"


def as_plain(comparison: Comparison) -> dict[str, Any]:
    """A comparison for JSON: what is not a number is None."""
    return {
        "a": {"name": comparison.a.name, "made": dict(comparison.a.made)},
        "b": {"name": comparison.b.name, "made": dict(comparison.b.made)},
        "layers": [
            {"layer": pair.layer, **{name: _plain_pair(pair, name) for name in QUANTITIES}} for pair in comparison.pairs
        ],
        "only_a": comparison.only_a,
        "only_b": comparison.only_b,
        "findings": [
            {"kind": one.kind, "level": one.level, "headline": one.headline, "points": [list(p) for p in one.points]}
            for one in comparison.findings
        ],
    }


def _plain_pair(pair: Pair, name: str) -> dict[str, Any]:
    difference = pair.difference(name)
    sides = {"a": pair.a[name], "b": pair.b[name], "difference": difference}
    return {side: _plain(one) for side, one in sides.items()} | {"clear": pair.clear(name)}


def _plain(estimate: Estimate) -> dict[str, float | None]:
    return {end: value if isfinite(value) else None for end, value in vars(estimate).items()}


def write_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Write a comparison as a single HTML page that opens offline, whole or not at all.

    Raises:
        OSError: if the page cannot be written.
    """
    from ..page.html import rendered

    page = rendered("comparison.html", section=comparison, told=told, QUANTITIES=QUANTITIES)
    with replaced(path) as file:
        file.write(page.encode("utf-8", "replace"))
    return Path(path)
