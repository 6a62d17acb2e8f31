"""What the numbers of a run say, in sentences: every claim with its numbers, its floor and its sample size.

A layer *fires together* when the interval of its debiased neuronal correlation lies wholly above
`CLEAR`; its units are *close to uncorrelated* when it lies wholly below `FAINT`. Between the two nothing is claimed.
"""

from collections.abc import Sequence
from math import isfinite

from ..data.formatting import by_reason, count, listing, number, plural
from ..data.run_view import Layer, View
from ..data.trends import FAINT, correlation_at, direction, firing_together
from .finding import MOST_NAMED, Finding, names, points, spread
from .information_findings import INFORMATION_KINDS, of_dependence
from .unit_findings import UNIT_KINDS, nonfinite

STRONG = 0.4
_QUANTITY = "Debiased mean |ρ| over pairs of units, with its 95 % interval."


def headline(view: View) -> str:
    """The run in one sentence, about its hidden layers where there are any."""
    layers = [layer for layer in view.measured if layer.of("nc").defined]
    if not view.layers:
        return "Nothing has been recorded yet."
    if broken := nonfinite(view.measured):
        return f"{broken[0].headline}: training has probably diverged."
    if not layers:
        return _without_correlation(view)
    return _how_many(view.hidden, "hidden layer" if len(view.hidden) < len(layers) else "layer")


def _without_correlation(view: View) -> str:
    if all(measure.startswith("wc") for layer in view.layers for measure in layer.series):
        return "No activations were measured, so this report speaks of weights only."
    if any(layer.of("nc").values for layer in view.layers):
        return "Neuronal correlation is defined in no layer: units are constant, alone in theirs, or not finite."
    return "Neuronal correlation was not recorded."


def _how_many(layers: Sequence[Layer], noun: str) -> str:
    together = firing_together(layers)
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
    together = sorted(firing_together(layers), key=lambda layer: -correlation_at(layer, -1).value)
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


def _course(layer: Layer) -> str:
    series = layer.of("nc_debiased") if layer.of("nc_debiased").defined else layer.of("nc")
    known = [point for point in zip(series.steps, series.values, strict=True) if isfinite(point[1])]
    (first_step, first), (last_step, last) = known[0], known[-1]
    peak_step, peak = max(known, key=lambda point: point[1])
    told = f"{number(first, 2)} at step {count(first_step)}"
    if peak_step not in (first_step, last_step) and direction(layer) == "peaked":
        told += f", {number(peak, 2)} at step {count(peak_step)}"
    return f"{told}, {number(last, 2)} at step {count(last_step)}"


def _left_out(view: View) -> list[Finding]:
    if not view.left_out:
        return []
    return [
        Finding(
            "left out",
            "note",
            f"{plural(len(view.left_out), 'layer')} {'was' if len(view.left_out) == 1 else 'were'} left out",
            tuple((reason, listing(names, MOST_NAMED)) for reason, names in by_reason(view.left_out).items()),
        )
    ]


_KINDS = (nonfinite, redundant, *UNIT_KINDS, trends, independent)
