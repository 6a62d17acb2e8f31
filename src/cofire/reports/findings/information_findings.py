"""Findings about entropies and dependence: where they differ from correlation, and where they are not reliable."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, isinf, isnan, nan

from ...stats._base.quantities import QUANTITIES
from ..data.disagreeing_pairs import Pair, pairs_of
from ..data.formatting import count, number, plural
from ..data.run_view import BEFORE_ACTIVATION, Layer
from .finding import Finding, Level, about, spread

MOST_PAIRS = 3
WIDTH_LIMITS = {"entropy_knn": 10, "entropy_knn_whitened": 20, "total_correlation": 20}
"""The number of units from which an estimate by nearest neighbors is biased by nats."""
_CRITERION = (
    "Pairs count if their information differs from what the correlation explains by more than chance gives in any pair "
    "of the layer (in 95 % of cases), and by at least 0.1 on the scale of |ρ|."
)


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
    return _disagreeing(
        "hidden dependence",
        "watch",
        "Correlation misses dependence in",
        {layer.name: [pair for pair in pairs_of(layer) if pair.difference > 0] for layer in layers},
        layers,
        "These units are linked nonlinearly: after a ReLU, for instance, units that never fire together. Judge them by "
        "their information before calling them independent.",
    )


def overstated(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers with pairs that share less information than their correlation suggests."""
    return _disagreeing(
        "overstated",
        "note",
        "Correlation overstates dependence in",
        {layer.name: [pair for pair in pairs_of(layer) if pair.difference < 0] for layer in layers},
        layers,
        "A few extreme samples produce such a correlation. Look at these units' largest activations.",
    )


def _disagreeing(
    kind: str, level: Level, headline: str, pairs: Mapping[str, list[Pair]], layers: Sequence[Layer], advice: str
) -> list[Finding]:
    """Return the finding about the layers with such pairs, those with the largest share of them first."""
    total = {layer.name: len(pairs_of(layer)) for layer in layers if pairs[layer.name]}
    concerned = sorted(
        (layer for layer in layers if layer.name in total),
        key=lambda layer: -len(pairs[layer.name]) / total[layer.name],
    )

    def describe(layer: Layer) -> str:
        largest = sorted(pairs[layer.name], key=lambda pair: -abs(pair.difference))[:MOST_PAIRS]
        of = f"{count(len(pairs[layer.name]))} of {plural(total[layer.name], 'pair')}"
        return f"{of}; largest difference: units {'; '.join(pair.sentence for pair in largest)}"

    return about(kind, level, headline, concerned, describe, f"{_CRITERION}{_samples(concerned)}", advice)


def _samples(layers: Sequence[Layer]) -> str:
    samples = [layer.of("dependence").n_samples for layer in layers]
    known = [n_samples for n_samples in samples if n_samples is not None]
    return f" Measured on {spread(known, count)} samples." if known else ""


def without_density(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers whose entropy is −∞ or could not be estimated at the last recording."""
    return about(
        "without density",
        "watch",
        "An entropy or a dependence is not defined in",
        [layer for layer in layers if _undefined(layer)],
        lambda layer: ", ".join(_undefined(layer)),
        "",
        "−∞ means that there is no density. Either a unit repeats one value, as after a ReLU: then measure before the "
        "activation function. Or some units are determined by others, for instance if dead units leave a layer fewer "
        "inputs than it has units: then use dependence(), which compares pairs. A dash means that the samples were "
        "not finite, or too few for the number of units.",
    )


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
    return about(
        "too wide",
        "watch",
        "Estimates by nearest neighbors are unreliable in",
        [
            layer
            for layer in layers
            if any(layer.of(name).defined and units[layer.name] >= limit for name, limit in WIDTH_LIMITS.items())
        ],
        lambda layer: plural(int(units[layer.name]), "unit"),
        "With this many units, an entropy by nearest neighbors is biased by nats.",
        'Use entropy("gaussian") as an upper bound, "kde_upper" and "kde_lower", or dependence(), which takes pairs.',
    )


INFORMATION_KINDS = (hidden_dependence, overstated, without_density, too_wide)
