"""A run as a report needs it: the series of every layer, and what its last recording says."""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...record.runs.rows import Row
from ...record.runs.run_directory import Run

BEFORE_ACTIVATION = ":pre"
SHOWN_ARRAYS = (
    "histogram",
    "correlation",
    "correlation_units",
    "constant_units",
    "duplicates",
    "dependence",
    "dependence_correlation",
    "dependence_difference",
    "dependence_units",
    "dependence_chance",
    "sample",
    "sample_range",
    "sample_units",
)

History = Mapping[str, Mapping[int, NDArray[Any]]]
"""Arrays by name and by step, steps ascending."""


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity over training: ``steps`` ascending, a value at each (NaN where undefined)."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    n_samples: int | None = None

    @property
    def last(self) -> float:
        """The value at the last step; NaN where nothing was recorded."""
        return self.values[-1] if self.values else nan

    @property
    def lowest(self) -> float:
        """The smallest finite value; NaN where there is none."""
        return min((value for value in self.values if isfinite(value)), default=nan)

    @property
    def highest(self) -> float:
        """The largest finite value; NaN where there is none."""
        return max((value for value in self.values if isfinite(value)), default=nan)

    @property
    def defined(self) -> bool:
        """Whether there is any finite value."""
        return any(isfinite(value) for value in self.values)


@dataclass(frozen=True)
class Layer:
    """A site of the network: its series by measure, its last recorded arrays, and those of all steps."""

    name: str
    series: Mapping[str, Series] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    history: History = field(default_factory=dict)

    def at_steps(self, array: str) -> Mapping[int, NDArray[Any]]:
        """An array at each step it was recorded at; the last one alone where no history is known."""
        if array in self.history:
            return self.history[array]
        return {self.last_recording: self.arrays[array]} if array in self.arrays else {}

    @property
    def last_recording(self) -> int:
        """The last step at which the layer has a number; 0 without one."""
        return max((series.steps[-1] for series in self.series.values() if series.steps), default=0)

    def of(self, measure: str) -> Series:
        """The series of a measure, empty where it was not recorded."""
        return self.series.get(measure, Series())

    def last(self, measure: str) -> float:
        """The last value of a measure, NaN where it was not recorded."""
        return self.of(measure).last

    @property
    def before_activation(self) -> bool:
        """Whether the site is the layer's output before its activation function."""
        return self.name.endswith(BEFORE_ACTIVATION)

    @property
    def n_samples(self) -> int | None:
        """The number of samples behind the last activations measured."""
        return self.of("nc").n_samples or self.of("nc_debiased").n_samples

    @property
    def constant_units(self) -> list[int]:
        """The units that never changed, ascending."""
        return sorted(int(unit) for unit in self.arrays.get("constant_units", np.empty(0)).reshape(-1))

    @property
    def duplicates(self) -> list[tuple[int, int, float]]:
        """Pairs of units that copy each other and their correlation, the strongest first."""
        pairs = self.arrays.get("duplicates", np.empty(0)).reshape(-1, 3)
        found = [(int(first), int(second), float(rho)) for first, second, rho in pairs]
        return sorted(found, key=lambda pair: (-abs(pair[2]), pair[:2]))


@dataclass(frozen=True)
class View:
    """Everything that a report says about one run."""

    name: str
    layers: tuple[Layer, ...] = ()
    training: Mapping[str, Series] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measured(self) -> tuple[Layer, ...]:
        """The layers that the table shows: after the activation where that was measured, else before it."""
        after = {layer.name for layer in self.layers if layer.of("nc").steps}
        return tuple(
            layer for layer in self.layers if layer.name.removesuffix(BEFORE_ACTIVATION) not in after - {layer.name}
        )

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """Of the layers whose correlation is known those before the output; nobody can narrow the output."""
        known = tuple(layer for layer in self.measured if layer.of("nc").defined)
        return tuple(layer for layer in known if layer.name != self.output) or known

    @property
    def output(self) -> str | None:
        """The layer that the network ends with, if that is known."""
        layers = (self.made.get("model") or {}).get("layers") or ()
        return next((name for name in reversed(list(layers)) if name not in self.left_out), None)

    @property
    def last_step(self) -> int | None:
        """The last step at which anything was recorded."""
        every = [
            *self.training.values(),
            *(series for layer in self.layers for series in layer.series.values()),
        ]
        return max((series.steps[-1] for series in every if series.steps), default=None)


def read(run: Run, *, history: bool = True) -> View:
    """What a run directory holds.

    Args:
        run: the run.
        history: read the arrays of all steps, as a page needs; else those of the last, in less time.

    Raises:
        ValueError: if the directory is damaged, or was written by a version that this one cannot read.
    """
    try:
        return _read(run, history)
    except (sqlite3.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{run.directory} is damaged, or was written by another version of cofire: {error}") from error


def _read(run: Run, history: bool) -> View:
    facts, series, arrays = run.facts, group(run.rows()), _arrays(run, history)
    sites = _in_depth_order([site for site in series if site], facts)
    return View(
        run.name,
        tuple(Layer(site, series[site], _latest(arrays.get(site, {})), arrays.get(site, {})) for site in sites),
        series.get("", {}),
        dict(facts.get("left_out") or {}),
        {name: value for name, value in facts.items() if name != "left_out"},
    )


def _arrays(run: Run, history: bool) -> dict[str, dict[str, dict[int, NDArray[Any]]]]:
    """The arrays that a report shows, by site, name and step."""
    found: dict[str, dict[str, dict[int, NDArray[Any]]]] = {}
    recorded = sorted(run.arrays())
    last = {(site, name): step for step, site, name in recorded}
    for step, site, name in recorded:
        if name in SHOWN_ARRAYS and (history or step == last[site, name]):
            found.setdefault(site, {}).setdefault(name, {})[step] = run.array(site, name, step=step)
    return found


def _latest(history: History) -> dict[str, NDArray[Any]]:
    return {name: of_steps[max(of_steps)] for name, of_steps in history.items()}


def _in_depth_order(sites: Sequence[str], facts: Mapping[str, Any]) -> list[str]:
    """Sites in the order of the model's layers; unknown ones after them, numbers in names counting."""
    layers = (facts.get("model") or {}).get("layers") or ()
    depth = {str(name): index for index, name in enumerate(layers)}

    def place(site: str) -> tuple[int, list[tuple[int, str]]]:
        return _depth(site.removesuffix(BEFORE_ACTIVATION), depth), _natural(site)

    return sorted(sites, key=place)


def _depth(site: str, depth: Mapping[str, int]) -> int:
    """The depth of the layer that a site is of: ``rnn`` for ``rnn.ih_l0.n`` and ``fc`` for ``fc#1``."""
    while site not in depth:
        shorter = re.sub(r"[.#][^.#]*$", "", site)
        if shorter == site:
            return len(depth)
        site = shorter
    return depth[site]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def group(rows: Iterable[Row]) -> dict[str, dict[str, Series]]:
    """Rows as series, by site and then by measure.

    A measure that was recorded with several parameter sets or in both modes at one site is shown with the first.
    """
    found: dict[str, dict[str, dict[int, Row]]] = {}
    shown: dict[tuple[str, str], tuple[str, str]] = {}
    for row in rows:
        kind = row.parameters, row.mode
        if shown.setdefault((row.site, row.measure), kind) == kind:
            found.setdefault(row.site, {}).setdefault(row.measure, {})[row.step] = row
    return {
        site: {measure: _series(by_step) for measure, by_step in measures.items()} for site, measures in found.items()
    }


def _series(by_step: Mapping[int, Row]) -> Series:
    steps = sorted(by_step)
    return Series(tuple(steps), tuple(float(by_step[step].value) for step in steps), by_step[steps[-1]].n_samples)


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a nested configuration as ``a.b.c`` and text.

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
