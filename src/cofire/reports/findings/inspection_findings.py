"""Findings about the redundancy of a network's layers."""

from collections.abc import Callable, Sequence
from math import isfinite

from ...nets.redundancy import LEAST_INPUTS, LayerRedundancy, RedundancyReport
from ...stats.redundancy.duplicates import Cluster
from ..data.formatting import count, listing, number, percent, plural
from ..data.run_view import Layer
from .finding import Finding, Level, by_urgency, listed, named
from .run_findings import independent, redundant
from .unit_findings import FEW_SAMPLES, constant, few_samples, undefined

WORTH_IT = 0.05
ALIKE = 2.0
MOST = 6


def headline(report: RedundancyReport) -> str:
    """Return the network in one sentence."""
    hidden = _hidden(report)
    if hidden:
        narrow = _too_wide(hidden)
        if narrow:
            return f"Fewer units would suffice in {len(narrow)} of {plural(len(hidden), 'hidden layer')}."
        if not any(layer.enough_inputs for layer in hidden):
            return "Too few inputs were run to judge how redundant the layers are."
        if not any(layer.width_is_known for layer in hidden):
            return "These data are not enough to say how many units the layers need."
        return "No layer is clearly wider than these data require."
    copied = [layer for layer in report.layers if layer.n_copies]
    if copied:
        return f"{len(copied)} of {plural(len(report.layers), 'layer')} have units with the same weights."
    return "No two units of one layer have the same weights."


def findings(report: RedundancyReport, views: Sequence[Layer]) -> list[Finding]:
    """Return everything that can be said, what needs action first."""
    of_views = (redundant, constant, undefined, few_samples, independent)
    found = [finding for find in of_views for finding in find(views)]
    found += [finding for find in _KINDS for finding in find(report)]
    return by_urgency(found)


def _hidden(report: RedundancyReport) -> list[LayerRedundancy]:
    """Return the layers measured on data, without the last of several, whose width the task fixes."""
    measured = [layer for layer in report.layers if layer.activations]
    return measured[:-1] if len(measured) > 1 else measured


def _judged(report: RedundancyReport) -> list[LayerRedundancy]:
    """Return the layers measured on enough inputs for a verdict."""
    return [layer for layer in report.layers if layer.activations and layer.enough_inputs]


def _too_wide(layers: Sequence[LayerRedundancy]) -> list[LayerRedundancy]:
    """Return the layers whose recommended width, up to its upper end, is clearly below the width they have."""
    return [layer for layer in layers if layer.width_is_known and _spare(layer) >= WORTH_IT]


def _spare(layer: LayerRedundancy) -> float:
    if layer.activations is None:
        return 0.0
    return 1 - layer.activations.width.interval[1] / (layer.sampled or layer.n_units)


def narrower(report: RedundancyReport) -> list[Finding]:
    """Report layers in which fewer units would suffice."""
    found = sorted(_too_wide(_hidden(report)), key=lambda layer: -_spare(layer))
    kept = percent(1 - report.unexplained)
    return _finding(
        "narrower",
        "act" if any(_spare(layer) >= 0.25 for layer in found) else "watch",
        "Fewer units would suffice in",
        found,
        lambda layer: f"{_width(layer)} of {plural(layer.sampled or layer.n_units, 'unit')}",
        f"This many units, with the 95 % interval, explain {kept} of the variance of all units by linear combinations.",
        "Fold the other units into these with cofire merge (--tolerance, --keep), or train again with this width, and "
        "compare the test accuracy.",
    )


def _width(layer: LayerRedundancy) -> str:
    if layer.activations is None:
        return ""
    width = layer.activations.width
    low, high = width.interval
    return count(width.units) if low == high else f"{count(width.units)} ({count(low)} to {count(high)})"


def copies(report: RedundancyReport) -> list[Finding]:
    """Report units that duplicate others on the data."""
    found = [layer for layer in _judged(report) if layer.clusters]
    return _copies(
        found,
        "Units copy others in",
        f"Copies have |ρ| ≥ {report.threshold:g} with the first of their group. {_chance(found)}",
        "Copies can be folded into one unit with little change on these data: use cofire merge.",
    )


def weight_copies(report: RedundancyReport) -> list[Finding]:
    """Report units whose weights duplicate those of others, in layers without data."""
    found = [layer for layer in report.layers if not layer.activations and layer.clusters]
    return _copies(
        found,
        "Units have the same weights, up to a factor, in",
        f"Their weight vectors have |cosine| ≥ {report.threshold:g}. {_chance(found)}",
        "Before the activation function they are copies up to scale and shift. Give data to see whether their biases "
        "make them differ after it.",
    )


def _copies(layers: list[LayerRedundancy], title: str, remark: str, advice: str) -> list[Finding]:
    found = sorted(layers, key=lambda layer: -layer.n_copies)
    act = any(layer.n_copies >= WORTH_IT * layer.n_units for layer in found)
    return _finding("copies", "act" if act else "watch", title, found, _groups, remark, advice)


def _groups(layer: LayerRedundancy) -> str:
    shown = "; ".join(group(cluster) for cluster in layer.clusters[:3])
    more = f"; and {plural(len(layer.clusters) - 3, 'more group')}" if len(layer.clusters) > 3 else ""
    return f"{plural(layer.n_copies, 'unit')} redundant: {shown}{more}"


def group(cluster: Cluster) -> str:
    """Return a cluster in words: the unit that stays, and its copies, with a minus before negated ones.

    Example:
        >>> group(Cluster((3, 5, 8), (1, 1, -1), 0.99, 0.0))
        '3 = 5 = −8'
    """
    signed = [f"{'−' if sign < 0 else ''}{unit}" for unit, sign in zip(cluster.units, cluster.signs, strict=True)]
    return " = ".join(signed[:MOST]) + (f" and {len(signed) - MOST} more" if len(signed) > MOST else "")


def _chance(layers: Sequence[LayerRedundancy]) -> str:
    worst = max((cluster.p_value for layer in layers for cluster in layer.clusters), default=0.0)
    shown = "below 1e-12" if worst < 1e-12 else f"at most {worst:.1g}"
    return f"In a layer of independent units any would appear with probability {shown}."


def zero_weights(report: RedundancyReport) -> list[Finding]:
    """Report units whose weights are all zero."""
    found = [layer for layer in report.layers if layer.weights and layer.weights.zero_units]
    return _finding(
        "zero weights",
        "watch",
        "All weights of some units are zero in",
        found,
        lambda layer: f"{plural(len(layer.weights.zero_units), 'unit')}" if layer.weights else "",
        "Such units output their bias for every input.",
        "Remove them, and add their constant contribution to the next layer's bias.",
    )


def nonfinite(report: RedundancyReport) -> list[Finding]:
    """Report NaN and infinity in weights or activations."""
    found = [layer for layer in report.layers if _broken(layer)]
    return _finding(
        "not finite",
        "act",
        "NaN or infinity found in",
        found,
        lambda layer: plural(_broken(layer), "unit"),
        "These units are left out of every number, and no width is recommended for a layer with such activations.",
        "Training has probably diverged: go back to an earlier checkpoint.",
    )


def _broken(layer: LayerRedundancy) -> int:
    in_weights = len(layer.weights.nonfinite_units) if layer.weights else 0
    return max(in_weights, len(layer.activations.nonfinite_units) if layer.activations else 0)


def aligned_weights(report: RedundancyReport) -> list[Finding]:
    """Report layers whose weight vectors are more alike than random ones."""
    found = sorted(
        (layer for layer in report.layers if _alignment(layer) >= ALIKE), key=lambda layer: -_alignment(layer)
    )
    return _finding(
        "aligned weights",
        "note",
        "Weight vectors are more alike than chance in",
        found,
        lambda layer: (
            f"WC {number(layer.weights.mean_abs)}, {number(_alignment(layer), 1)} times chance" if layer.weights else ""
        ),
        "Chance is the weight correlation of random weights with as many inputs.",
        "",
    )


def _alignment(layer: LayerRedundancy) -> float:
    ratio = layer.weights.mean_abs / layer.weights.chance_level if layer.weights else 0.0
    return ratio if isfinite(ratio) else 0.0


def few_inputs(report: RedundancyReport) -> list[Finding]:
    """Report layers that cannot be judged because too few independent inputs were run."""
    found = [layer for layer in report.layers if not layer.enough_inputs]
    return _finding(
        "few inputs",
        "watch",
        "Too few inputs were run to judge",
        found,
        _seen,
        f"A verdict needs at least {LEAST_INPUTS} inputs, however many positions of an image or tokens of a text each "
        "has, because these depend on one another.",
        "Run more inputs.",
    )


def _seen(layer: LayerRedundancy) -> str:
    samples, inputs = layer.n_samples or 0, layer.n_inputs or 0
    inputs_text = plural(inputs, "input")
    return f"{plural(samples, 'sample')} from {inputs_text}" if samples != inputs else inputs_text


def too_few(report: RedundancyReport) -> list[Finding]:
    """Report layers whose width cannot be recommended from so few samples."""
    found = [layer for layer in _judged(report) if layer.activations and not layer.activations.width.enough_samples]
    return _finding(
        "too few samples",
        "watch",
        "Too few samples to recommend a width for",
        found,
        lambda layer: f"{plural(layer.n_samples or 0, 'sample')}, {plural(layer.n_units, 'unit')}",
        "",
        "A linear combination of many units fits few samples by chance. Use several times as many samples as units.",
    )


def positions(report: RedundancyReport) -> list[Finding]:
    """Report layers whose samples are positions of images or tokens of texts, which depend on one another."""
    found = [layer for layer in _judged(report) if (layer.n_samples or 0) > (layer.n_inputs or 0)]
    return _finding(
        "positions",
        "watch" if any((layer.n_inputs or 0) < FEW_SAMPLES for layer in found) else "note",
        "Positions count as samples in",
        found,
        _seen,
        "Positions of an image or tokens of a text depend on one another: noise floor, p-values and intervals are too "
        "small.",
        "",
    )


def left_out(report: RedundancyReport) -> list[Finding]:
    """Report what was not measured, by reason."""
    points = tuple((reason, listing(names, 3)) for reason, names in report.reasons().items())
    title = f"{plural(len(report.left_out), 'item')} left out"
    return [Finding("left out", "note", title, points)] if points else []


def _finding(
    kind: str,
    level: Level,
    title: str,
    layers: Sequence[LayerRedundancy],
    say: Callable[[LayerRedundancy], str],
    remark: str,
    advice: str,
) -> list[Finding]:
    """Return one finding about some layers, or none if there are no layers."""
    if not layers:
        return []
    names = [layer.layer or "(the model)" for layer in layers]
    points = listed(names[:MOST], map(say, layers), len(layers) - MOST)
    return [Finding(kind, level, f"{title} {named(names, MOST)}", points, remark, advice)]


_KINDS = (
    *(nonfinite, few_inputs, narrower, copies, weight_copies, zero_weights),
    *(too_few, aligned_weights, positions, left_out),
)
