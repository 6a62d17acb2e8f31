"""The claims of figures 2, 3 and B.1: numbers of layers at the largest width, and their slopes over widths.

Layers of one network share their repetitions and count as one sample.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from ..framework.claim_table import MissingRows, Table
from ..framework.estimates import Values, combined, mean_of, shared
from ..framework.verdicts import Part, part
from .late_numbers import Late, correlation, late, slope_over
from .zhang_networks import HIDDEN, LAYERS

WIDE = 500  # a smaller largest width refutes nothing: the paper goes up to 1000
NARROW = 20  # the smallest width for which the paper describes its results
FLOOR = 0.001  # nats; smaller numbers count as this in a logarithm
Parts = dict[str, Part]
Check = Callable[[Table], Parts]
Number = Callable[[Table, str], Late]
"""Rows of one network, and a layer → its number."""


def measured(name: str, table: Table, layer: str) -> Late:
    """Return a measure of a layer."""
    return late(lambda rows: rows.per_seed(), table.need(measure=name, site=layer))


def change(name: str, table: Table, layer: str) -> Late:
    """Return how far a measure of a layer is from what it was before training."""
    rows = table.need(measure=name, site=layer)
    before = rows.per_seed(epoch=0)

    def since(moment: Table) -> Values:
        return combined(lambda a, b: a - b, *shared(moment.per_seed(), before))

    return late(since, rows)


def size_of_change(table: Table, layer: str) -> Late:
    """Return abs(ΔH) of the mean entropy of a layer's units."""
    return change("entropy", table, layer).then(lambda value: abs(value))


def shift(table: Table, layer: str) -> Late:
    """Return the mean over a layer's units of abs(ΔH)."""
    return measured("shift", table, layer)


def iota(table: Table, layer: str) -> Late:
    """Return the dependence score of a layer."""
    return measured("iota", table, layer)


def total_correlations(table: Table, layer: str) -> Late:
    """Return the mean total correlation of five units of a layer."""
    return measured("total_correlation", table, layer)


def negentropy(table: Table, layer: str) -> Late:
    """Return the mean divergence of a layer's units from a normal distribution."""
    return measured("negentropy", table, layer)


def over_threshold(table: Table, layer: str) -> Late:
    """Return the score less its permutation threshold, which is measured before and after training."""
    threshold = table.need(measure="threshold", site=layer).last().per_seed()
    return late(lambda rows: _less(rows.per_seed(), threshold), table.need(measure="iota", site=layer))


def _less(a: Values, b: Values) -> Values:
    return combined(lambda x, y: x - y, *shared(a, b))


def excess(table: Table, layer: str) -> Late:
    """Return Δι less ΔH, which Eq. 7 says is not above 0."""
    return change("iota", table, layer).then(lambda a, b: a - b, change("entropy", table, layer))


def widest(table: Table) -> Table:
    """Return the rows of the largest width that was trained.

    Raises:
        MissingRows: if it is no wide network.
    """
    width = max(table.need(width=lambda width: width > NARROW).values("width"))
    return table.where(width=width)


def short_of_width(width: int) -> str:
    """Return why networks of this width cannot refute a claim about wide ones, if they cannot."""
    return "" if width >= WIDE else f"the widest networks have {width} units, the paper's 1000"


def at_widest(number: Number, note: str, activations: Sequence[str], *, layers: Sequence[str] = HIDDEN) -> Check:
    """Return the check of each layer's number at the largest width, for claims that it is low."""

    def check(table: Table) -> Parts:
        found: Parts = {}
        for name in activations:
            rows = widest(table.need(activation=name))
            (width,) = rows.values("width")
            told = f"{note}, {width} units, nats"
            for layer in layers:
                parts = number(rows, layer).parts(f"{name}, {layer}", told, sample=name, reduced=short_of_width(width))
                found |= parts
        return found

    return check


def slopes(
    number: Number, note: str, activations: Sequence[str], *, layers: Sequence[str] = HIDDEN, **others: Any
) -> Check:
    """Return the check of the slope of log(number) over log(width), from 20 units on; ``others`` go to `Late.parts`."""
    return partial(_slopes, number=number, note=note, activations=activations, layers=layers, others=others)


def _slopes(
    table: Table, number: Number, note: str, activations: Sequence[str], layers: Sequence[str], others: dict[str, Any]
) -> Parts:
    found: Parts = {}
    for name in activations:
        wide = table.need(activation=name, width=lambda width: width >= NARROW).groups("width")
        if len(wide) < 3:
            raise MissingRows(f"a slope over widths needs three of at least {NARROW} units")
        counts = [width for width, _ in wide]

        def slope(*values: float, counts: list[int] = counts) -> float:
            return slope_over(counts, values, floor=FLOOR)

        told = f"slope of log {note} over log width, {counts[0]} to {counts[-1]} units"
        for layer in layers:
            first, *rest = [number(rows, layer) for _, rows in wide]
            options = {"reduced": short_of_width(counts[-1]), **others}
            found |= first.then(slope, *rest).parts(f"{name}, {layer}", told, sample=name, **options)
    return found


def before_training(number: str, note: str, activations: Sequence[str], *, less: str = "") -> Check:
    """Return the check of a measure of each hidden layer at the largest width before training.

    Args:
        number: the measure.
        note: what it is.
        activations: of which networks.
        less: a measure to subtract.
    """

    def check(table: Table) -> Parts:
        found: Parts = {}
        for name in activations:
            rows = widest(table.need(activation=name))
            (width,) = rows.values("width")
            told = f"{note} before training, {width} units, nats"
            for layer in HIDDEN:
                values = rows.per_seed(measure=number, site=layer, epoch=0)
                if less:
                    values = _less(values, rows.per_seed(measure=less, site=layer, epoch=0))
                still = None if (short := short_of_width(width)) else mean_of(dict.fromkeys(values, 0.0))
                found[f"{name}, {layer}"] = part(values, told, sample=name, trend=still, reduced=short)
        return found

    return check


def bounded(activations: Sequence[str]) -> Check:
    """Return the check of ΔI ≤ ΔH, for each hidden layer of each width."""

    def check(table: Table) -> Parts:
        found: Parts = {}
        for name in activations:
            for width, rows in table.need(activation=name, width=lambda width: width >= NARROW).groups("width"):
                for layer in HIDDEN:
                    label = f"{name}, {width} units"
                    found |= excess(rows, layer).parts(f"{label}, {layer}", "Δι less mean ΔH, nats", sample=label)
        return found

    return check


def last_layer(activations: Sequence[str], *, stands_out: bool) -> Check:
    """Return the check of the last layer's score against its threshold, or against the others' largest score."""

    def check(table: Table) -> Parts:
        found: Parts = {}
        for name in activations:
            rows = widest(table.need(activation=name))
            if stands_out:
                others = [iota(rows, layer) for layer in HIDDEN]
                gap = iota(rows, LAYERS[-1]).then(lambda last, *others: last - max(others), *others)
                note = "ι of the last layer less the others' largest, nats"
            else:
                gap = over_threshold(rows, LAYERS[-1])
                note = "ι of the last layer less its permutation threshold, nats"
            found |= gap.parts(name, note, sample=name, below=False)
        return found

    return check


def learned(table: Table, levels: dict[str, tuple[float, float]]) -> Parts:
    """Return the lowest accuracy of networks wider than 20 units, less what the paper says."""
    found: Parts = {}
    for name, pair in levels.items():
        wide = table.need(activation=name, width=lambda width: width > NARROW).groups("width")
        for measure, level in zip(("accuracy", "test_accuracy"), pair, strict=True):
            first, *rest = [late(lambda rows: rows.per_seed(), rows.need(measure=measure)) for _, rows in wide]
            least = first.then(lambda *values, level=level: min(values) - level, *rest)
            told = f"least over widths, less {level:g}"
            rise = combined(lambda a, b: max(0.0, a - b), *shared(least.end, least.half))
            found[f"{name}, {measure}"] = part(least.end, told, sample=name, trend=mean_of(rise))
    return found


def with_accuracy_over_widths(table: Table, activations: Sequence[str]) -> Parts:
    """Return the correlation of mean entropy with training accuracy over networks of all widths, after training."""
    found: Parts = {}
    for name in activations:
        groups = table.need(activation=name).groups("width")
        if len(groups) < 3:
            raise MissingRows("a correlation over widths needs three")
        numbers = [_entropy(rows) for _, rows in groups] + [
            late(lambda rows: rows.per_seed(), rows.need(measure="accuracy")) for _, rows in groups
        ]

        def over_widths(*values: float, n: int = len(groups)) -> float:
            return correlation(list(values[:n]), list(values[n:]))

        related = numbers[0].then(over_widths, *numbers[1:])
        told = "correlation of mean entropy with training accuracy over widths"
        rise = combined(lambda a, b: max(0.0, a - b), *shared(related.end, related.half))
        found[name] = part(related.end, told, sample=name, trend=mean_of(rise))
    return found


def _entropy(rows: Table) -> Late:
    first, *rest = [measured("entropy", rows, layer) for layer in HIDDEN]
    return first.then(lambda *layers: _mean(layers), *rest)


def _mean(layers: Sequence[float]) -> float:
    """Return the mean over layers, without those of which no unit has a density."""
    known = [value for value in layers if math.isfinite(value)]
    return fmean(known) if known else math.nan


def with_accuracy_over_epochs(table: Table, activations: Sequence[str]) -> Parts:
    """Return the same over the epochs of the widest networks."""
    found: Parts = {}
    for name in activations:
        rows = widest(table.need(activation=name))
        entropies = rows.need(measure="entropy", site=HIDDEN)
        accuracies = rows.need(measure="accuracy")
        epochs = accuracies.values("epoch")
        layers = [entropies.curve("epoch", site=layer) for layer in HIDDEN]
        related = {
            seed: correlation(
                [_mean([layer[epoch][seed] for layer in layers]) for epoch in epochs],
                [accuracies.per_seed(epoch=epoch)[seed] for epoch in epochs],
            )
            for seed in accuracies.per_seed(epoch=epochs[0])
        }
        told = "correlation of mean entropy with training accuracy over epochs, largest width"
        found[name] = part(related, told, sample=name)
    return found
