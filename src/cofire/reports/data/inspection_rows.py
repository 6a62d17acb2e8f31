"""The redundancy of a layer as the cells of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from statistics import mean

from ...nets.redundancy import LayerRedundancy
from ...nets.redundancy.layer_redundancy import rank_of
from ...nets.redundancy.parameter_names import weight_of_gate
from ...stats._base.quantities import QUANTITIES
from .formatting import MISSING, count, number, percent
from .run_view import Layer


@dataclass(frozen=True, slots=True)
class Column:
    """The heading of a column, and what it means."""

    heading: str
    meaning: str = ""


COLUMNS: Mapping[str, Column] = {
    key: Column(QUANTITIES[name].label, f"{QUANTITIES[name].title}. {QUANTITIES[name].meaning}")
    for key, name in {
        "units": "n_units",
        "constant": "n_constant",
        "width": "width",
        "nc_debiased": "nc_debiased",
        "nc": "nc",
        "wc": "wc",
        "rank": "effective_rank",
    }.items()
} | {
    "parameters": Column("Parameters", "Incoming weights and biases of the layer's units."),
    "zero": Column("Dead", "Units whose weights are zero or nearly so, or that a batch norm has switched off."),
    "copies": Column("Copies", "Units that copy one that stays."),
    "interval": Column("Interval", "95 % interval of the debiased neuronal correlation."),
    "explained": Column("Explained", "The share of a unit's variance that other units explain; median over units."),
    "chance": Column("Chance", "Weight correlation of random weights."),
    "entropy_rank": Column("By entropy", "Effective rank by entropy."),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: its cells by the keys of `COLUMNS`, a dash where nothing was measured.

    Attributes:
        name: of the layer.
        view: its numbers, for drawings.
        measured: whether its activations were measured.
        judged: whether they were measured on enough inputs for a verdict.
        cells: text by column.
        notes: sentences on what was assumed.
    """

    name: str
    view: Layer
    measured: bool
    judged: bool
    cells: Mapping[str, str]
    notes: tuple[str, ...] = ()


def row_of(layer: LayerRedundancy, view: Layer) -> Row:
    """Return the row of a layer."""
    weights = layer.weights
    low, high = view.last("nc_low"), view.last("nc_high")
    cells = {
        "units": count(layer.n_units),
        "parameters": count(layer.n_parameters),
        "constant": count(layer.n_constant),
        "zero": count(layer.n_constant),
        "copies": count(layer.n_copies),
        "nc": number(view.last("nc")),
        "nc_debiased": number(view.last("nc_debiased")),
        "interval": f"{number(low, 2)}–{number(high, 2)}" if isfinite(low) and isfinite(high) else MISSING,
        "explained": percent(_explained(layer)),
        "wc": number(weights.mean_abs if weights else nan),
        "chance": number(weights.chance_level if weights else nan),
        "rank": number(rank_of(layer), QUANTITIES["effective_rank"].digits),
        "entropy_rank": _entropy_rank(layer),
        "width": _width(layer),
    }
    measured = layer.activations is not None
    return Row(view.name, view, measured, measured and layer.enough_inputs, cells, layer.notes)


def _explained(layer: LayerRedundancy) -> float:
    """Return the share of a unit's variance that the others explain: the median over units, at least 0."""
    if layer.activations is None:
        return nan
    return max(0.0, value) if isfinite(value := float(layer.activations.explained.nanmedian())) else nan


def _entropy_rank(layer: LayerRedundancy) -> str:
    if layer.activations:
        return number(layer.activations.effective_rank_entropy, 1)
    if layer.weights is None:
        return MISSING
    return _estimated(layer.weights.effective_rank_entropy, layer.weights.effective_rank_error > 0)


def _estimated(rank: float, estimated: bool) -> str:
    return f"≈ {number(rank, 0)}" if estimated else number(rank, 1)


def _width(layer: LayerRedundancy) -> str:
    if layer.activations is None or not layer.width_is_known:
        return MISSING
    low, high = layer.activations.width.interval
    units = layer.activations.width.units
    return count(units) if low == high == units else f"{count(units)} ({count(low)}–{count(high)})"


def numbered_notes(rows: Sequence[Row]) -> dict[str, int]:
    """Return what was assumed of the rows, numbered as the marks beside their names are.

    Example:
        >>> view = Layer("fc", {}, {})
        >>> numbered_notes([Row("a", view, False, False, {}, ("x",)), Row("b", view, False, False, {}, ("y", "x"))])
        {'x': 1, 'y': 2}
    """
    notes = dict.fromkeys(note for row in rows for note in row.notes)
    return {note: number for number, note in enumerate(notes, 1)}


def join_gates(layers: Sequence[LayerRedundancy], rows: Sequence[Row]) -> list[Row]:
    """Return rows in which the gates of one recurrent weight are one row.

    Its units are those of one gate. Numbers of constant units and copies are sums over the gates, all else are means.
    """
    found: dict[str, list[tuple[LayerRedundancy, Row]]] = {}
    for layer, row in zip(layers, rows, strict=True):
        found.setdefault(weight_of_gate(layer.layer) or layer.layer, []).append((layer, row))
    return [_joined(name, gates) if len(gates) > 1 else gates[0][1] for name, gates in found.items()]


def _joined(name: str, gates: Sequence[tuple[LayerRedundancy, Row]]) -> Row:
    layers, first = [layer for layer, _ in gates], gates[0][1]
    weights = [layer.weights for layer in layers if layer.weights]
    constant = count(sum(layer.n_constant for layer in layers))
    joined = {
        "constant": constant,
        "zero": constant,
        "copies": count(sum(layer.n_copies for layer in layers)),
        "wc": number(mean(one.mean_abs for one in weights)),
        "chance": number(mean(one.chance_level for one in weights)),
        "rank": number(mean(map(rank_of, layers)), QUANTITIES["effective_rank"].digits),
        "entropy_rank": _estimated(
            mean(one.effective_rank_entropy for one in weights), any(one.effective_rank_error > 0 for one in weights)
        ),
    }
    return replace(first, name=name, cells={**first.cells, **joined})
