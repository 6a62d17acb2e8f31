"""What single units say, in sentences: those that never changed, copies, and what too few samples hide."""

from collections.abc import Iterable, Sequence
from math import isfinite

from ..data.formatting import count, number, percent, plural
from ..data.run_view import Layer
from .finding import Finding, names, points

FEW_SAMPLES = 200


def constant(layers: Sequence[Layer]) -> list[Finding]:
    """Units that never changed over the samples."""
    dead = sorted(
        (layer for layer in layers if layer.last("n_constant") > 0),
        key=lambda layer: -layer.last("n_constant"),
    )
    if not dead:
        return []
    shares = {layer.name: layer.last("n_constant") / layer.last("n_units") for layer in dead}
    total = sum(int(layer.last("n_constant")) for layer in dead)
    return [
        Finding(
            "constant",
            "act" if max(shares.values()) >= 0.1 else "watch",
            f"{plural(total, 'unit')} never changed",
            points(
                dead,
                lambda layer: (
                    f"{count(layer.last('n_constant'))} of {plural(int(layer.last('n_units')), 'unit')}"
                    f" ({percent(shares[layer.name])})"
                ),
            ),
            "Their pairs have no correlation and are left out of every mean.",
            "A unit that is constant on these samples passes nothing on; often it is a ReLU that never "
            "fires. Try a lower learning rate or a leaky activation, or fold constants into the next bias.",
        )
    ]


def duplicated(layers: Sequence[Layer]) -> list[Finding]:
    """Pairs of units that are linear copies of one another."""
    copied = sorted((layer for layer in layers if layer.duplicates), key=lambda layer: -len(layer.duplicates))
    if not copied:
        return []
    total = sum(len(layer.duplicates) for layer in copied)
    share = max(spare(layer.duplicates) / layer.last("n_units") for layer in copied)
    return [
        Finding(
            "duplicate",
            "act" if share >= 0.05 else "watch",
            f"{plural(total, 'pair')} of units {'copies' if total == 1 else 'copy'} each other",
            points(
                copied,
                lambda layer: f"{plural(len(layer.duplicates), 'pair')}, {spare(layer.duplicates)} could go",
            ),
            "Copies have |ρ| ≥ 0.99.",
            "Units that are linear copies can be merged: add the outgoing weights of one, scaled, to the "
            "other's. Check the loss afterwards, since |ρ| is measured on a sample.",
        )
    ]


def spare(pairs: Iterable[tuple[int, int, float]]) -> int:
    """How many units would go if each group of copies kept one of them.

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
    """NaN or infinity in activations, at the last recording."""
    broken = [layer for layer in layers if layer.last("n_nonfinite") > 0]
    if not broken:
        return []
    return [
        Finding(
            "not finite",
            "act",
            f"NaN or infinity was met in {names(broken)}",
            points(
                broken,
                lambda layer: (
                    f"{count(layer.last('n_nonfinite'))} of {plural(int(layer.last('n_units')), 'unit')}, "
                    f"since step {count(broken_since(layer))}"
                ),
            ),
            "Such units are left out of every mean.",
            "Training has probably diverged: go back to an earlier checkpoint, with a lower learning rate.",
        )
    ]


def broken_since(layer: Layer) -> int:
    """The step of the first of the last recordings in a row in which a unit was not finite."""
    series = layer.of("n_nonfinite")
    since = series.steps[-1]
    for step, broken in zip(reversed(series.steps), reversed(series.values), strict=True):
        if not broken > 0:
            break
        since = step
    return since


def undefined(layers: Sequence[Layer]) -> list[Finding]:
    """Layers where activations were measured and no pair of units has a correlation."""
    empty = [
        layer
        for layer in layers
        if layer.of("nc").steps and not isfinite(layer.last("nc")) and not layer.last("n_nonfinite") > 0
    ]
    if not empty:
        return []
    return [
        Finding(
            "undefined",
            "watch",
            f"No correlation is defined in {names(empty)}",
            points(
                empty,
                lambda layer: (
                    f"{plural(int(layer.last('n_units')), 'unit')}, {count(layer.last('n_constant'))} constant, "
                    f"{plural(layer.n_samples or 0, 'sample')}"
                ),
            ),
            "",
            "A correlation needs two units that vary over at least two samples, with finite values.",
        )
    ]


def few_samples(layers: Sequence[Layer]) -> list[Finding]:
    """Layers measured on so few samples that the noise floor hides much."""
    thin = [layer for layer in layers if layer.n_samples is not None and layer.n_samples < FEW_SAMPLES]
    if not thin:
        return []
    return [
        Finding(
            "few samples",
            "watch",
            f"Few samples stand behind {names(thin)}",
            points(
                thin,
                lambda layer: f"{plural(layer.n_samples or 0, 'sample')}, floor {number(layer.last('nc_noise_floor'))}",
            ),
            "",
            "Independent units would show a mean |ρ| as high as the floor. Use more samples.",
        )
    ]


UNIT_KINDS = (duplicated, constant, undefined, few_samples)
