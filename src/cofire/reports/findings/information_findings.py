"""Findings about entropies and dependence: where they differ from correlation, and where they are not reliable."""

from collections.abc import Callable, Sequence
from math import inf, isfinite, isinf, isnan, nan

from ...stats._base.quantities import QUANTITIES
from ..data.disagreeing_pairs import Pair, pairs_of
from ..data.formatting import count, number, plural
from ..data.run_view import BEFORE_ACTIVATION, Layer
from .finding import Finding, Level, about, spread

MOST_PAIRS = 3
WIDTH_LIMITS = {"entropy_knn": 10, "entropy_knn_whitened": 20, "total_correlation": 20}
"""The number of units from which an estimate by nearest neighbors is biased by nats."""


def of_dependence(layer: Layer) -> str:
    """Return the dependence score beside that of independent units; empty if it was not recorded.

    Example:
        >>> from cofire.reports.data.run_view import Series
        >>> series = {"dependence": Series((0,), (0.05,)), "dependence_threshold": Series((0,), (0.004,))}
        >>> of_dependence(Layer("fc", series))
        'ι 0.050 (independent units below 0.004)'
    """
    score, threshold = layer.last("dependence"), layer.last("dependence_threshold")
    return f"ι {number(score)} (independent units below {number(threshold)})" if isfinite(score) else ""


def hidden_dependence(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers with pairs that share more information than their correlation explains."""
    return _disagreeing("hidden dependence", "watch", layers, lambda pair: pair.difference > 0)


def overstated(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers with pairs that share less information than their correlation suggests."""
    return _disagreeing("overstated", "note", layers, lambda pair: pair.difference < 0)


def _disagreeing(key: str, level: Level, layers: Sequence[Layer], concerned: Callable[[Pair], bool]) -> list[Finding]:
    """Return the finding about the layers with such pairs, those with the largest share of them first."""
    found = []
    for layer in layers:
        every = pairs_of(layer)
        if pairs := sorted(filter(concerned, every), key=lambda pair: -abs(pair.difference)):
            of = f"{count(len(pairs))} of {plural(len(every), 'pair')}"
            largest = "; ".join(pair.sentence for pair in pairs[:MOST_PAIRS])
            text = f"{of}; largest difference: units {largest}"
            found.append((len(pairs) / len(every), layer.of("dependence").n_samples, (layer.name, text)))
    found.sort(key=lambda one: -one[0])
    samples = [n_samples for _, n_samples, _ in found if n_samples is not None]
    measured = f" Measured on {spread(samples, count)} samples." if samples else ""
    return about(key, level, [point for *_, point in found], measured=measured)


def without_density(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers whose entropy is −∞ or could not be estimated at the last recording."""
    undefined = {layer.name: _undefined(layer) for layer in layers}
    points = [(name, ", ".join(quantities)) for name, quantities in undefined.items() if quantities]
    return about("without density", "watch", points)


def _undefined(layer: Layer) -> list[str]:
    asked = [name for name in layer.series if name.startswith("entropy_")] + ["total_correlation", "dependence"]
    last = {name: layer.last(name) for name in asked if name in layer.series}
    return [
        f"{QUANTITIES[name].title if name in QUANTITIES else name} {'−∞' if isinf(value) else '–'}"
        for name, value in last.items()
        if isnan(value) or value == -inf
    ]


def too_wide(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers with too many units for estimates by nearest neighbors."""
    width = {layer.name: layer.last("n_units") for layer in layers}
    units = {layer.name: width.get(layer.name.removesuffix(BEFORE_ACTIVATION), nan) for layer in layers}
    points = [
        (layer.name, plural(int(units[layer.name]), "unit"))
        for layer in layers
        if any(layer.of(name).defined and units[layer.name] >= limit for name, limit in WIDTH_LIMITS.items())
    ]
    return about("too wide", "watch", points)


INFORMATION_KINDS = (hidden_dependence, overstated, without_density, too_wide)
