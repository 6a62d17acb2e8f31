"""The course of correlation through training: how each figure draws it, and how growth and decorrelation are judged."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...record import Change, GeometricSteps, Phases, correlation, find_phases
from ..framework.claim_table import Table
from ..framework.experiment import Claim
from ..framework.plots import COLORS, draw, legend, panels
from ..framework.tasks import Task
from ..framework.verdicts import Verdict, all_of, student
from ..training.datasets import Dataset
from ..training.stacked_training import Watch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTITY = "nc_rms"
"""The root of the mean square of ρ over pairs, which is what the author's code plots."""
NEGLIGIBLE = 0.01
"""A change of correlation that is none for practical purposes."""

Kind = Literal["growth", "decorrelation"]


def watched(task: Task, data: Dataset, sites: Sequence[str], *, an_epoch: int) -> Watch:
    """Correlation on test images at geometrically spaced steps, and the scores at the beginning and at the end."""
    return Watch(
        [correlation(sites=list(sites))],
        probe=data.test_x[: task["probe"]],
        every=GeometricSteps(task["factor"]),
        scores_every=[0, task["epochs"] * an_epoch],
    )


def phases(table: Table) -> Phases:
    """The phases of one site under one condition, over its seeds; steps at which a value is undefined are left out.

    Raises:
        MissingRows: if there are no rows.
    """
    curve = table.curve("step", measure=QUANTITY)
    steps = [step for step, seeds in curve.items() if all(map(math.isfinite, seeds.values()))]
    values = np.array([list(curve[step].values()) for step in steps]).T
    return find_phases(values, steps)


def judged(change: Change, n_seeds: int, note: str) -> Verdict:
    """Reproduced if the change is above 0, not reproduced if it is negligible, each with the whole interval."""
    half = student(n_seeds - 1) * change.standard_error
    low, high = change.size - half, change.size + half
    outcome = "reproduced" if low > 0 else "not reproduced" if high < NEGLIGIBLE else "inconclusive"
    return Verdict(outcome, change.size, (low, high), n_seeds, note)


def verdict(table: Table, kind: Kind) -> Verdict:
    """Whether every layer has the phase; the layer that has it least is told."""
    if len(table.need(measure=QUANTITY).values("seed")) < 2:
        return Verdict("inconclusive", note="one seed has no interval")
    return all_of({site: _of_site(part, kind) for site, part in table.where(measure=QUANTITY).groups("site")})


def _of_site(table: Table, kind: Kind) -> Verdict:
    found = phases(table)
    change, span = (
        (found.growth, (found.start, found.peak))
        if kind == "growth"
        else (found.decorrelation, (found.peak, found.end))
    )
    return judged(change, len(table.values("seed")), f"{kind} of √(mean ρ²), step {span[0]} to {span[1]}")


def claims(conditions: Mapping[str, Mapping[str, object]]) -> tuple[Claim, ...]:
    """For each condition, by its name: that correlation grows at first, and that it falls afterwards."""
    return tuple(
        Claim(
            f"{kind}, {name}",
            f"{said}: {name}",
            "abstract and section 1",
            lambda table, kind=kind, wanted=wanted: verdict(table.where(**wanted), kind),
        )
        for name, wanted in conditions.items()
        for kind, said in _SAID.items()
    )


_SAID: dict[Kind, str] = {
    "growth": "The correlation of a hidden layer's activations grows in the initial phase of training",
    "decorrelation": "The growth is followed by decorrelation",
}


def figure(table: Table, conditions: Mapping[str, Mapping[str, object]], columns: int = 2) -> "Figure":
    """A panel a condition, a curve a layer, its peak as a dot where one was found."""
    columns = min(columns, len(conditions))
    drawn, axes = panels(-(-len(conditions) // columns), columns, sharex=True)
    flat = [axis for line in axes for axis in line]
    for axis, (name, wanted) in zip(flat, conditions.items(), strict=False):
        part = table.need(**wanted)
        for color, site in zip(COLORS, part.where(measure=QUANTITY).values("site"), strict=False):
            _draw_site(axis, part.where(site=site), site, color)
        axis.set(xscale="symlog", title=name, xlabel="step", ylabel="√(mean ρ²)")
    for axis in flat[len(conditions) :]:
        axis.remove()
    legend(drawn)
    return drawn


def _draw_site(axis: "Sequence | object", table: Table, site: str, color: str) -> None:
    curve = table.curve("step", measure=QUANTITY)
    draw(axis, curve, site, color=color)  # pyright: ignore[reportArgumentType]
    if len(table.values("seed")) > 1:
        found = phases(table)
        if found.grew and found.decorrelated:
            mean = sum(curve[found.peak].values()) / len(curve[found.peak])
            axis.plot([found.peak], [mean], "o", color=color, markersize=5)  # pyright: ignore
