"""Findings about single units: those that never change, copies, non-finite values, and layers with few samples."""

from collections.abc import Iterable, Sequence
from math import isfinite

from ...stats._base.definitions import COPY
from ..data.formatting import count, number, percent, plural
from ..data.run_view import Layer
from .finding import Finding, about

FEW_SAMPLES = 200


def constant(layers: Sequence[Layer], *, key: str = "constant") -> list[Finding]:
    """Report units that never changed over the samples, in the words of a run or, by another key, of an inspection."""
    found = [(layer.last("n_constant"), layer.last("n_constant") / layer.last("n_units"), layer) for layer in layers]
    dead = sorted((one for one in found if one[0] > 0), key=lambda one: -one[0])
    total = plural(sum(int(number) for number, _, _ in dead), "unit")
    points = [(layer.name, f"{_of_units(layer, 'n_constant')} ({percent(share)})") for _, share, layer in dead]
    level = "act" if max((share for _, share, _ in dead), default=0) >= 0.1 else "watch"
    return about(key, level, points, total=total)


def _of_units(layer: Layer, quantity: str) -> str:
    return f"{count(layer.last(quantity))} of {plural(int(layer.last('n_units')), 'unit')}"


def duplicated(layers: Sequence[Layer]) -> list[Finding]:
    """Report pairs of units that are linear copies of each other."""
    copied = sorted((layer for layer in layers if layer.duplicates), key=lambda layer: -len(layer.duplicates))
    total = plural(sum(len(layer.duplicates) for layer in copied), "pair")
    share = max((spare(layer.duplicates) / layer.last("n_units") for layer in copied), default=0)
    texts = [f"{plural(len(one.duplicates), 'pair')}, {spare(one.duplicates)} redundant" for one in copied]
    points = zip([layer.name for layer in copied], texts, strict=True)
    return about("duplicate", "act" if share >= 0.05 else "watch", points, total=total, threshold=COPY)


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
    broken = [layer for layer in layers if layer.last("n_nonfinite") > 0]
    since = [f"{_of_units(layer, 'n_nonfinite')}, since step {count(nonfinite_since(layer))}" for layer in broken]
    return about("not finite", "act", zip([layer.name for layer in broken], since, strict=True))


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
    points = []
    for layer in layers:
        if layer.of("nc").steps and not isfinite(layer.last("nc")) and not layer.last("n_nonfinite") > 0:
            units, constant = plural(int(layer.last("n_units")), "unit"), count(layer.last("n_constant"))
            points.append((layer.name, f"{units}, {constant} constant, {plural(layer.n_samples or 0, 'sample')}"))
    return about("undefined", "watch", points)


def few_samples(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers measured on so few samples that the noise floor is high."""
    points = [
        (layer.name, f"{plural(layer.n_samples, 'sample')}, noise floor {number(layer.last('nc_noise_floor'))}")
        for layer in layers
        if layer.n_samples is not None and layer.n_samples < FEW_SAMPLES
    ]
    return about("few samples", "watch", points, few=FEW_SAMPLES)


UNIT_KINDS = (duplicated, constant, undefined, few_samples)
