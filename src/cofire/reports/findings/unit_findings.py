"""Findings about single units: those that never change, copies, non-finite values, and layers with few samples."""

from collections.abc import Iterable, Sequence
from math import isfinite

from ...stats._base.definitions import COPY
from ..data.formatting import count, number, percent, plural
from ..data.run_view import Layer
from .finding import Finding, about

FEW_SAMPLES = 200


def constant(layers: Sequence[Layer]) -> list[Finding]:
    """Report units that never changed over the samples."""
    dead = sorted(
        (layer for layer in layers if layer.last("n_constant") > 0), key=lambda layer: -layer.last("n_constant")
    )
    shares = {layer.name: layer.last("n_constant") / layer.last("n_units") for layer in dead}

    def describe(layer: Layer) -> str:
        of = f"{count(layer.last('n_constant'))} of {plural(int(layer.last('n_units')), 'unit')}"
        return f"{of} ({percent(shares[layer.name])})"

    return about(
        "constant",
        "act" if max(shares.values(), default=0) >= 0.1 else "watch",
        f"{plural(sum(int(layer.last('n_constant')) for layer in dead), 'unit')} never changed in",
        dead,
        describe,
        "Their pairs have no correlation and are left out of every mean.",
        "A unit that is constant on these samples carries no information; often it is a ReLU that never fires. "
        "Try a lower learning rate or a leaky activation function, or fold constants into the next bias.",
    )


def duplicated(layers: Sequence[Layer]) -> list[Finding]:
    """Report pairs of units that are linear copies of each other."""
    copied = sorted((layer for layer in layers if layer.duplicates), key=lambda layer: -len(layer.duplicates))
    total = sum(len(layer.duplicates) for layer in copied)
    share = max((spare(layer.duplicates) / layer.last("n_units") for layer in copied), default=0)
    return about(
        "duplicate",
        "act" if share >= 0.05 else "watch",
        f"{plural(total, 'pair')} of copies in",
        copied,
        lambda layer: f"{plural(len(layer.duplicates), 'pair')}, {spare(layer.duplicates)} redundant",
        f"Copies have |ρ| ≥ {COPY}.",
        "Units that are linear copies can be merged: add the outgoing weights of one, scaled, to the other's. "
        "Check the loss afterwards, since |ρ| is measured on a sample.",
    )


def spare(pairs: Iterable[tuple[int, int, float]]) -> int:
    """Count the units that could be removed if one unit of each group of copies stays.

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


def nonfinite(layers: Sequence[Layer]) -> list[Finding]:
    """Report NaN or infinity in activations at the last recording."""

    def describe(layer: Layer) -> str:
        of = f"{count(layer.last('n_nonfinite'))} of {plural(int(layer.last('n_units')), 'unit')}"
        return f"{of}, since step {count(nonfinite_since(layer))}"

    return about(
        "not finite",
        "act",
        "NaN or infinity found in",
        [layer for layer in layers if layer.last("n_nonfinite") > 0],
        describe,
        "These units are left out of every mean.",
        "Training has probably diverged: go back to an earlier checkpoint and lower the learning rate.",
    )


def nonfinite_since(layer: Layer) -> int:
    """Return the first step of the unbroken stretch up to the last recording with a non-finite unit."""
    series = layer.of("n_nonfinite")
    since = series.steps[-1]
    for step, broken in zip(reversed(series.steps), reversed(series.values), strict=True):
        if not broken > 0:
            break
        since = step
    return since


def undefined(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers whose activations were measured but in which no pair of units has a correlation."""

    def describe(layer: Layer) -> str:
        units, constant = plural(int(layer.last("n_units")), "unit"), count(layer.last("n_constant"))
        return f"{units}, {constant} constant, {plural(layer.n_samples or 0, 'sample')}"

    return about(
        "undefined",
        "watch",
        "No correlation is defined in",
        [
            layer
            for layer in layers
            if layer.of("nc").steps and not isfinite(layer.last("nc")) and not layer.last("n_nonfinite") > 0
        ],
        describe,
        "",
        "A correlation needs two units that vary over at least two samples and have finite values.",
    )


def few_samples(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers measured on so few samples that the noise floor is high."""
    return about(
        "few samples",
        "watch",
        "Few samples were measured in",
        [layer for layer in layers if layer.n_samples is not None and layer.n_samples < FEW_SAMPLES],
        lambda layer: f"{plural(layer.n_samples or 0, 'sample')}, noise floor {number(layer.last('nc_noise_floor'))}",
        "",
        "Independent units would show a mean |ρ| as high as the noise floor. Use more samples.",
    )


UNIT_KINDS = (duplicated, constant, undefined, few_samples)
