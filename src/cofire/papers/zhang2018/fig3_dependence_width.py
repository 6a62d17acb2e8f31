"""Figure 3: dependence score of each layer against the network's width.

The networks are those of zhang2018.fig2. ι is the mean over pairs (5,000 at random where there are more) of the 3H
estimate with k = 3, whose bias is 0.012 at 1000 samples; 'vicinity' is read as no more than 0.01 above that. The
permutation threshold is what units shuffled by themselves stay below with a probability of 95 %. Total correlation, the
paper's future work, is the mean over ten groups of five units.
"""

from dataclasses import replace

from ..framework.claim_table import Table
from ..framework.experiment import claims_of, notes_of, texts_of
from ..framework.plots import COLORS, Axes, Figure, draw, legend, panels
from .fig2_entropy_width import ACTIVATIONS, FIG2
from .width_claims import (
    at_widest,
    before_training,
    bounded,
    iota,
    last_layer,
    over_threshold,
    slopes,
    total_correlations,
)
from .zhang_networks import INDEPENDENT_GROUPS, LAYERS, LINE

LOWEST = 0.003  # nats, of the axis: bands over repetitions may reach below 0


def figure(table: Table) -> Figure:
    """Draw the paper's two panels, with the line at .01, dotted, and the permutation threshold, dashed."""
    drawn, axes = panels(1, 2, sharey=True)
    for column, activation in enumerate(ACTIVATIONS):
        draw_scores(axes[0][column], table.where(activation=activation))
        axes[0][column].set(title=f"({'ab'[column]}) {activation}")
    axes[0][0].set_ylabel("dependence score ι, nats")
    legend(drawn)
    return drawn


def draw_scores(axis: Axes, part: Table) -> None:
    """Draw ι of each layer against width, after training."""
    after, shuffled = part.need(measure="iota").last(), part.need(measure="threshold").last()
    for color, layer in zip(COLORS, LAYERS, strict=False):
        draw(axis, after.curve("width", measure="iota", site=layer), layer, color=color)
        threshold = shuffled.curve("width", site=layer)
        axis.plot(list(threshold), [_mean(one) for one in threshold.values()], "--", color=color, linewidth=0.7)
    axis.plot([], [], "--", color="gray", linewidth=0.7, label="permutation threshold")
    axis.axhline(LINE, color="black", linestyle=":", linewidth=1.2, label="0.01")
    axis.set(xlabel="width", xscale="log", yscale="log")
    axis.set_ylim(bottom=LOWEST)


def _mean(values: dict[int, float]) -> float:
    return sum(values.values()) / len(values)


def groups(table: Table) -> Figure:
    """Draw the total correlation of five units against width, before and after training."""
    activations = [name for name in ACTIVATIONS if table.where(activation=name)]
    drawn, axes = panels(1, len(activations), sharey=True)
    for axis, activation in zip(axes[0], activations, strict=True):
        part = table.need(activation=activation, measure="total_correlation")
        for color, layer in zip(COLORS, LAYERS, strict=False):
            rows = part.where(site=layer)
            draw(axis, rows.last().curve("width"), layer, color=color)
            draw(axis, rows.where(epoch=0).curve("width"), "", color=color, linestyle="--")
        axis.axhline(INDEPENDENT_GROUPS, color="black", linestyle=":", linewidth=1.2, label="independent normal units")
        axis.set(title=activation, xlabel="width", xscale="log", yscale="log")
    axes[0][0].set_ylabel("total correlation of 5 units, nats")
    legend(drawn)
    return drawn


SCORE, GROUP = "ι", "total correlation of 5 units"
CHECKS = {
    "near the line": at_widest(iota, SCORE, ACTIVATIONS),
    "falls with width": slopes(iota, SCORE, ACTIVATIONS),
    "last layer": last_layer(ACTIVATIONS, stands_out=False),
    "last layer stands out": last_layer(ACTIVATIONS, stands_out=True),
    "independent at first": before_training("iota", SCORE, ACTIVATIONS),
    "independent at first, by a permutation test": before_training(
        "iota", "ι less its permutation threshold", ACTIVATIONS, less="threshold"
    ),
    "independent": at_widest(over_threshold, "ι less its permutation threshold", ACTIVATIONS),
    "ΔI ≤ ΔH": bounded(ACTIVATIONS),
    "total correlation": at_widest(total_correlations, GROUP, ACTIVATIONS),
    "total correlation falls": slopes(total_correlations, GROUP, ACTIVATIONS),
}

FIG3 = replace(
    FIG2,
    name="zhang2018.fig3",
    title="Dependence score of each layer's pre-activations against width",
    figures={"fig3": figure, "groups": groups},
    claims=claims_of(__package__, "fig3", CHECKS),
    task_name=FIG2.name,
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig3"),
)
