"""The course of correlation through training: recording, figures, and claims of growth and decorrelation."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from torch import nn

from ...record import GeometricSteps, Phases, Row, correlation, find_phases
from ..framework.claim_table import MissingRows, Table
from ..framework.estimates import Estimate
from ..framework.experiment import Check, Claim, Readings, claims_of
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.tasks import Settings, Task
from ..framework.verdicts import Part, drift
from ..training.datasets import Dataset
from ..training.loop import Settings as Training
from ..training.stacked_training import Watch, fit

QUANTITY = "nc_rms"
"""The root of the mean square of ρ over pairs, which the author's code plots."""
RATES = {"adam": 1e-3, "sgd": 0.1}
"""Learning rates, which the author's code leaves open for perceptrons."""

VISIBLE = 0.01
"""A rise in the second half of training by which the peak may still move; the margin of the claims."""

Kind = Literal["growth", "decorrelation"]


def trained(
    task: Task, data: Dataset, networks: Sequence[nn.Module], settings: Training, *, sites: list[str]
) -> list[Row]:
    """Train a task's networks; record correlation on test images at geometric steps, and scores before and after."""
    watch = Watch(
        [correlation(sites=sites)],
        probe=data.test_x[: task["probe"]],
        every=GeometricSteps(task["factor"]),
        scores_every=[0, settings.epochs * settings.steps_per_epoch(len(data.train_x))],
    )
    return fit(networks, data, settings, seeds=task.seeds, watch=watch)


class Course(NamedTuple):
    """The phases of a layer, its peak, and the step at which training ended."""

    phases: Phases
    peak: int
    end_of_training: int


def phases(table: Table) -> Course:
    """Find the phases of one site under one condition over its seeds, without steps that have an undefined value.

    Raises:
        MissingRows: if there are no rows.
    """
    curve = table.curve("step", measure=QUANTITY)
    steps = [step for step, seeds in curve.items() if all(map(math.isfinite, seeds.values()))]
    values = np.array([list(curve[step].values()) for step in steps]).T
    found = find_phases(values, steps)
    return Course(found, found.peak, max(curve))


def numbers(table: Table, kind: Kind) -> dict[str, Part]:
    """Return how far the correlation of each layer grew first, or fell afterwards.

    While correlation rises through the second half of training, a fall cannot have been seen. Where the peak is there
    but nothing rises, the course is flat and noise has put it there.
    """
    table = table.need(measure=QUANTITY)
    by_dropout = table.groups("dropout") or [(0.0, table)]
    return {
        site + (f", dropout {dropout:g}" if len(by_dropout) > 1 else ""): _of_site(part, kind, f"dropout {dropout:g}")
        for dropout, rows in by_dropout
        for site, part in rows.groups("site")
    }


def _of_site(table: Table, kind: Kind, sample: str) -> Part:
    n = len(table.values("seed"))
    if n < 2:
        return Part(Estimate(math.nan, math.nan, 0, n), "one repetition")
    found = phases(table)
    moved = drift(lambda rows: rows.per_seed(), table, by="step")
    change = found.phases.growth if kind == "growth" else found.phases.decorrelation
    begin, end = (found.phases.start, found.peak) if kind == "growth" else (found.peak, found.phases.end)
    rising = found.peak > found.end_of_training / 2 and not moved.interval[1] < VISIBLE
    late = f"correlation peaked at step {found.peak} of {found.end_of_training} only"
    return Part(
        Estimate(change.size, change.standard_error, n - 1, n),
        f"{kind} of √(mean ρ²), step {begin} to {end}",
        sample=sample,  # layers of one network are one sample
        trend=moved,
        censored=late if kind == "decorrelation" and rising else "",
    )


def course_claims(
    package: str | None, figure: str, conditions: Mapping[str, Settings], readings: Mapping[str, Settings]
) -> tuple[Claim, ...]:
    """Return two claims for each named condition: that correlation grows first, and that it falls afterwards.

    Args:
        package: the paper's package.
        figure: table of its ``claims.toml``.
        conditions: settings of each condition, by name.
        readings: settings of each initialization that the paper may mean, by name; one alone is no choice.
    """

    def check(kind: Kind, settings: Settings) -> Check:
        return lambda table: numbers(table.where(**settings), kind)

    def checks(kind: Kind, wanted: Settings) -> Check | Readings:
        found = {name: check(kind, {**wanted, **init}) for name, init in readings.items()}
        return Readings("initialization", found) if len(found) > 1 else next(iter(found.values()))

    kinds: tuple[Kind, ...] = ("growth", "decorrelation")
    asked = {f"{kind}: {name}": checks(kind, wanted) for name, wanted in conditions.items() for kind in kinds}
    return claims_of(package, figure, asked)


def figure(table: Table, conditions: Mapping[str, Settings], columns: int = 2) -> Figure:
    """Draw a panel for each condition that was run, a curve for each layer, with a dot at a peak that was found."""
    conditions = {name: wanted for name, wanted in conditions.items() if table.where(**wanted)}
    if not conditions:
        raise MissingRows("no condition was run")
    columns = min(columns, len(conditions))
    drawn, axes = panels(-(-len(conditions) // columns), columns, sharex=True)
    flat = [axis for line in axes for axis in line]
    for axis, (name, wanted) in zip(flat, conditions.items(), strict=False):
        part = table.need(**wanted)
        for color, site in zip(COLORS, part.where(measure=QUANTITY).values("site"), strict=False):
            own = part.where(site=site)
            curve = own.curve("step", measure=QUANTITY)
            draw(axis, curve, site, color=color)
            if len(own.values("seed")) > 1 and (found := phases(own)).phases.grew and found.phases.decorrelated:
                mean = sum(curve[found.peak].values()) / len(curve[found.peak])
                axis.plot([found.peak], [mean], "o", color=color, markersize=5)
        axis.set(xscale="symlog", title=name, xlabel="step", ylabel="√(mean ρ²)")
    for axis in flat[len(conditions) :]:
        axis.remove()
    legend(drawn)
    return drawn
