"""Figure 3: dependence score of each layer against the network's width.

The networks are those of zhang2018.fig2. ι is the mean over pairs (5,000 at random where there are more) of the 3H
estimate with k = 3, whose bias is 0.012 at 1000 samples; 'vicinity' is read as no more than 0.01 above that. The
permutation threshold is what units shuffled by themselves stay below with a probability of 95 %.
"""

from dataclasses import replace
from functools import partial

from ..framework.claim_table import Table
from ..framework.experiment import claims_of, notes_of
from ..framework.plots import COLORS, Axes, Figure, draw, legend, panels
from ..framework.verdicts import Verdict, combined, decide_each, differences
from .fig2_entropy_width import ACTIVATIONS, FIG2
from .zhang_networks import HIDDEN, LAYERS, LINE, Values, at_widest, at_width, falls_with_width, widest

BIAS = 0.012
VICINITY = 0.01  # our reading of "vicinity", in nats above the bias


def largest(table: Table, width: int, activation: str, *, over: str | None = None) -> Values:
    """Return the largest ι of the hidden layers for each seed, minus the layer's own measure ``over`` if given."""
    parts: list[Values] = []
    for layer in HIDDEN:
        iota = at_width(table, width, "iota", layer, activation=activation)
        less = at_width(table, width, over, layer, activation=activation) if over else dict.fromkeys(iota, 0.0)
        parts.append(differences(iota, less))
    return combined(max, *parts)


def near_the_line(table: Table, activations: tuple[str, ...] = ACTIVATIONS) -> Verdict:
    """Judge whether ι of every hidden layer is near the paper's line at the largest width."""
    note = "largest ι of hidden layers at the largest width, nats"
    return at_widest(table, activations, largest, below=BIAS + VICINITY, note=note)


def independent(table: Table, activations: tuple[str, ...] = ACTIVATIONS) -> Verdict:
    """Judge whether ι is below its permutation threshold of 5 %."""
    over_threshold = partial(largest, over="threshold")
    note = "largest ι less its permutation threshold, largest width, nats"
    return at_widest(table, activations, over_threshold, below=0, note=note)


def falls(table: Table, activations: tuple[str, ...] = ACTIVATIONS) -> Verdict:
    """Judge whether the largest ι of the hidden layers falls with the width."""
    return falls_with_width(table, activations, largest, note="largest ι, 20 units less largest width")


def last_depends(table: Table) -> Verdict:
    """Judge whether ι of the last layer exceeds the largest of the hidden ones."""
    parts: dict[str, Values] = {}
    for name in ACTIVATIONS:
        width = widest(table, name)
        last = at_width(table, width, "iota", LAYERS[-1], activation=name)
        parts[name] = differences(last, largest(table, width, name))
    return decide_each(parts, above=0, note="ι of the last layer less the others'")


def figure(table: Table) -> Figure:
    """Draw the paper's two panels, with the line at .01 and the permutation threshold, dotted."""
    drawn, axes = panels(1, 2, sharey=True)
    for column, activation in enumerate(ACTIVATIONS):
        draw_scores(axes[0][column], table.where(activation=activation))
        axes[0][column].set(title=f"({'ab'[column]}) {activation}")
    axes[0][0].set_ylabel("dependence score ι, nats")
    legend(drawn)
    return drawn


def draw_scores(axis: Axes, part: Table) -> None:
    """Draw ι of each layer against width, after training."""
    after = part.need(measure="iota").last()
    for color, layer in zip(COLORS, LAYERS, strict=False):
        draw(axis, after.curve("width", measure="iota", site=layer), layer, color=color)
        draw(axis, part.curve("width", measure="threshold", site=layer), "", color=color, linestyle=":")
    axis.axhline(LINE, color="black", linestyle="--", linewidth=0.8)
    axis.set(xlabel="width", xscale="log")


CLAIMS = claims_of(
    __package__,
    "fig3",
    {"near the line": near_the_line, "falls with width": falls, "last layer": last_depends, "independent": independent},
)

FIG3 = replace(
    FIG2,
    name="zhang2018.fig3",
    title="Dependence score of each layer's pre-activations against width",
    figures={"fig3": figure},
    claims=CLAIMS,
    task_name=FIG2.name,
    notes=notes_of(__doc__),
)
