"""Findings about the redundancy of a network's layers."""

from collections.abc import Iterable, Sequence
from functools import partial
from math import isfinite

from ...nets.redundancy import LEAST_INPUTS, LayerRedundancy, RedundancyReport
from ...stats.redundancy.duplicates import Cluster
from ..data.formatting import count, listing, number, percent, plural
from ..data.run_view import Layer
from .finding import Finding, Level, about, by_urgency
from .run_findings import independent, redundant
from .shrink_findings import Advice, what_can_go, with_advice
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


def findings(report: RedundancyReport, views: Sequence[Layer], advice: Advice | None = None) -> list[Finding]:
    """Return everything that can be said, what needs action first.

    Args:
        report: what was found.
        views: its layers, as charts draw them.
        advice: what can be cut; None if that is not known.
    """
    of_views = (undefined, few_samples, partial(independent, key="independent, inspected"))
    hidden = {layer.layer for layer in _hidden(report)}
    found = constant(views, key="constant, inspected") + redundant([one for one in views if one.name in hidden])
    found += [finding for find in of_views for finding in find(views)]
    found += [finding for find in _KINDS for finding in find(report)]
    return by_urgency([*what_can_go(advice), *(with_advice(one, advice) for one in found)])


def _hidden(report: RedundancyReport) -> list[LayerRedundancy]:
    """Return the layers measured on data, without the output layer if there are others: the task fixes its width."""
    measured = [layer for layer in report.layers if layer.activations]
    return [layer for layer in measured if not layer.is_output] or measured


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
    level = "act" if any(_spare(layer) >= 0.25 for layer in found) else "watch"
    texts = [f"{_width(layer)} of {plural(layer.sampled or layer.n_units, 'unit')}" for layer in found]
    return _about("narrower", level, found, texts, kept=percent(1 - report.unexplained))


def _width(layer: LayerRedundancy) -> str:
    if layer.activations is None:
        return ""
    width = layer.activations.width
    low, high = width.interval
    return count(width.units) if low == high else f"{count(width.units)} ({count(low)} to {count(high)})"


def copies(report: RedundancyReport) -> list[Finding]:
    """Report units that duplicate others on the data; outputs apart, as the task fixes how many there are."""
    found = [layer for layer in _judged(report) if layer.clusters]
    hidden, outputs = ([one for one in found if one.is_output is is_output] for is_output in (False, True))
    return [*_copies("copies", report, hidden), *_copies("output copies", report, outputs, level="note")]


def weight_copies(report: RedundancyReport) -> list[Finding]:
    """Report units whose weights duplicate those of others, in layers without data."""
    found = [layer for layer in report.layers if not layer.activations and layer.clusters]
    return _copies("weight copies", report, found)


def _copies(
    key: str, report: RedundancyReport, layers: list[LayerRedundancy], *, level: Level | None = None
) -> list[Finding]:
    found = sorted(layers, key=lambda layer: -layer.n_copies)
    urgency = "act" if any(layer.n_copies >= WORTH_IT * layer.n_units for layer in found) else "watch"
    return _about(key, level or urgency, found, map(_groups, found), threshold=report.threshold, chance=_chance(found))


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
    """Report units that are dead by their weights or the batch norm behind them."""
    found = [(layer, {*layer.weights.zero_units, *layer.switched_off}) for layer in report.layers if layer.weights]
    dead = [(layer, plural(len(units), "unit")) for layer, units in found if units]
    return _about("zero weights", "watch", [layer for layer, _ in dead], [text for _, text in dead])


def nonfinite(report: RedundancyReport) -> list[Finding]:
    """Report NaN and infinity in weights or activations."""
    found = [layer for layer in report.layers if _broken(layer)]
    return _about("not finite, inspected", "act", found, [plural(_broken(layer), "unit") for layer in found])


def _broken(layer: LayerRedundancy) -> int:
    in_weights = len(layer.weights.nonfinite_units) if layer.weights else 0
    return max(in_weights, len(layer.activations.nonfinite_units) if layer.activations else 0)


def aligned_weights(report: RedundancyReport) -> list[Finding]:
    """Report layers whose weight vectors are more alike than random ones."""
    alike = sorted((one for one in report.layers if _alignment(one) >= ALIKE), key=lambda layer: -_alignment(layer))
    found = [(layer, layer.weights) for layer in alike if layer.weights]
    texts = [f"WC {number(one.mean_abs)}, {number(_alignment(layer), 1)} times chance" for layer, one in found]
    return _about("aligned weights", "note", alike, texts)


def _alignment(layer: LayerRedundancy) -> float:
    ratio = layer.weights.mean_abs / layer.weights.chance_level if layer.weights else 0.0
    return ratio if isfinite(ratio) else 0.0


def few_inputs(report: RedundancyReport) -> list[Finding]:
    """Report layers that cannot be judged because too few independent inputs were run."""
    found = [layer for layer in report.layers if not layer.enough_inputs]
    return _about("few inputs", "watch", found, map(_seen, found), least=LEAST_INPUTS)


def _seen(layer: LayerRedundancy) -> str:
    samples, inputs = layer.n_samples or 0, layer.n_inputs or 0
    inputs_text = plural(inputs, "input")
    return f"{plural(samples, 'sample')} from {inputs_text}" if samples != inputs else inputs_text


def too_few(report: RedundancyReport) -> list[Finding]:
    """Report layers whose width cannot be recommended from so few samples."""
    found = [layer for layer in _judged(report) if layer.activations and not layer.activations.width.enough_samples]
    texts = [f"{plural(layer.n_samples or 0, 'sample')}, {plural(layer.n_units, 'unit')}" for layer in found]
    return _about("too few samples", "watch", found, texts)


def positions(report: RedundancyReport) -> list[Finding]:
    """Report layers whose samples are positions of images or tokens of texts, which depend on one another."""
    found = [layer for layer in _judged(report) if (layer.n_samples or 0) > (layer.n_inputs or 0)]
    level = "watch" if any((layer.n_inputs or 0) < FEW_SAMPLES for layer in found) else "note"
    return _about("positions", level, found, map(_seen, found))


def left_out(report: RedundancyReport) -> list[Finding]:
    """Report what was not measured, by reason."""
    points = tuple((reason, listing(names, 3)) for reason, names in report.reasons().items())
    title = f"{plural(len(report.left_out), 'item')} left out"
    return [Finding("left out", "note", title, points)] if points else []


def _about(
    key: str, level: Level, layers: Sequence[LayerRedundancy], texts: Iterable[str], **filled: object
) -> list[Finding]:
    names = [layer.layer or "(the model)" for layer in layers]
    return about(key, level, zip(names, texts, strict=True), most=MOST, **filled)


_KINDS = (
    *(nonfinite, few_inputs, narrower, copies, weight_copies, zero_weights),
    *(too_few, aligned_weights, positions, left_out),
)
