"""What the numbers of a run say, in sentences: every claim with its numbers, its floor and its sample size.

A layer *fires together* when the interval of its debiased neuronal correlation lies wholly above
`CLEAR`; it is *independent* when nothing tells it from units that are. Between the two nothing is claimed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Literal

from .finding import MOST_NAMED, Finding, names, points, spread
from .findings_of_information import INFORMATION_KINDS, of_dependence
from .view import Layer, View
from .words import count, listing, number, percent, plural

CLEAR = 0.2
STRONG = 0.4
FAINT = 0.05
FEW_SAMPLES = 200
_QUANTITY = "Debiased mean |ρ| over pairs of units, with its 95 % interval."


@dataclass(frozen=True, slots=True)
class Correlation:
    """The debiased mean |ρ| of a layer with its interval, at one step."""

    value: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """The value with its interval, in words."""
        if not (isfinite(self.low) and isfinite(self.high)):
            return number(self.value, 2)
        return f"{number(self.value, 2)} ({number(self.low, 2)} to {number(self.high, 2)})"


def correlation_at(layer: Layer, index: int) -> Correlation:
    """A layer's correlation at one of its recorded steps (−1 is the last)."""

    def value(measure: str) -> float:
        values = layer.of(measure).values
        return values[index] if -len(values) <= index < len(values) else nan

    middle = value("nc_debiased") if layer.of("nc_debiased").defined else value("nc")
    low, high = value("nc_low"), value("nc_high")
    return Correlation(middle, low if isfinite(low) else middle, high if isfinite(high) else middle)


def headline(view: View) -> str:
    """The run in one sentence, about its hidden layers where there are any: nobody can narrow the output."""
    layers = [layer for layer in view.measured if layer.of("nc").defined]
    if not view.layers:
        return "Nothing has been recorded yet."
    if not layers:
        return _without_correlation(view)
    hidden = [layer for layer in layers if layer.name != view.output]
    return _how_many(hidden, "hidden layer") if 0 < len(hidden) < len(layers) else _how_many(layers, "layer")


def _without_correlation(view: View) -> str:
    if all(measure.startswith("wc") for layer in view.layers for measure in layer.series):
        return "No activations were measured, so this report speaks of weights only."
    return "Neuronal correlation was not recorded."


def _how_many(layers: Sequence[Layer], noun: str) -> str:
    together = _together(layers)
    if not together:
        return f"No {noun}'s units clearly fire together."
    if len(together) == len(layers):
        return f"The units of {f'the one {noun}' if len(layers) == 1 else f'every {noun}'} measured fire together."
    return f"In {len(together)} of {plural(len(layers), noun)} the units fire together."


def findings(view: View) -> list[Finding]:
    """All that can be said about a run, what asks for action first."""
    layers = view.measured
    found = [finding for find in _KINDS for finding in find(layers)]
    found += [finding for find in INFORMATION_KINDS for finding in find(view.layers)]
    found += _left_out(view)
    order = {"act": 0, "watch": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _together(layers: Iterable[Layer]) -> list[Layer]:
    return [layer for layer in layers if correlation_at(layer, -1).low > CLEAR]


def _now(layer: Layer) -> str:
    return correlation_at(layer, -1).sentence


def _yardstick(layers: Sequence[Layer]) -> str:
    """The noise floor and the samples behind it, over several layers."""
    floors = [layer.last("nc_noise_floor") for layer in layers if isfinite(layer.last("nc_noise_floor"))]
    samples = [layer.n_samples for layer in layers if layer.n_samples is not None]
    if not floors or not samples:
        return ""
    return f"Noise floor {spread(floors, number)}, over {spread(samples, count)} samples."


def redundant(layers: Sequence[Layer]) -> list[Finding]:
    """Layers whose units fire together: the whole interval above `CLEAR`."""
    together = sorted(_together(layers), key=lambda layer: -correlation_at(layer, -1).value)
    if not together:
        return []
    strongest = correlation_at(together[0], -1).value
    return [
        Finding(
            "redundant",
            "act" if strongest >= STRONG else "watch",
            f"Units fire together in {names(together)}",
            points(together, _now),
            f"{_QUANTITY} {_yardstick(together)}",
            "Many units carry overlapping signals. Try the layer narrower, or a decorrelating penalty, "
            "and compare the test accuracy; correlation alone does not prove that units can go.",
        )
    ]


def independent(layers: Sequence[Layer]) -> list[Finding]:
    """Layers whose correlation cannot be told from that of independent units, or is faint."""
    apart = [layer for layer in layers if layer.of("nc").defined and correlation_at(layer, -1).high < FAINT]
    if not apart:
        return []
    return [
        Finding(
            "independent",
            "note",
            f"Units are close to uncorrelated in {names(apart)}",
            points(apart, lambda layer: ", ".join(filter(None, (_now(layer), of_dependence(layer))))),
            f"{_QUANTITY} {_yardstick(apart)}",
            ""
            if all(map(of_dependence, apart))
            else "Uncorrelated is not independent: a dependence that is not linear stays unseen here; "
            "cofire.record.dependence() would see it.",
        )
    ]


def trends(layers: Sequence[Layer]) -> list[Finding]:
    """Layers whose correlation rose, fell, or rose and fell by more than their intervals."""
    directions = {layer.name: direction(layer) for layer in layers}
    return [
        Finding(
            "trend",
            "note",
            f"Correlation {verb} over training in {names(moved)}",
            points(moved, _course),
            "Debiased mean |ρ| over pairs of units.",
            advice,
        )
        for kind, verb, advice in _DIRECTIONS
        if (moved := [layer for layer in layers if directions[layer.name] == kind])
    ]


_DIRECTIONS = (
    (
        "rose",
        "rose",
        "If it still rises at the end, the layer goes on growing redundant while training continues.",
    ),
    ("fell", "fell", ""),
    ("peaked", "rose and then fell", "Growth followed by decorrelation is a common course of training."),
)


def direction(layer: Layer) -> Literal["rose", "fell", "peaked", "steady"]:
    """The course of a layer's correlation: a change counts where the intervals of its ends do not overlap."""
    course = [correlation_at(layer, index) for index in range(len(layer.of("nc").values))]
    course = [point for point in course if isfinite(point.value)]
    if len(course) < 2:
        return "steady"
    first, last, peak = course[0], course[-1], max(course, key=lambda point: point.value)
    if _above(peak, first) and _above(peak, last):
        return "peaked"
    if _above(last, first):
        return "rose"
    return "fell" if _above(first, last) else "steady"


def _above(upper: Correlation, lower: Correlation) -> bool:
    return upper.low > lower.high and upper.value - lower.value > FAINT


def _course(layer: Layer) -> str:
    series = layer.of("nc_debiased") if layer.of("nc_debiased").defined else layer.of("nc")
    known = [point for point in zip(series.steps, series.values, strict=True) if isfinite(point[1])]
    (first_step, first), (last_step, last) = known[0], known[-1]
    peak_step, peak = max(known, key=lambda point: point[1])
    told = f"{number(first, 2)} at step {count(first_step)}"
    if peak_step not in (first_step, last_step) and direction(layer) == "peaked":
        told += f", {number(peak, 2)} at step {count(peak_step)}"
    return f"{told}, {number(last, 2)} at step {count(last_step)}"


def constant(layers: Sequence[Layer]) -> list[Finding]:
    """Units that never changed over the samples."""
    dead = sorted(
        (layer for layer in layers if layer.last("n_constant") > 0),
        key=lambda layer: -layer.last("n_constant"),
    )
    if not dead:
        return []
    shares = {layer.name: layer.last("n_constant") / layer.last("n_units") for layer in dead}
    total = sum(int(layer.last("n_constant")) for layer in dead)
    return [
        Finding(
            "constant",
            "act" if max(shares.values()) >= 0.1 else "watch",
            f"{plural(total, 'unit')} never changed",
            points(
                dead,
                lambda layer: (
                    f"{count(layer.last('n_constant'))} of {count(layer.last('n_units'))} units"
                    f" ({percent(shares[layer.name])})"
                ),
            ),
            "Their pairs have no correlation and are left out of every mean.",
            "A unit that is constant on these samples passes nothing on; often it is a ReLU that never "
            "fires. Try a lower learning rate or a leaky activation, or fold constants into the next bias.",
        )
    ]


def duplicated(layers: Sequence[Layer]) -> list[Finding]:
    """Pairs of units that are linear copies of one another."""
    copied = sorted((layer for layer in layers if layer.duplicates), key=lambda layer: -len(layer.duplicates))
    if not copied:
        return []
    total = sum(len(layer.duplicates) for layer in copied)
    share = max(spare(layer.duplicates) / layer.last("n_units") for layer in copied)
    return [
        Finding(
            "duplicate",
            "act" if share >= 0.05 else "watch",
            f"{plural(total, 'pair')} of units {'copies' if total == 1 else 'copy'} each other",
            points(
                copied,
                lambda layer: f"{plural(len(layer.duplicates), 'pair')}, {spare(layer.duplicates)} could go",
            ),
            "Copies have |ρ| ≥ 0.99.",
            "Units that are linear copies can be merged: add the outgoing weights of one, scaled, to the "
            "other's. Check the loss afterwards, since |ρ| is measured on a sample.",
        )
    ]


def spare(pairs: Iterable[tuple[int, int, float]]) -> int:
    """How many units would go if each group of copies kept one of them.

    Example:
        >>> spare([(0, 1, 1.0), (1, 2, -1.0), (5, 6, 0.99)])
        3
    """
    group: dict[int, int] = {}

    def root(unit: int) -> int:
        while group.setdefault(unit, unit) != unit:
            unit = group[unit]
        return unit

    merged = 0
    for first, second, _ in pairs:
        merged += root(first) != root(second)
        group[root(first)] = root(second)
    return merged


def undefined(layers: Sequence[Layer]) -> list[Finding]:
    """Layers where activations were measured and no pair of units has a correlation."""
    empty = [layer for layer in layers if layer.of("nc").steps and not isfinite(layer.last("nc"))]
    if not empty:
        return []
    return [
        Finding(
            "undefined",
            "watch",
            f"No correlation is defined in {names(empty)}",
            points(
                empty,
                lambda layer: (
                    f"{count(layer.last('n_units'))} units, {count(layer.last('n_constant'))} constant, "
                    f"{count(layer.n_samples)} samples"
                ),
            ),
            "",
            "A correlation needs two units that vary over at least two samples, with finite values.",
        )
    ]


def few_samples(layers: Sequence[Layer]) -> list[Finding]:
    """Layers measured on so few samples that the noise floor hides much."""
    thin = [layer for layer in layers if layer.n_samples is not None and layer.n_samples < FEW_SAMPLES]
    if not thin:
        return []
    return [
        Finding(
            "few samples",
            "watch",
            f"Few samples stand behind {names(thin)}",
            points(
                thin,
                lambda layer: f"{count(layer.n_samples)} samples, floor {number(layer.last('nc_noise_floor'))}",
            ),
            "",
            "Independent units would show a mean |ρ| as high as the floor. Use more samples.",
        )
    ]


def _left_out(view: View) -> list[Finding]:
    if not view.left_out:
        return []
    return [
        Finding(
            "left out",
            "note",
            f"{plural(len(view.left_out), 'layer')} {'was' if len(view.left_out) == 1 else 'were'} left out",
            (),
            f"{listing(list(view.left_out), MOST_NAMED)}. The report lists the reasons.",
        )
    ]


_KINDS = (redundant, duplicated, constant, undefined, few_samples, trends, independent)
