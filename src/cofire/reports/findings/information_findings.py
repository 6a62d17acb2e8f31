"""What entropies and dependence say, in sentences: where they part from correlation, and where they say nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite, isinf, isnan, nan

from ..data.disagreeing_pairs import Pair, pairs_of
from ..data.formatting import count, number, plural
from ..data.run_view import BEFORE_ACTIVATION, Layer
from .finding import Finding, names, points, spread

MOST_PAIRS = 3
NEIGHBORS_SAY_LITTLE = {"entropy_knn": 10, "entropy_knn_whitened": 20, "total_correlation": 20}
_CRITERION = (
    "Named where the information is beyond what the correlation explains by more than chance gives in any pair of the "
    "layer (in 95 % of cases), and by at least 0.1 on the scale of |ρ|."
)


def of_dependence(layer: Layer) -> str:
    """ι beside what independent units give; empty where it was not recorded.

    Example:
        >>> from cofire.reports.data.run_view import Series
        >>> series = {"dependence": Series((0,), (0.05,)), "dependence_threshold": Series((0,), (0.004,))}
        >>> of_dependence(Layer("fc", series))
        'ι 0.050 (independent units 0.004)'
    """
    score, threshold = layer.last("dependence"), layer.last("dependence_threshold")
    return f"ι {number(score)} (independent units {number(threshold)})" if isfinite(score) else ""


def hidden_dependence(layers: Sequence[Layer]) -> list[Finding]:
    """Layers with pairs that share more than their correlation says."""
    return _disagreeing(
        layers,
        lambda pair: pair.difference > 0,
        Finding("hidden dependence", "watch", "Correlation misses dependence", ()),
        "Such units are linked in a way that is not linear: after a ReLU, for instance, units that never fire "
        "together. Judge them by their information before calling them independent.",
    )


def overstated(layers: Sequence[Layer]) -> list[Finding]:
    """Layers with pairs that share less than their correlation says."""
    return _disagreeing(
        layers,
        lambda pair: pair.difference < 0,
        Finding("overstated", "note", "Correlation overstates dependence", ()),
        "A few extreme samples make such a correlation; look at these units' largest activations.",
    )


def _disagreeing(layers: Sequence[Layer], chosen: Callable[[Pair], bool], kind: Finding, advice: str) -> list[Finding]:
    """The finding about the layers that have such pairs, those with the greatest share of them first."""
    found = {layer.name: [pair for pair in pairs_of(layer) if chosen(pair)] for layer in layers}
    named = sorted((layer for layer in layers if found[layer.name]), key=lambda layer: -_share(layer, found))
    told = points(named, lambda layer: _told(layer, found[layer.name]))
    headline, remark = f"{kind.headline} in {names(named)}", f"{_CRITERION}{_samples(named)}"
    return [replace(kind, headline=headline, points=told, remark=remark, advice=advice)] if named else []


def _share(layer: Layer, found: dict[str, list[Pair]]) -> float:
    return len(found[layer.name]) / max(len(pairs_of(layer)), 1)


def _told(layer: Layer, apart: Sequence[Pair]) -> str:
    """The pairs that disagree most, and how many there are."""
    largest = sorted(apart, key=lambda pair: -abs(pair.difference))[:MOST_PAIRS]
    told = "; ".join(pair.sentence for pair in largest)
    return f"{count(len(apart))} of {plural(len(pairs_of(layer)), 'pair')}, most of all units {told}"


def _samples(layers: Sequence[Layer]) -> str:
    samples = [layer.of("dependence").n_samples for layer in layers]
    known = [n_samples for n_samples in samples if n_samples is not None]
    return f" Over {spread(known, count)} samples." if known else ""


def without_density(layers: Sequence[Layer]) -> list[Finding]:
    """Layers whose entropy is −∞ or was refused at the last recording."""
    empty = [layer for layer in layers if _undefined(layer)]
    if not empty:
        return []
    return [
        Finding(
            "without density",
            "watch",
            f"An entropy or a dependence is not defined in {names(empty)}",
            points(empty, lambda layer: ", ".join(_undefined(layer))),
            "",
            "−∞ means that there is no density. Either a unit holds one value again and again, as after a ReLU: take "
            "the samples before the activation function. Or some units follow exactly from others, as where dead units "
            "leave a layer fewer inputs than it has units: dependence(), which goes by pairs, tells more there. A dash "
            "means that the samples were refused: they were not finite, or too few for the number of units.",
        )
    ]


def _undefined(layer: Layer) -> list[str]:
    asked = [
        name for name in layer.series if name.startswith("entropy_") or name in ("total_correlation", "dependence")
    ]
    last = {name: layer.last(name) for name in asked}
    return [
        f"{name.replace('_', ' ')} {'−∞' if isinf(value) else '–'}"
        for name, value in last.items()
        if isnan(value) or value == float("-inf")
    ]


def too_wide(layers: Sequence[Layer]) -> list[Finding]:
    """Layers with more units than nearest neighbors can tell anything about."""
    width = {layer.name: layer.last("n_units") for layer in layers}
    units = {layer.name: width.get(layer.name.removesuffix(BEFORE_ACTIVATION), nan) for layer in layers}
    wide = [
        layer
        for layer in layers
        if any(layer.of(name).defined and units[layer.name] >= most for name, most in NEIGHBORS_SAY_LITTLE.items())
    ]
    if not wide:
        return []
    return [
        Finding(
            "too wide",
            "watch",
            f"Nearest neighbors say little in {names(wide)}",
            points(wide, lambda layer: plural(int(units[layer.name]), "unit")),
            "In so many units an entropy by nearest neighbors is biased by nats.",
            'Take entropy("gaussian") for a bound, "kde_upper" and "kde_lower", or dependence(), which goes by pairs.',
        )
    ]


INFORMATION_KINDS = (hidden_dependence, overstated, without_density, too_wide)
