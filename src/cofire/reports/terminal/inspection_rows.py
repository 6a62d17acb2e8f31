"""A layer's redundancy as the cells of a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from statistics import mean

from ...nets.redundancy import LayerRedundancy
from ...nets.redundancy.layer_redundancy import rank_of
from ...nets.redundancy.parameter_names import weight_of_gate
from ..data.formatting import MISSING, count, number, percent
from ..data.run_view import Layer


@dataclass(frozen=True)
class Row:
    """One layer; every cell but ``view``, ``measured`` and ``judged`` is text, a dash where nothing was measured."""

    name: str
    view: Layer
    measured: bool
    judged: bool
    units: str
    constant: str
    copies: str
    nc: str
    debiased: str
    interval: str
    floor: str
    explained: str
    wc: str
    chance: str
    rank: str
    entropy_rank: str
    width: str


def row_of(layer: LayerRedundancy, view: Layer) -> Row:
    """The row of a layer."""
    weights = layer.weights
    return Row(
        name=view.name,
        view=view,
        measured=layer.activations is not None,
        judged=layer.activations is not None and layer.enough_inputs,
        units=count(layer.n_units),
        constant=count(layer.n_constant),
        copies=count(layer.n_copies),
        nc=number(view.last("nc")),
        debiased=number(view.last("nc_debiased")),
        interval=_interval(view),
        floor=number(view.last("nc_noise_floor")),
        explained=percent(explained(layer)),
        wc=number(weights.mean_abs if weights else nan),
        chance=number(weights.chance_level if weights else nan),
        rank=number(rank_of(layer), 1),
        entropy_rank=_entropy_rank(layer),
        width=width(layer),
    )


def with_gates_together(layers: Sequence[LayerRedundancy], rows: Sequence[Row]) -> list[Row]:
    """The rows with the gates of one recurrent weight in one: zero units and copies in all, the rest as means."""
    found: dict[str, list[tuple[LayerRedundancy, Row]]] = {}
    for layer, row in zip(layers, rows, strict=True):
        found.setdefault(weight_of_gate(layer.layer) or layer.layer, []).append((layer, row))
    return [_together(name, of_it) if len(of_it) > 1 else of_it[0][1] for name, of_it in found.items()]


def _together(name: str, gates: Sequence[tuple[LayerRedundancy, Row]]) -> Row:
    layers = [layer for layer, _ in gates]
    weights = [layer.weights for layer in layers if layer.weights]
    mark = "≈ " if any(one.effective_rank_error > 0 for one in weights) else ""
    return replace(
        gates[0][1],
        name=name,
        constant=count(sum(layer.n_constant for layer in layers)),
        copies=count(sum(layer.n_copies for layer in layers)),
        wc=number(mean(one.mean_abs for one in weights)),
        chance=number(mean(one.chance_level for one in weights)),
        rank=number(mean(map(rank_of, layers)), 1),
        entropy_rank=mark + number(mean(one.effective_rank_entropy for one in weights), 0 if mark else 1),
    )


def _interval(view: Layer) -> str:
    low, high = view.last("nc_low"), view.last("nc_high")
    return f"{number(low, 2)}–{number(high, 2)}" if isfinite(low) and isfinite(high) else MISSING


def explained(layer: LayerRedundancy) -> float:
    """The share of a unit's variance that the others explain: the median over units, at least 0."""
    if layer.activations is None:
        return nan
    return max(0.0, value) if isfinite(value := float(layer.activations.explained.nanmedian())) else nan


def _entropy_rank(layer: LayerRedundancy) -> str:
    if layer.activations:
        return number(layer.activations.effective_rank_entropy, 1)
    if layer.weights is None:
        return MISSING
    estimated = layer.weights.effective_rank_error > 0
    return f"{'≈ ' if estimated else ''}{number(layer.weights.effective_rank_entropy, 0 if estimated else 1)}"


def width(layer: LayerRedundancy) -> str:
    """The recommended width with its interval."""
    if layer.activations is None or not layer.width_is_known:
        return MISSING
    low, high = layer.activations.width.interval
    units = layer.activations.width.units
    return count(units) if low == high == units else f"{count(units)} ({count(low)}–{count(high)})"
