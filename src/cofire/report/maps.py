"""Maps of all pairs of a layer's units: correlation, and beside it dependence and where the two disagree."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..stats.coefficient import information_coefficient
from .pairs import Pair, pairs_of
from .view import Layer
from .words import count, number, plural

UNDEFINED = -32768
SCALE = 10_000

Kind = Literal["correlation", "dependence", "difference"]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A value for each pair of a layer's units, which are ordered by likeness.

    ``units`` are the layer's unit numbers in the order drawn. ``packed`` holds the upper triangle, row by row without
    the diagonal, as little-endian int16 of the value·10⁴ (−32768 where undefined), in base64. The values are ρ, the
    information as the coefficient a normal pair would have, or how far the latter is above abs(ρ).
    """

    layer: str
    kind: Kind
    units: tuple[int, ...]
    packed: str
    note: str
    told: str

    @property
    def alternative(self) -> str:
        """The map in words."""
        return f"{self.layer}: {_SHOWN[self.kind]} of every pair among {count(len(self.units))} units. {self.told}."


_SHOWN = {"correlation": "|ρ|", "dependence": "dependence", "difference": "dependence less |ρ|"}


def heat_maps(layers: Iterable[Layer]) -> list[HeatMap]:
    """A map of |ρ| for each layer whose correlations were recorded."""
    return [_heat_map(layer) for layer in layers if layer.arrays.get("correlation", np.empty(0)).size > 1]


def comparisons(layers: Iterable[Layer]) -> list[tuple[HeatMap, HeatMap, HeatMap]]:
    """For each layer whose dependence was recorded: |ρ|, dependence and their difference, in one order of units."""
    return [_comparison(layer) for layer in layers if layer.arrays.get("dependence", np.empty(0)).size > 1]


def _heat_map(layer: Layer) -> HeatMap:
    correlation = np.asarray(layer.arrays["correlation"], dtype=np.float64)
    order, units = _ordered(layer, correlation, "correlation_units")
    return _of_correlation(layer, correlation[np.ix_(order, order)], units)


def _of_correlation(layer: Layer, rho: NDArray[np.float64], units: tuple[int, ...]) -> HeatMap:
    strongest = _strongest(rho, units)
    told = "No pair has a correlation"
    if strongest is not None:
        told = f"Strongest: {strongest[0]} and {strongest[1]}, ρ {number(strongest[2])}"
    return HeatMap(layer.name, "correlation", units, pack(rho), _note(layer, rho), told)


def _comparison(layer: Layer) -> tuple[HeatMap, HeatMap, HeatMap]:
    rho, information, difference = (
        np.asarray(layer.arrays[name], dtype=np.float64)
        for name in ("dependence_correlation", "dependence", "dependence_difference")
    )
    order, units = _ordered(layer, rho, "dependence_units")
    rho, information, difference = (matrix[np.ix_(order, order)] for matrix in (rho, information, difference))
    found = pairs_of(layer)
    return (
        _of_correlation(layer, rho, units),
        HeatMap(layer.name, "dependence", units, pack(_coefficient(information)), _chance(layer), _most(found)),
        HeatMap(layer.name, "difference", units, pack(difference), _judged(difference), _disagreements(found)),
    )


def _ordered(layer: Layer, rho: NDArray[np.float64], numbers: str) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    recorded = np.asarray(layer.arrays.get(numbers, np.arange(len(rho)))).reshape(-1)
    order = cluster_order(rho)
    return order, tuple(int(unit) for unit in recorded[order])


def _coefficient(information: NDArray[np.float64]) -> NDArray[np.float64]:
    """Only infinite information packs as exactly 1."""
    coefficient = information_coefficient(torch.from_numpy(information)).numpy()
    return np.where(np.isfinite(information), np.minimum(coefficient, 1 - 1 / SCALE), coefficient)


def _chance(layer: Layer) -> str:
    """What noise alone would draw, in the map's own unit."""
    chance = np.asarray(layer.arrays.get("dependence_chance", np.empty(0)), dtype=np.float64).reshape(-1)
    if len(chance) < 2 or not np.isfinite(chance[1]):
        return "As the |ρ| of normal pairs with as much information."
    one = number(float(information_coefficient(torch.tensor(chance[1]))), 2)
    return f"As the |ρ| of normal pairs with as much information; chance alone shows up to {one}."


def _most(found: Sequence[Pair]) -> str:
    if not found:
        return "No pair has a dependence"
    return f"Strongest: {max(found, key=lambda pair: pair.information).sentence}"


def _judged(difference: NDArray[np.float64]) -> str:
    blank = len(difference) - len(_defined(difference))
    told = "Where it is beyond chance and at least 0.1."
    return (
        f"{told} Not judged: {plural(blank, 'unit')} that hardly {'varies' if blank == 1 else 'vary'}."
        if blank
        else told
    )


def _disagreements(found: Sequence[Pair]) -> str:
    apart = [pair for pair in found if pair.difference]
    if not apart:
        return "No pair disagrees beyond chance"
    return f"Largest: {max(apart, key=lambda pair: abs(pair.difference)).sentence}"


def _note(layer: Layer, rho: NDArray[np.float64]) -> str:
    """How many of the units are shown, and how many of those have no correlation."""
    shown, blank = len(rho), len(rho) - len(_defined(rho))
    n_units = shown if isnan(layer.last("n_units")) else int(layer.last("n_units"))
    told = "Every unit is shown" if shown >= n_units else f"{shown} of {count(n_units)} units are shown"
    return f"{told}, {plural(blank, 'blank one')} at the end without a correlation." if blank else f"{told}."


def _defined(matrix: NDArray[np.float64]) -> NDArray[np.intp]:
    """The units that have a value with some other unit."""
    others = np.isfinite(matrix) & ~np.eye(len(matrix), dtype=bool)
    return np.flatnonzero(others.any(axis=1))


def _strongest(rho: NDArray[np.float64], units: Sequence[int]) -> tuple[int, int, float] | None:
    upper = np.nan_to_num(np.abs(np.triu(rho, 1)))
    if not upper.any():
        return None
    row, column = divmod(int(upper.argmax()), len(upper))
    first, second = sorted((units[row], units[column]))
    return first, second, float(rho[row, column])


def cluster_order(correlation: NDArray[np.float64]) -> NDArray[np.intp]:
    """Units so ordered that like stands beside like: average linkage on 1 − |ρ|, undefined units last."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    alive = _defined(correlation)
    dead = np.setdiff1d(np.arange(len(correlation)), alive)
    if len(alive) < 3:
        return np.concatenate([alive, dead])
    likeness = np.nan_to_num(np.abs(correlation[np.ix_(alive, alive)]))
    distance = np.clip(1 - (likeness + likeness.T) / 2, 0, 1)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return np.concatenate([alive[leaves_list(tree)], dead])


def pack(values: NDArray[np.float64]) -> str:
    """The upper triangle without the diagonal as `HeatMap.packed`."""
    upper = values[np.triu_indices(len(values), 1)]
    scaled = np.where(np.isfinite(upper), np.clip(np.nan_to_num(upper), -1, 1) * SCALE, UNDEFINED)
    return b64encode(np.rint(scaled).astype("<i2").tobytes()).decode("ascii")
