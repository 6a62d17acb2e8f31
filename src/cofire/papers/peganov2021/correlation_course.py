"""The course of correlation through training: recording, figures, and claims of growth and decorrelation."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from torch import nn

from ...record import Change, GeometricSteps, Phases, Row, correlation, find_phases
from ..framework.claim_table import Table
from ..framework.experiment import Claim
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.tasks import Task
from ..framework.verdicts import Verdict, all_of, student
from ..training.datasets import Dataset
from ..training.loop import Settings
from ..training.stacked_training import Watch, fit

QUANTITY = "nc_rms"
"""The root of the mean square of ρ over pairs, which the author's code plots."""
NEGLIGIBLE = 0.01
"""A change of correlation that does not matter in practice."""
RATES = {"adam": 1e-3, "sgd": 0.1}
"""Learning rates, which the author's code leaves open for perceptrons."""

Kind = Literal["growth", "decorrelation"]


def trained(
    task: Task, data: Dataset, networks: Sequence[nn.Module], settings: Settings, *, sites: list[str]
) -> list[Row]:
    """Train a task's networks; record correlation on test images at geometric steps, and scores before and after."""
    watch = Watch(
        [correlation(sites=sites)],
        probe=data.test_x[: task["probe"]],
        every=GeometricSteps(task["factor"]),
        scores_every=[0, settings.epochs * settings.steps_per_epoch(len(data.train_x))],
    )
    return fit(networks, data, settings, seeds=task.seeds, watch=watch)


def phases(table: Table) -> Phases:
    """Find the phases of one site under one condition over its seeds, without steps that have an undefined value.

    Raises:
        MissingRows: if there are no rows.
    """
    curve = table.curve("step", measure=QUANTITY)
    steps = [step for step, seeds in curve.items() if all(map(math.isfinite, seeds.values()))]
    values = np.array([list(curve[step].values()) for step in steps]).T
    return find_phases(values, steps)


def judged(change: Change, n_seeds: int, note: str) -> Verdict:
    """Judge a change by its whole interval: reproduced above 0, not reproduced if negligible."""
    half = student(n_seeds - 1) * change.standard_error
    low, high = change.size - half, change.size + half
    outcome = "reproduced" if low > 0 else "not reproduced" if high < NEGLIGIBLE else "inconclusive"
    return Verdict(outcome, change.size, (low, high), n_seeds, note)


def verdict(table: Table, kind: Kind) -> Verdict:
    """Judge whether every layer has the phase; the verdict shows the layer where it is weakest."""
    if len(table.need(measure=QUANTITY).values("seed")) < 2:
        return Verdict("inconclusive", note="one seed has no interval")
    return all_of({site: _of_site(part, kind) for site, part in table.where(measure=QUANTITY).groups("site")})


def _of_site(table: Table, kind: Kind) -> Verdict:
    found, n_seeds = phases(table), len(table.values("seed"))
    if kind == "growth":
        return judged(found.growth, n_seeds, f"growth of √(mean ρ²), step {found.start} to {found.peak}")
    return judged(found.decorrelation, n_seeds, f"decorrelation of √(mean ρ²), step {found.peak} to {found.end}")


def claims(conditions: Mapping[str, Mapping[str, object]]) -> tuple[Claim, ...]:
    """Return two claims for each named condition: that correlation grows first, and that it falls afterwards."""
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


def figure(table: Table, conditions: Mapping[str, Mapping[str, object]], columns: int = 2) -> Figure:
    """Draw a panel for each condition and a curve for each layer, with a dot at a peak that was found."""
    columns = min(columns, len(conditions))
    drawn, axes = panels(-(-len(conditions) // columns), columns, sharex=True)
    flat = [axis for line in axes for axis in line]
    for axis, (name, wanted) in zip(flat, conditions.items(), strict=False):
        part = table.need(**wanted)
        for color, site in zip(COLORS, part.where(measure=QUANTITY).values("site"), strict=False):
            own = part.where(site=site)
            curve = own.curve("step", measure=QUANTITY)
            draw(axis, curve, site, color=color)
            if len(own.values("seed")) > 1 and (found := phases(own)).grew and found.decorrelated:
                mean = sum(curve[found.peak].values()) / len(curve[found.peak])
                axis.plot([found.peak], [mean], "o", color=color, markersize=5)
        axis.set(xscale="symlog", title=name, xlabel="step", ylabel="√(mean ρ²)")
    for axis in flat[len(conditions) :]:
        axis.remove()
    legend(drawn)
    return drawn
