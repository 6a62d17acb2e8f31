"""A layer's redundancy as the cells of a table."""

from dataclasses import dataclass
from math import isfinite, nan

from ..nets.redundancy import LayerRedundancy
from ..nets.redundancy.report import rank_of
from .view import Layer
from .words import MISSING, count, number, percent


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
