"""The pairs of units of each layer, packed for a page: maps at every recorded step, and a sample of activations."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from zlib import compress

import numpy as np
import torch
from numpy.typing import NDArray

from ...stats.correlation.maps.cluster_order import cluster_order
from ...stats.information.coefficient import information_coefficient
from ..data.run_view import Layer

FULL = 127
ROWS = 256
MOST_OF_MAPS = 4_600_000
MOST_OF_SAMPLES = 1_900_000
"""Characters, if everything else on the page leaves them."""
WHOLE_PAGE = 7_600_000
"""Characters: the page stays below 8 MB."""
LEAST_SHARE = 0.1
"""Of the maps and samples: what they take even of a page that is full without them."""
LIKELY = 0.9
"""Characters that a cell typically takes, packed, in base64: noise takes up to 1.2, a map of zeros almost none."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detail:
    """How many of the recorded units per layer, and of the recordings, go into the page."""

    units: int
    steps: int

    def chosen_steps(self, steps: Sequence[int]) -> list[int]:
        """Choose the first step, the last one, and steps evenly between.

        Example:
            >>> Detail(64, 3).chosen_steps([0, 1, 2, 4, 8]), Detail(64, 1).chosen_steps([0, 1])
            ([0, 2, 8], [1])
        """
        if len(steps) <= self.steps:
            return list(steps)
        if self.steps == 1:
            return [steps[-1]]
        return [steps[index] for index in np.linspace(0, len(steps) - 1, self.steps).round().astype(int)]


_ALL = 10**9
MAP_DETAILS = tuple(Detail(units, _ALL) for units in (256, 192, 128, 96, 64)) + tuple(
    Detail(units, steps) for units, steps in ((64, 6), (64, 3), (64, 1), (32, 1))
)
SAMPLE_DETAILS = tuple(
    Detail(units, steps) for units, steps in ((128, _ALL), (64, _ALL), (64, 6), (64, 3), (64, 1), (32, 1), (16, 1))
)


@dataclass(frozen=True, slots=True)
class Maps:
    """One quantity of every pair by step, ``packed`` by `pack_pairs`; ``units`` in the order of the map."""

    units: tuple[int, ...]
    packed: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """Activations of some units on a few inputs by step, ``packed`` by `pack_levels`, and their ranges."""

    units: tuple[int, ...]
    packed: Mapping[int, str]
    low: Mapping[int, tuple[float, ...]]
    high: Mapping[int, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of one layer.

    Attributes:
        layer: its name.
        maps: by kind: correlation, information, difference.
        chance: what a pair of independent units stays below in 95 % of cases, on the scale of the information's map,
            by step.
        sample: activations to draw a chosen pair from, if they were recorded.
    """

    layer: str
    maps: Mapping[str, Maps]
    chance: Mapping[int, float] = field(default_factory=dict)
    sample: Sample | None = None


_Packed = TypeVar("_Packed", Maps, Sample)


def pairs_of_layers(layers: Iterable[Layer], *, n_runs: int = 1, beside: int = 0) -> list[Pairs]:
    """Pack the pairs of all layers that recorded any, in as much detail as a page can hold.

    Args:
        layers: of one run.
        n_runs: number of runs on the page.
        beside: number of characters that the page has beside the pairs.
    """
    share = min(1.0, max(LEAST_SHARE, (WHOLE_PAGE - beside) / (MOST_OF_MAPS + MOST_OF_SAMPLES))) / n_runs
    nothing = np.empty(0)
    mapped = [
        layer
        for layer in layers
        if any(layer.arrays.get(name, nothing).size > 1 for name in ("correlation", "dependence"))
    ]
    sampled = [layer for layer in mapped if layer.arrays.get("sample", nothing).size and "sample_range" in layer.arrays]
    maps = _fitting(
        MAP_DETAILS, int(MOST_OF_MAPS * share), lambda detail: _map_cells(mapped, detail), partial(_all_maps, mapped)
    )
    samples = _fitting(
        SAMPLE_DETAILS,
        int(MOST_OF_SAMPLES * share),
        lambda detail: _sample_cells(sampled, detail),
        lambda detail: {layer.name: {"sample": _sample(layer, detail)} for layer in sampled},
    )
    return [
        Pairs(layer.name, maps[layer.name], _chance(layer), samples.get(layer.name, {}).get("sample"))
        for layer in mapped
    ]


def _fitting(
    details: Sequence[Detail],
    most: int,
    cells: Callable[[Detail], int],
    packed: Callable[[Detail], dict[str, dict[str, _Packed]]],
) -> dict[str, dict[str, _Packed]]:
    """Pack in the first detail that takes at most ``most`` characters, or else in the last one."""
    for detail in details[:-1]:
        if LIKELY * cells(detail) <= most:  # packing is slow, so that what is probably too large is not tried
            found = packed(detail)
            if sum(len(text) for of in found.values() for one in of.values() for text in one.packed.values()) <= most:
                return found
    return packed(details[-1])


def _map_cells(layers: Sequence[Layer], detail: Detail) -> int:
    """Count the pairs at all steps; differences are not counted, since they are mostly zeros and pack to nothing."""
    recorded = [
        (len(layer.arrays[name]), len(layer.at_steps(name)))
        for layer in layers
        for name in ("correlation", "dependence")
        if name in layer.arrays
    ]
    return sum(min(units, detail.units) ** 2 // 2 * min(steps, detail.steps) for units, steps in recorded)


def _sample_cells(layers: Sequence[Layer], detail: Detail) -> int:
    recorded = [(layer.arrays["sample"].size, len(layer.at_steps("sample"))) for layer in layers]
    return sum(min(size, ROWS * detail.units) * min(steps, detail.steps) for size, steps in recorded)


def _all_maps(layers: Sequence[Layer], detail: Detail) -> dict[str, dict[str, Maps]]:
    found = {}
    for layer in layers:
        units = _drawn_units(layer, detail)
        maps = {kind: _maps(layer, kind, units, detail) for kind in ("correlation", "information", "difference")}
        found[layer.name] = {kind: drawn for kind, drawn in maps.items() if drawn.packed}
    return found


def _chance(layer: Layer) -> dict[int, float]:
    return {
        step: float(information_coefficient(torch.tensor(float(value[1]))))
        for step, value in layer.at_steps("dependence_chance").items()
        if np.size(value) > 1 and np.isfinite(value[1])
    }


def _drawn_units(layer: Layer, detail: Detail) -> list[int]:
    """Choose the units of a layer's maps, in an order that places units side by side that correlate at the end."""
    name = "correlation" if "correlation" in layer.arrays else "dependence_correlation"
    rho = np.asarray(layer.arrays[name], dtype=np.float64)
    recorded = _units(layer, name, rho)
    kept = np.arange(min(len(rho), detail.units)) * len(rho) // max(min(len(rho), detail.units), 1)
    order = cluster_order(rho[np.ix_(kept, kept)])
    return [int(recorded[kept[place]]) for place in order]


def _units(layer: Layer, name: str, matrix: Matrix, step: int | None = None) -> NDArray[np.int64]:
    """Return the units that a matrix was recorded for, at a step or at the last recording."""
    of_steps = layer.at_steps(UNITS[name])
    known = of_steps.get(step) if step is not None else layer.arrays.get(UNITS[name])
    if known is None:
        known = layer.arrays.get(UNITS[name], np.arange(len(matrix)))
    known = np.asarray(known, dtype=np.int64).reshape(-1)
    return known if len(known) == len(matrix) else np.arange(len(matrix))


UNITS = {
    "correlation": "correlation_units",
    "dependence": "dependence_units",
    "dependence_correlation": "dependence_units",
    "dependence_difference": "dependence_units",
}


def _of_information(nats: Matrix) -> Matrix:
    """Return the |ρ| that normal pairs would need for their information; only infinite information becomes 1."""
    coefficient = information_coefficient(torch.from_numpy(nats)).numpy()
    return np.where(np.isfinite(nats), np.minimum(coefficient, np.sin(np.pi / 2 * (1 - 1 / FULL))), coefficient)


def _maps(layer: Layer, kind: str, units: Sequence[int], detail: Detail) -> Maps:
    """Pack the maps of one kind at the chosen steps, with the units that it was recorded for."""
    name = {"information": "dependence", "difference": "dependence_difference"}.get(kind, kind)
    if kind == "correlation" and name not in layer.arrays:
        name = "dependence_correlation"
    of_steps = layer.at_steps(name)
    if not of_steps:
        return Maps((), {})
    last = np.asarray(of_steps[max(of_steps)], dtype=np.float64)
    there = set(_units(layer, name, last).tolist())
    shown = [unit for unit in units if unit in there]
    packed = {}
    for step in detail.chosen_steps(sorted(of_steps)):
        matrix = np.asarray(of_steps[step], dtype=np.float64)
        placed = _placed(matrix, _units(layer, name, matrix, step), shown)
        packed[step] = pack_pairs(_of_information(placed) if kind == "information" else placed)
    return Maps(tuple(shown), packed)


def _placed(matrix: Matrix, recorded: NDArray[np.int64], wanted: Sequence[int]) -> Matrix:
    """Return the matrix of the wanted units in their order, NaN for units that were not recorded."""
    place = {int(unit): index for index, unit in enumerate(recorded)}
    rows = np.array([place.get(unit, -1) for unit in wanted], dtype=np.int64)
    found = matrix[np.ix_(rows, rows)]
    found[rows < 0, :] = found[:, rows < 0] = np.nan
    return found


def pack_pairs(values: Matrix) -> str:
    """Pack the upper triangle without the diagonal: row by row, one byte a pair, deflated, in base64.

    A value v in [−1, 1] becomes 128 + 127 · arcsin(v) / (π/2). That is finest near ±1, where copies must be
    distinguished, and within 0.006 everywhere. An undefined value becomes 0.
    """
    upper = values[np.triu_indices(len(values), 1)]
    level = np.rint(np.arcsin(np.clip(np.nan_to_num(upper), -1, 1)) / (np.pi / 2) * FULL) + 128
    return _packed(np.where(np.isnan(upper), 0, level))


def pack_levels(values: Matrix) -> str:
    """Pack values in [0, 1], (rows, units): unit by unit, one byte from 1 to 255 each, 0 if undefined, in base64."""
    level = 1 + np.rint(np.clip(np.nan_to_num(values), 0, 1) * 254)
    return _packed(np.where(np.isfinite(values), level, 0).T)


def _packed(levels: NDArray[np.float64]) -> str:
    return b64encode(compress(np.ascontiguousarray(levels, dtype=np.uint8).tobytes(), 6)).decode("ascii")


def _sample(layer: Layer, detail: Detail) -> Sample:
    of_steps, ranges = layer.at_steps("sample"), layer.at_steps("sample_range")
    steps = detail.chosen_steps(sorted(of_steps.keys() & ranges.keys()))
    last = np.asarray(layer.arrays["sample"])
    kept = np.arange(min(last.shape[1], detail.units)) * last.shape[1] // max(min(last.shape[1], detail.units), 1)
    units = np.asarray(layer.arrays.get("sample_units", np.arange(last.shape[1]))).reshape(-1)[kept]
    taken = {step: np.asarray(of_steps[step], np.float64)[:ROWS, kept] for step in steps}
    ends = {step: np.asarray(ranges[step], np.float64)[:, kept] for step in steps}
    return Sample(
        tuple(int(unit) for unit in units),
        {step: pack_levels(values) for step, values in taken.items()},
        {step: tuple(low.tolist()) for step, (low, _) in ends.items()},
        {step: tuple(high.tolist()) for step, (_, high) in ends.items()},
    )
