"""What the redundancy of a network's layers comes to, in sentences with their numbers."""

from collections.abc import Callable, Sequence
from math import isfinite

from ...nets.redundancy import LEAST_INPUTS, LayerRedundancy, RedundancyReport
from ...stats.redundancy.duplicates import Cluster
from ..data.formatting import count, listing, number, percent, plural
from ..data.run_view import Layer
from .finding import Finding, Level, named
from .run_findings import independent, redundant
from .unit_findings import FEW_SAMPLES, constant, few_samples, undefined

WORTH_IT = 0.05
ALIKE = 2.0
MOST = 6


def headline(report: RedundancyReport) -> str:
    """The network in one sentence."""
    hidden = _hidden(report)
    if hidden:
        narrow = _too_wide(hidden)
        if narrow:
            return f"In {len(narrow)} of {plural(len(hidden), 'layer')} before the output fewer units would do."
        if not any(layer.enough_inputs for layer in hidden):
            return "Too few inputs were run to tell how redundant the layers are."
        if not any(layer.width_is_known for layer in hidden):
            return "These data do not tell how many units the layers need."
        return "No layer is clearly wider than these data need."
    copied = [layer for layer in report.layers if layer.n_copies]
    if copied:
        return f"{len(copied)} of {plural(len(report.layers), 'layer')} hold units with the same weights."
    return "No two units of a layer have the same weights."


def findings(report: RedundancyReport, views: Sequence[Layer]) -> list[Finding]:
    """All that can be said, what asks for action first."""
    of_views = (redundant, constant, undefined, few_samples, independent)
    found = [finding for find in of_views for finding in find(views)]
    found += [finding for find in _KINDS for finding in find(report)]
    order = {"act": 0, "watch": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _hidden(report: RedundancyReport) -> list[LayerRedundancy]:
    """The layers measured on data, less the last of several: nobody can narrow the output."""
    measured = [layer for layer in report.layers if layer.activations]
    return measured[:-1] if len(measured) > 1 else measured


def _judged(report: RedundancyReport) -> list[LayerRedundancy]:
    """The layers measured on enough inputs for a verdict."""
    return [layer for layer in report.layers if layer.activations and layer.enough_inputs]


def _too_wide(layers: Sequence[LayerRedundancy]) -> list[LayerRedundancy]:
    """Layers of which the upper end of the recommended width lies clearly below the width they have."""
    return [layer for layer in layers if layer.width_is_known and _spare(layer) >= WORTH_IT]


def _spare(layer: LayerRedundancy) -> float:
    if layer.activations is None:
        return 0.0
    return 1 - layer.activations.width.interval[1] / (layer.sampled or layer.n_units)


def narrower(report: RedundancyReport) -> list[Finding]:
    """Layers that fewer units would do for."""
    found = sorted(_too_wide(_hidden(report)), key=lambda layer: -_spare(layer))
    kept = percent(1 - report.unexplained)
    return _finding(
        "narrower",
        "act" if any(_spare(layer) >= 0.25 for layer in found) else "watch",
        "Fewer units would do in",
        found,
        lambda layer: f"{_width(layer)} of {plural(layer.sampled or layer.n_units, 'unit')}",
        f"So many units, with the 95 % interval, explain {kept} of the variance of all by linear combinations.",
        "Fold the others into these with cofire merge (--tolerance, --keep), or train again with this width, and "
        "compare the test accuracy.",
    )


def _width(layer: LayerRedundancy) -> str:
    if layer.activations is None:
        return ""
    width = layer.activations.width
    low, high = width.interval
    return count(width.units) if low == high else f"{count(width.units)} ({count(low)} to {count(high)})"


def copies(report: RedundancyReport) -> list[Finding]:
    """Units that duplicate others on the data."""
    found = [layer for layer in _judged(report) if layer.clusters]
    return _copies(
        found,
        "Units copy others in",
        f"Copies have |ρ| of {report.threshold:g} or more with the first of their group. {_chance(found)}",
        "Copies can be folded into one unit without a change that these data show: cofire merge does it.",
    )


def weight_copies(report: RedundancyReport) -> list[Finding]:
    """Units whose weights duplicate others', where there were no data."""
    found = [layer for layer in report.layers if not layer.activations and layer.clusters]
    return _copies(
        found,
        "Units have the same weights, up to a factor, in",
        f"Their weight vectors have |cosine| of {report.threshold:g} or more. {_chance(found)}",
        "Before the activation function they copy each other up to scale and shift; whether their biases differ enough "
        "to matter, data tell.",
    )


def _copies(layers: list[LayerRedundancy], title: str, remark: str, advice: str) -> list[Finding]:
    found = sorted(layers, key=lambda layer: -layer.n_copies)
    act = any(layer.n_copies >= WORTH_IT * layer.n_units for layer in found)
    return _finding("copies", "act" if act else "watch", title, found, _groups, remark, advice)


def _groups(layer: LayerRedundancy) -> str:
    shown = "; ".join(group(cluster) for cluster in layer.clusters[:3])
    more = f"; and {plural(len(layer.clusters) - 3, 'group')} more" if len(layer.clusters) > 3 else ""
    return f"{plural(layer.n_copies, 'unit')} could go: {shown}{more}"


def group(cluster: Cluster) -> str:
    """A cluster in words: the unit that stays, and those that copy it, a minus before negated ones.

    Example:
        >>> group(Cluster((3, 5, 8), (1, 1, -1), 0.99, 0.0))
        '3 = 5 = −8'
    """
    signed = [f"{'−' if sign < 0 else ''}{unit}" for unit, sign in zip(cluster.units, cluster.signs, strict=True)]
    return " = ".join(signed[:MOST]) + (f" and {len(signed) - MOST} more" if len(signed) > MOST else "")


def _chance(layers: Sequence[LayerRedundancy]) -> str:
    worst = max((cluster.p_value for layer in layers for cluster in layer.clusters), default=0.0)
    shown = "1e-12" if worst < 1e-12 else f"{worst:.1g}"
    return f"The chance that independent units show any is {'below' if worst < 1e-12 else 'at most'} {shown} a layer."


def zero_weights(report: RedundancyReport) -> list[Finding]:
    """Units whose weights are all zero, which no data are needed to know."""
    found = [layer for layer in report.layers if layer.weights and layer.weights.zero_units]
    return _finding(
        "zero weights",
        "watch",
        "Units have no weights but zero in",
        found,
        lambda layer: f"{plural(len(layer.weights.zero_units), 'unit')}" if layer.weights else "",
        "Whatever comes in, they put out their bias.",
        "Drop them, and add what they pass on to the next layer's bias.",
    )


def nonfinite(report: RedundancyReport) -> list[Finding]:
    """NaN and infinity, in weights or in activations."""
    found = [layer for layer in report.layers if _broken(layer)]
    return _finding(
        "not finite",
        "act",
        "NaN or infinity was met in",
        found,
        lambda layer: plural(_broken(layer), "unit"),
        "Such units are left out of every number, and no width is recommended for a layer that puts them out.",
        "Training has probably diverged: go back to an earlier checkpoint.",
    )


def _broken(layer: LayerRedundancy) -> int:
    in_weights = len(layer.weights.nonfinite_units) if layer.weights else 0
    return max(in_weights, len(layer.activations.nonfinite_units) if layer.activations else 0)


def aligned_weights(report: RedundancyReport) -> list[Finding]:
    """Layers whose weight vectors are more alike than those of random weights."""
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
        "Chance is what random weights of as many inputs show.",
        "",
    )


def _alignment(layer: LayerRedundancy) -> float:
    ratio = layer.weights.mean_abs / layer.weights.chance_level if layer.weights else 0.0
    return ratio if isfinite(ratio) else 0.0


def few_inputs(report: RedundancyReport) -> list[Finding]:
    """Layers that nothing is said of, since so few independent inputs were run."""
    found = [layer for layer in report.layers if not layer.enough_inputs]
    return _finding(
        "few inputs",
        "watch",
        "Too few inputs to judge",
        found,
        _seen,
        f"No verdict rests on fewer than {LEAST_INPUTS} inputs, however many positions of an image or tokens of a text "
        "each has: these depend on one another.",
        "Run more inputs.",
    )


def _seen(layer: LayerRedundancy) -> str:
    samples, inputs = layer.n_samples or 0, layer.n_inputs or 0
    told = plural(inputs, "input")
    return f"{plural(samples, 'sample')} from {told}" if samples != inputs else told


def too_few(report: RedundancyReport) -> list[Finding]:
    """Layers whose width the samples do not tell."""
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
    """Layers whose samples are positions of images or tokens of texts, which depend on one another."""
    found = [layer for layer in _judged(report) if (layer.n_samples or 0) > (layer.n_inputs or 0)]
    return _finding(
        "positions",
        "watch" if any((layer.n_inputs or 0) < FEW_SAMPLES for layer in found) else "note",
        "Positions count as samples in",
        found,
        _seen,
        "Positions of an image or tokens of a text depend on one another: floor, p-values and intervals are too small.",
        "",
    )


def left_out(report: RedundancyReport) -> list[Finding]:
    """What was not measured, by the reason."""
    points = tuple((reason, listing(names, 3)) for reason, names in report.reasons().items())
    title = f"{plural(len(report.left_out), 'name')} left out"
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
    """One finding on some layers; none where there are none."""
    if not layers:
        return []
    names = [layer.layer or "(the model)" for layer in layers]
    points = [(name, say(layer)) for name, layer in zip(names, layers, strict=True)][:MOST]
    rest = len(layers) - MOST
    points += [("…", f"{plural(rest, 'layer')} more")] if rest > 0 else []
    return [Finding(kind, level, f"{title} {named(names, MOST)}", tuple(points), remark, advice)]


_KINDS = (
    *(nonfinite, few_inputs, narrower, copies, weight_copies, zero_weights),
    *(too_few, aligned_weights, positions, left_out),
)
