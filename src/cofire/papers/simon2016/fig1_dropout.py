"""Figure 1: the spread of layer 1's correlations with and without dropout, and two laws of dropout.

Correlations are those of layer 1 behind its leaky ReLU, on the 10,000 images held out, in evaluation mode. Quick
trains 10 epochs instead of 100: the two means have parted by then. Behind a mask, correlations are measured on the
trained DROPNET with p = 0.7.
"""

from collections.abc import Iterator

from ...nets import dropout_report
from ...record.runs.rows import Row
from ..framework.claim_table import Table
from ..framework.experiment import Experiment, claims_of, notes_of, row
from ..framework.plots import Figure, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Verdict, combined, decide, differences
from ..training.stacked_training import Watch
from .simon_networks import BATCH_SIZE, data_of, draw_spread, networks_of, spread, trained

VANILLA, DROP = "VANILLANET", "DROPNET"
PANELS = (VANILLA, "(a) HUGE-VANILLANET"), (DROP, "(b) HUGE-DROPNET")
LAW = ("entering", "dropped", "paper_law", "pearson_law", "second_moment_dropped", "second_moment_law")


def run(task: Task) -> Iterator[Row]:
    """Train; record the spread of layer 1's correlations on the validation images, and the laws' predictions."""
    data = data_of(task)
    networks = networks_of(task, data)
    last = task["epochs"] * -(-len(data.train_x) // BATCH_SIZE)
    yield from trained(task, data, networks, Watch(scores_every=[0, last]))
    for seed, network in zip(task.seeds, networks, strict=True):
        yield from spread(network, data, ["hidden1"], seed=seed)
        if task["kind"] == DROP:
            laws = dropout_report(network, data.test_x.split(1000), seed=seed).rows[0]
            for name in LAW:
                yield row(name, getattr(laws, name), seed=seed, site="drop1", n_samples=laws.n_samples)


def figure(table: Table) -> Figure:
    """Draw the paper's two histograms of abs(ρ), with the mean as a red line."""
    drawn, axes = panels(1, 2, sharex=True, sharey=True)
    for axis, (kind, title) in zip(axes[0], PANELS, strict=True):
        draw_spread(axis, table.need(kind=kind))
        axis.set(title=title, xlabel="|ρ|")
    axes[0][0].set_ylabel("share of pairs")
    return drawn


def lower(table: Table) -> Verdict:
    """Judge whether the mean correlation of VANILLANET exceeds that of DROPNET."""
    vanilla, drop = (table.per_seed(kind=kind, measure="nc") for kind in (VANILLA, DROP))
    return decide(differences(vanilla, drop), above=0, note="mean |ρ| of VANILLANET less DROPNET, layer 1, no masks")


def law(table: Table, measured: str, predicted: str, note: str) -> Verdict:
    """Judge whether a measured number is within 5 % of a law's prediction."""
    values = (table.per_seed(kind=DROP, measure=measure) for measure in (measured, predicted))
    return decide(combined(lambda one, other: one / other, *values), above=0.95, below=1.05, note=note)


CHECKS = {
    "lower with dropout": lower,
    "p², second moment": lambda table: law(
        table, "second_moment_dropped", "second_moment_law", "mean |E[xᵢxⱼ]| over p² that before"
    ),
    "p², correlation": lambda table: law(
        table, "dropped", "paper_law", "mean |ρ| behind the mask over p² that before it"
    ),
    "Pearson's law": lambda table: law(table, "dropped", "pearson_law", "mean |ρ| behind the mask over the law's"),
}

KINDS = [VANILLA, DROP]

FIG1 = Experiment(
    name="simon2016.fig1",
    title="How the correlations of layer 1 are spread, with dropout and without",
    grid={
        "smoke": grid(size="HUGE", kind=KINDS, data="digits", n_train=400, epochs=4),
        "quick": grid(size="HUGE", kind=KINDS, data="mnist", n_train=50_000, epochs=10),
        "paper": grid(size="HUGE", kind=KINDS, data="mnist", n_train=50_000, epochs=100),
    },
    seeds={"smoke": 2, "quick": 5, "paper": 5},
    run=run,
    figures={"fig1": figure},
    claims=claims_of(__package__, "fig1", CHECKS),
    minutes={"smoke": 0.2, "quick": 1.5, "paper": 70},
    notes=notes_of(__doc__),
)
