"""Figure 1: the spread of layer 1's correlations with and without dropout, and two laws of dropout.

The networks are HUGE-VANILLANET and HUGE-DROPNET of simon2016.fig2. Correlations are those behind the leaky ReLU, on
the 10,000 images held out, in evaluation mode. Behind a mask, correlations are measured on the trained DROPNET with
p = 0.7.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..framework.claim_table import Table
from ..framework.estimates import combined
from ..framework.experiment import claims_of, notes_of, texts_of
from ..framework.plots import Figure, panels
from ..framework.verdicts import Part, part
from .fig2_penalty_weight import FIG2, diverged, reduced
from .simon_networks import DROP, READINGS, VANILLA, draw_spread

PANELS = (VANILLA, "(a) HUGE-VANILLANET"), (DROP, "(b) HUGE-DROPNET")
PRINTED = READINGS["as printed"]


def figure(table: Table) -> Figure:
    """Draw the paper's two histograms of abs(ρ), with the mean as a red line."""
    drawn, axes = panels(1, 2, sharex=True, sharey=True)
    for axis, (kind, title) in zip(axes[0], PANELS, strict=True):
        draw_spread(axis, PRINTED.rows(table, kind, "HUGE").need(site="hidden1"))
        axis.set(title=title, xlabel="|ρ|")
    axes[0][0].set_ylabel("share of pairs")
    return drawn


def lower(table: Table, layers: Sequence[str]) -> dict[str, Part]:
    """Return by how much of VANILLANET's mean correlation that of DROPNET is lower, for each layer."""
    vanilla, drop = (PRINTED.rows(table, kind, "HUGE") for kind in (VANILLA, DROP))
    for kind in (DROP, VANILLA):
        if told := diverged(table, PRINTED, kind):
            return {"": Part(diverged=told, reference_diverged=kind == VANILLA)}
    return {
        layer: part(
            combined(lambda a, b: (a - b) / a, *(rows.per_seed(measure="nc", site=layer) for rows in (vanilla, drop))),
            "fall of the mean |ρ| from VANILLANET to DROPNET, as a share; no masks",
            sample="networks",
            reduced=reduced(vanilla),
        )
        for layer in layers
    }


def law(table: Table, measured: str, predicted: str, note: str) -> Part:
    """Return a measured number over a law's prediction."""
    rows = PRINTED.rows(table, DROP, "HUGE")
    values = (rows.per_seed(measure=measure) for measure in (measured, predicted))
    return part(combined(lambda one, other: one / other, *values), note)


CHECKS = {
    "lower with dropout": lambda table: lower(table, ["hidden1"]),
    "lower in layers 2 and 3": lambda table: lower(table, ["hidden2", "hidden3"]),
    "p², second moment": lambda table: law(
        table, "second_moment_dropped", "second_moment_law", "mean |E[xᵢxⱼ]| over p² that before"
    ),
    "p², correlation": lambda table: law(
        table, "dropped", "paper_law", "mean |ρ| behind the mask over p² that before it"
    ),
    "Pearson's law": lambda table: law(table, "dropped", "pearson_law", "mean |ρ| behind the mask over the law's"),
}

FIG1 = replace(
    FIG2,
    name="simon2016.fig1",
    title="How the correlations of layer 1 are spread, with dropout and without",
    figures={"fig1": figure},
    claims=claims_of(__package__, "fig1", CHECKS),
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig1"),
)
