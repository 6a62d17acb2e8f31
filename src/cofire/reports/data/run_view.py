"""A run as a report needs it: the series of every layer, and the arrays of its recordings."""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import copysign, inf, isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nets.layers.outputs import is_output_layer
from ...record.runs.rows import Row
from ...record.runs.run_directory import Run
from ...stats._base.notebook import html_table
from ...stats._base.quantities import QUANTITIES, SUMMARY
from ...stats.correlation.maps.map_images import html_maps
from .formatting import count, number
from .shown_arrays import FORMS, LARGEST, check_arrays

MOST_MAPS = 6
BEFORE_ACTIVATION = ":pre"

DRAWN = (1e-300, 1e300)
"""Magnitudes that axes can have: beyond them, powers of ten and differences are 0 or infinite."""
LEAST_UNITS = {"n_units": 1, "n_units_seen": 1, "n_constant": 0, "n_nonfinite": 0}

History = Mapping[str, Mapping[int, NDArray[Any]]]
"""Arrays by name and step, steps ascending."""


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity over training: ``steps`` ascending, and a value at each (NaN where undefined)."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    n_samples: int | None = None

    @property
    def last(self) -> float:
        """Return the value at the last step; NaN if nothing was recorded."""
        return self.values[-1] if self.values else nan

    @property
    def lowest(self) -> float:
        """Return the smallest finite value, or NaN."""
        return min((value for value in self.values if isfinite(value)), default=nan)

    @property
    def highest(self) -> float:
        """Return the largest finite value, or NaN."""
        return max((value for value in self.values if isfinite(value)), default=nan)

    @property
    def defined(self) -> bool:
        """Return whether any value is finite."""
        return any(isfinite(value) for value in self.values)

    @property
    def known(self) -> list[tuple[int, float]]:
        """Return the steps that have a finite value, with their values."""
        return [point for point in zip(self.steps, self.values, strict=True) if isfinite(point[1])]


@dataclass(frozen=True)
class Layer:
    """A site of the network.

    Attributes:
        name: as recorded; the site before an activation function ends with ``:pre``.
        series: by quantity.
        arrays: those of the last recording, by name.
        history: those of all recordings.
    """

    name: str
    series: Mapping[str, Series] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    history: History = field(default_factory=dict)

    def at_steps(self, array: str) -> Mapping[int, NDArray[Any]]:
        """Return an array at each step that has it; only the last one if no history was read."""
        if array in self.history:
            return self.history[array]
        last = max((series.steps[-1] for series in self.series.values() if series.steps), default=0)
        return {last: self.arrays[array]} if array in self.arrays else {}

    def of(self, quantity: str) -> Series:
        """Return the series of a quantity, empty if it was not recorded."""
        return self.series.get(quantity, Series())

    def last(self, quantity: str) -> float:
        """Return the last value of a quantity, NaN if it was not recorded."""
        return self.of(quantity).last

    @property
    def before_activation(self) -> bool:
        """Return whether the site is the layer's output before its activation function."""
        return self.name.endswith(BEFORE_ACTIVATION)

    @property
    def n_samples(self) -> int | None:
        """Return the number of samples behind the last correlation."""
        return self.of("nc").n_samples or self.of("nc_debiased").n_samples

    @property
    def constant_units(self) -> list[int]:
        """Return the units that never changed, ascending."""
        return sorted(int(unit) for unit in self.arrays.get("constant_units", np.empty(0)).reshape(-1))

    @property
    def duplicates(self) -> list[tuple[int, int, float]]:
        """Return the pairs of copies with their correlation, the strongest first."""
        pairs = self.arrays.get("duplicates", np.empty(0)).reshape(-1, 3)
        found = [(int(first), int(second), float(rho)) for first, second, rho in pairs]
        return sorted(found, key=lambda pair: (-abs(pair[2]), pair[:2]))


@dataclass(frozen=True)
class View:
    """Everything that a report shows of one run.

    Attributes:
        name: of the run.
        layers: its sites, in the model's order.
        training: series that belong to no layer, such as the loss, by name.
        left_out: layers that were not measured, with the reasons.
        assumed: layers whose units were taken from the module's type, with the reasons.
        outputs: layers whose units are the network's outputs, as far as the run says.
        made: how the run was made, as nested names and values.
    """

    name: str
    layers: tuple[Layer, ...] = ()
    training: Mapping[str, Series] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    assumed: Mapping[str, str] = field(default_factory=dict)
    outputs: frozenset[str] = frozenset()
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measured(self) -> tuple[Layer, ...]:
        """Return the layers that the table shows: after the activation if that was measured, or else before it."""
        after = {layer.name for layer in self.layers if layer.of("nc").steps}
        return tuple(
            layer for layer in self.layers if layer.name.removesuffix(BEFORE_ACTIVATION) not in after - {layer.name}
        )

    def _repr_html_(self) -> str:
        columns = {"layer": [layer.name for layer in self.measured]}
        shown = [QUANTITIES[name] for name in SUMMARY if any(layer.of(name).steps for layer in self.measured)]
        for one in shown:
            values = [layer.last(one.name) for layer in self.measured]
            columns[one.label] = [number(value, one.digits) if one.digits else count(value) for value in values]
        meanings = {one.label: one.meaning for one in shown}
        rows = zip(*columns.values(), strict=True)
        title = f"{self.name}, step {count(self.last_step)}"
        maps = [(layer.name, layer.arrays["correlation"]) for layer in self.measured if "correlation" in layer.arrays]
        return html_table(list(columns), rows, caption=title, meanings=meanings) + html_maps(maps[:MOST_MAPS])

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """Return the layers with a known correlation, without output layers, whose width the task fixes."""
        known = tuple(layer for layer in self.measured if layer.of("nc").defined)
        return tuple(layer for layer in known if _without_call(layer.name) not in self.outputs) or known

    @property
    def last_step(self) -> int | None:
        """Return the last step that has a recording."""
        every = [*self.training.values(), *(series for layer in self.layers for series in layer.series.values())]
        return max((series.steps[-1] for series in every if series.steps), default=None)


def read(run: Run, *, history: bool = True) -> View:
    """Read a run directory.

    Args:
        run: the run.
        history: whether to read the arrays of all recordings, as a page needs; those of the last alone are faster.

    Returns:
        What a report shows of the run.

    Raises:
        ValueError: if the directory is damaged or was written by an incompatible version.
    """
    try:
        facts, series, arrays = run.facts, group(run.rows()), _arrays(run, history)
        sites = _in_depth_order([site for site in series if site], facts)
        layers = [(site, series[site], arrays.get(site, {})) for site in sites]
        return View(
            run.name,
            tuple(Layer(site, of, {name: at[max(at)] for name, at in kept.items()}, kept) for site, of, kept in layers),
            series.get("", {}),
            dict(facts.get("left_out") or {}),
            {
                name: why
                for name, why in (facts.get("assumed") or {}).items()
                if any(_belongs(site, name) for site in sites)
            },
            _outputs(facts),
            {name: value for name, value in facts.items() if name not in ("left_out", "assumed", "outputs")},
        )
    except (sqlite3.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{run.directory} is damaged or was written by another version of cofire: {error}") from error


def _outputs(facts: Mapping[str, Any]) -> frozenset[str]:
    """Return the output layers; of a run that does not say which, the last one that has units."""
    if "outputs" in facts:
        return frozenset(map(str, facts["outputs"]))
    layers = (facts.get("model") or {}).get("layers") or ()
    measured = [name for name in layers if name not in (facts.get("left_out") or {})]
    return frozenset(name for name in measured if is_output_layer(name, measured))


def _without_call(site: str) -> str:
    return site.removesuffix(BEFORE_ACTIVATION).partition("#")[0]


def _belongs(site: str, layer: str) -> bool:
    """Return whether a site is a layer or, as a gate of a recurrent one, a part of it."""
    return f"{_without_call(site)}.".startswith(f"{layer}.")


def _arrays(run: Run, history: bool) -> dict[str, dict[str, dict[int, NDArray[Any]]]]:
    """Read the arrays that a report shows, by site, name and step."""
    found: dict[str, dict[str, dict[int, NDArray[Any]]]] = {}
    recorded = sorted(run.arrays())
    last = {(site, name): step for step, site, name in recorded}
    for step, site, name in recorded:
        if name in FORMS and (history or step == last[site, name]):
            found.setdefault(site, {}).setdefault(name, {})[step] = run.array(site, name, step=step)
    for site, arrays in found.items():
        check_arrays(site, arrays)
    return found


def _in_depth_order(sites: Sequence[str], facts: Mapping[str, Any]) -> list[str]:
    """Sort sites in the order of the model's layers; unknown ones follow, with ``fc9`` before ``fc10``."""
    layers = (facts.get("model") or {}).get("layers") or ()
    depth = {str(name): index for index, name in enumerate(layers)}

    def place(site: str) -> tuple[int, list[tuple[int, str]]]:
        parts = re.split(r"(\d+)", site)
        return _depth(site, depth), [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]

    return sorted(sites, key=place)


def _depth(site: str, depth: Mapping[str, int]) -> int:
    """Return the depth of the layer that a site belongs to: of ``rnn`` for ``rnn.ih_l0.n``, of ``fc`` for ``fc#1``."""
    site = site.removesuffix(BEFORE_ACTIVATION)
    while site not in depth:
        shorter = re.sub(r"[.#][^.#]*$", "", site)
        if shorter == site:
            return len(depth)
        site = shorter
    return depth[site]


def group(rows: Iterable[Row]) -> dict[str, dict[str, Series]]:
    """Group rows into series by site and quantity.

    If one quantity was recorded with several sets of parameters, or in both modes, at a site, the first is shown.
    """
    found: dict[str, dict[str, dict[int, Row]]] = {}
    shown: dict[tuple[str, str], tuple[str, str]] = {}
    for row in rows:
        kind = row.parameters, row.mode
        if shown.setdefault((row.site, row.measure), kind) == kind:
            found.setdefault(row.site, {}).setdefault(row.measure, {})[row.step] = row
    return {
        site: {measure: _series(measure, by_step) for measure, by_step in measures.items()}
        for site, measures in found.items()
    }


def _series(measure: str, by_step: Mapping[int, Row]) -> Series:
    steps = sorted(by_step)
    values = tuple(_known(measure, float(by_step[step].value)) for step in steps)
    return Series(tuple(steps), values, by_step[steps[-1]].n_samples)


def _known(measure: str, value: float) -> float:
    """Return a value as it can be drawn: NaN for a number of units that no layer has, extremes as 0 or infinity."""
    least = LEAST_UNITS.get(measure)
    if least is not None and not least <= value < LARGEST:
        return nan
    if abs(value) < DRAWN[0]:
        return 0.0
    return copysign(inf, value) if abs(value) > DRAWN[1] else value


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of a nested configuration as ``a.b.c`` and text.

    Example:
        >>> list(flatten({"model": {"widths": [8, 4]}, "seed": 0}))
        [('model.widths', '8, 4'), ('seed', '0')]
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        yield path, ", ".join(str(item) for item in value)
    else:
        yield path, "–" if value is None else str(value)
