"""Two networks side by side, as plain data: the layers that both have, their differences, and how certain those are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import hypot, isfinite, nan
from statistics import NormalDist
from typing import Literal

from ...nets.redundancy import LayerRedundancy, RedundancyReport
from ...nets.redundancy.layer_redundancy import rank_of
from ...stats._base.display import Shown, text_table
from ...stats._base.notebook import html_table
from ...stats._base.quantities import QUANTITIES, Quantity
from ...stats._base.wording import plural
from ...stats.correlation.summary import debiased_square
from ...stats.redundancy.activation_redundancy import rank_of_square
from .formatting import count, number
from .run_view import Layer, View

COMPARED: Mapping[str, Quantity] = {
    "units": QUANTITIES["n_units"],
    "constant": QUANTITIES["n_constant"],
    "nc": QUANTITIES["nc_debiased"],
    "wc": QUANTITIES["wc"],
    "rank": QUANTITIES["effective_rank"],
    "width": QUANTITIES["width"],
}
"""The quantities that are compared, by their keys in the JSON of ``cofire compare``."""

NOTABLE_WC = 0.02
"""The smallest difference of weight correlations worth a word; they are exact, so that any could be told."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval. Without an interval the number is exact; NaN means unknown."""

    value: float = nan
    low: float = nan
    high: float = nan

    @property
    def known(self) -> bool:
        """Return whether there is a number."""
        return isfinite(self.value)

    @property
    def has_interval(self) -> bool:
        """Return whether both ends of the interval are known."""
        return isfinite(self.low) and isfinite(self.high)

    @property
    def clear(self) -> bool:
        """Return whether this number, as a difference, is more than chance: not 0, and 0 outside its interval."""
        return self.known and self.value != 0 and (not self.has_interval or self.low > 0 or self.high < 0)

    def minus(self, other: "Estimate") -> "Estimate":
        """Return the difference, with an interval if either number has one.

        The interval combines those of the two numbers (Zou, Donner 2008) as if they were independent. Two networks
        measured on the same data have errors that vary together, so for them the interval is too wide.

        Example:
            >>> Estimate(0.5, 0.4, 0.6).minus(Estimate(0.2, 0.2, 0.2)).clear
            True
            >>> Estimate(0.5, 0.4, 0.6).minus(Estimate(0.45, 0.35, 0.5)).clear
            False
        """
        value = self.value - other.value
        if not (self.has_interval or other.has_interval):
            return Estimate(value)
        mine, theirs = self._reach, other._reach
        return Estimate(value, value - hypot(mine[0], theirs[1]), value + hypot(mine[1], theirs[0]))

    def widened(self, times: float) -> "Estimate":
        """Return the same number with an interval that reaches ``times`` as far to both sides."""
        if not self.has_interval:
            return self
        low, high = self._reach
        return Estimate(self.value, self.value - times * low, self.value + times * high)

    @property
    def _reach(self) -> tuple[float, float]:
        """Return how far the interval extends below and above the value; 0 for an exact number."""
        if not self.has_interval:
            return 0.0, 0.0
        return max(self.value - self.low, 0.0), max(self.high - self.value, 0.0)

    def text(self, quantity: str, *, signed: bool = False) -> str:
        """Format this estimate, with its interval if it has one, to the digits of a quantity in `COMPARED`.

        Example:
            >>> Estimate(0.25, 0.2, 0.3).text("nc"), Estimate(-3).text("units", signed=True)
            ('0.250 (0.20 to 0.30)', '−3')
        """
        digits = COMPARED[quantity].digits
        text = number(self.value, digits) if digits else count(self.value)
        text = f"+{text}" if signed and self.value > 0 else text
        if not self.has_interval or self.low == self.high:
            return text
        # The ends of an interval are themselves uncertain: one digit fewer than the value.
        low, high = (number(end, digits - 1) if digits else count(round(end)) for end in (self.low, self.high))
        return f"{text} ({low} to {high})"


Estimates = Mapping[str, Estimate]


@dataclass(frozen=True)
class Side:
    """One of the two networks.

    Attributes:
        name: as the user gave it.
        layers: the estimates of each layer, in the network's order.
        made: how they were measured, as names and text.
        kind: a file of weights, a network that was run on data, or a run directory.
    """

    name: str
    layers: Mapping[str, Estimates]
    made: Mapping[str, str]
    kind: Literal["weights", "data", "run"] = "data"

    @classmethod
    def of_report(cls, name: str, report: RedundancyReport, made: Mapping[str, str]) -> "Side":
        """Build a side from the report of ``cofire inspect``."""
        kind = "data" if any(layer.activations for layer in report.layers) else "weights"
        return cls(name, {layer.layer or "(the model)": _of_report(layer) for layer in report.layers}, made, kind)

    @classmethod
    def of_run(cls, name: str, view: View) -> "Side":
        """Build a side from the last recording of a run."""
        layers = {layer.name: _of_run(layer) for layer in view.measured}
        weights = {layer.name: _of_run(layer) for layer in view.layers if layer.name not in layers}
        return cls(name, {**layers, **weights}, {"last step": count(view.last_step)}, "run")


def _of_report(layer: LayerRedundancy) -> Estimates:
    found, weights = layer.activations, layer.weights
    return {
        "units": Estimate(layer.n_units),
        "constant": Estimate(layer.n_constant),
        "nc": Estimate(found.correlation.debiased, *found.correlation.interval) if found else Estimate(),
        "wc": Estimate(weights.mean_abs) if weights else Estimate(),
        "rank": Estimate(rank_of(layer)),
        "width": Estimate(found.width.units, *found.width.interval) if found and layer.width_is_known else Estimate(),
    }


def _of_run(layer: Layer) -> Estimates:
    found = {
        key: Estimate(*map(layer.last, (quantity.name, *(quantity.interval or ()))))
        for key, quantity in COMPARED.items()
    }
    return found | {"rank": Estimate(_effective_rank(layer))}


def _effective_rank(layer: Layer) -> float:
    """Compute the debiased effective rank from the mean ρ² of a run, which records no rank itself."""
    rms, samples = layer.last("nc_rms"), layer.n_samples or 0
    varying = layer.last("n_units") - layer.last("n_constant")
    if samples < 3 or not isfinite(varying):
        return nan
    return rank_of_square(debiased_square(rms**2, samples), int(varying))


@dataclass(frozen=True)
class Pair:
    """A layer that both networks have."""

    layer: str
    a: Estimates
    b: Estimates

    def difference(self, quantity: str) -> Estimate:
        """Return the second network's number minus the first's."""
        return self.b[quantity].minus(self.a[quantity])

    def both(self, quantity: str) -> str:
        """Return both numbers as text, with an arrow between them if they differ."""
        digits = min(COMPARED[quantity].digits, 2)  # two digits keep a table within 80 columns
        values = [side[quantity].value for side in (self.a, self.b)]
        a, b = (number(value, digits) if digits else count(value) for value in values)
        return a if a == b else f"{a} → {b}"

    def clear(self, quantity: str, *, among: int = 1) -> bool:
        """Return whether the difference is more than chance; never true of an effective rank without an interval.

        Args:
            quantity: by its key in `COMPARED`.
            among: how many layers were looked at to find this one. The 95 % is then that of all their intervals
                together (Bonferroni), as the largest of many differences is large by chance.
        """
        return quantity != "rank" and self.difference(quantity).widened(_times_wider(among)).clear

    def real(self, quantity: str, *, among: int = 1) -> bool:
        """Return whether a difference is clear and, for weights, whose numbers are exact, large enough."""
        large = quantity != "wc" or abs(self.difference(quantity).value) >= NOTABLE_WC
        return large and self.clear(quantity, among=among)


def _times_wider(n_intervals: int) -> float:
    """Return by how much wider intervals of normal estimates are that hold in 95 % of cases all at once.

    Example:
        >>> _times_wider(1), round(_times_wider(20), 2)
        (1.0, 1.54)
    """
    quantile = NormalDist().inv_cdf
    return quantile(1 - 0.025 / n_intervals) / quantile(0.975)


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """Two networks whose layers are matched by name; ``str()`` is a table."""

    a: Side
    b: Side

    def __repr__(self) -> str:
        return f"Comparison({self.a.name!r}, {self.b.name!r}, {plural(len(self.pairs), 'layer')} in both)"

    def __str__(self) -> str:
        return "\n".join([self._title, *text_table(self._columns(self.pairs))])

    def _repr_html_(self) -> str:
        pairs = self.by_effect(self.main) or self.pairs
        columns = self._columns(pairs)
        columns["difference"] = [pair.difference(self.main).text(self.main, signed=True) for pair in pairs]
        columns["real"] = ["yes" if pair.real(self.main) else "no" for pair in pairs]
        meanings = {COMPARED[name].label: COMPARED[name].meaning for name in self.quantities}
        meanings["difference"] = f"{COMPARED[self.main].title}: second less first, with a 95 % interval."
        meanings["real"] = "Whether the difference is beyond its uncertainty."
        return html_table(list(columns), zip(*columns.values(), strict=True), caption=self._title, meanings=meanings)

    @property
    def _title(self) -> str:
        return f"{self.a.name} → {self.b.name}"

    def _columns(self, pairs: "list[Pair]") -> dict[str, list[str]]:
        columns = {"layer": [pair.layer for pair in pairs]}
        return columns | {COMPARED[name].label: [pair.both(name) for pair in pairs] for name in self.quantities}

    @cached_property
    def pairs(self) -> list[Pair]:
        """Return the layers that both networks have, in the order of the first."""
        both = [(name, found, self.b.layers[name]) for name, found in self.a.layers.items() if name in self.b.layers]
        return [Pair(name, *map(_weights_only, (a, b))) if self.mixed else Pair(name, a, b) for name, a, b in both]

    def by_effect(self, quantity: str) -> list[Pair]:
        """Return the layers in which both networks have a number, the largest difference first."""
        known = [pair for pair in self.pairs if pair.difference(quantity).known]
        return sorted(known, key=lambda pair: -abs(pair.difference(quantity).value))

    @property
    def main(self) -> str:
        """Return the key of the quantity to look at first: correlation, or that of weights if there is no other."""
        return "nc" if "nc" in self.quantities else "wc"

    def largest_real(self, quantity: str) -> Pair | None:
        """Return the layer with the largest difference that stands out from chance among all layers."""
        found = self.by_effect(quantity)
        return next((pair for pair in found if pair.real(quantity, among=len(found))), None)

    @property
    def mixed(self) -> bool:
        """Return whether only one side is a file of weights: its rank and its constant units then mean other things."""
        return (self.a.kind == "weights") != (self.b.kind == "weights")

    @property
    def only_a(self) -> list[str]:
        """Return the layers that the second network lacks."""
        return [name for name in self.a.layers if name not in self.b.layers]

    @property
    def only_b(self) -> list[str]:
        """Return the layers that the first network lacks."""
        return [name for name in self.b.layers if name not in self.a.layers]

    @property
    def quantities(self) -> list[str]:
        """Return the keys of the quantities that some layer has on both sides."""
        return [name for name in COMPARED if any(pair.difference(name).known for pair in self.pairs)]


def _weights_only(found: Estimates) -> Estimates:
    return {name: one if name in ("units", "wc") else Estimate() for name, one in found.items()}
