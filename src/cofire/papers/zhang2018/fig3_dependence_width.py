"""Figure 3: the dependence score of each layer against the network's width."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ..framework.claim_table import Table
from ..framework.experiment import Claim
from ..framework.plots import COLORS, draw, legend, panels
from ..framework.verdicts import Verdict, all_of, combined, decide, differences
from .fig2_entropy_width import ACTIVATIONS, FIG2, NARROW
from .zhang_networks import HIDDEN, LAYERS, LINE, MOST_PAIRS, Values, at_width, widest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VICINITY = 0.01  # nats above the estimator's bias of .012; what we take "vicinity" to mean
BIAS = 0.012


def largest(table: Table, width: int, activation: str, *, over: str | None = None) -> Values:
    """The largest ι of the hidden layers, for each seed; less a layer's own ``over`` (a threshold), if given."""
    parts: list[Values] = []
    for layer in HIDDEN:
        iota = at_width(table, width, "iota", layer, activation=activation)
        less = at_width(table, width, over, layer, activation=activation) if over else dict.fromkeys(iota, 0.0)
        parts.append(differences(iota, less))
    return combined(max, *parts)


def near_the_line(table: Table, activations: tuple[str, ...] = ACTIVATIONS) -> Verdict:
    """ι of every hidden layer at the largest width."""
    return all_of(
        {
            name: decide(
                largest(table, widest(table, name), name),
                below=BIAS + VICINITY, note="largest ι of hidden layers at the largest width, nats",
            )
            for name in activations
        }
    )  # fmt: skip


def independent(table: Table, activations: tuple[str, ...] = ACTIVATIONS) -> Verdict:
    """ι less what shuffled units give with a probability of 5 %."""
    return all_of(
        {
            name: decide(
                largest(table, widest(table, name), name, over="threshold"),
                below=0, note="largest ι less its permutation threshold, largest width, nats",
            )
            for name in activations
        }
    )  # fmt: skip


def falls(table: Table, activations: tuple[str, ...] = ACTIVATIONS) -> Verdict:
    """The largest ι of the hidden layers at 20 units less that at the largest width."""
    parts: dict[str, Verdict] = {}
    for name in activations:
        narrow, wide = (largest(table, width, name) for width in (NARROW, widest(table, name)))
        parts[name] = decide(differences(narrow, wide), above=0, note="largest ι, 20 units less largest width")
    return all_of(parts)


def last_depends(table: Table) -> Verdict:
    """ι of the last layer less the largest of the hidden ones."""
    parts: dict[str, Verdict] = {}
    for name in ACTIVATIONS:
        width = widest(table, name)
        last = at_width(table, width, "iota", LAYERS[-1], activation=name)
        parts[name] = decide(
            differences(last, largest(table, width, name)), above=0, note="ι of the last layer less the others'"
        )
    return all_of(parts)


def figure(table: Table) -> "Figure":
    """The paper's two panels, with the line at .01 and, dashed, the permutation threshold."""
    drawn, axes = panels(1, 2, sharey=True)
    for column, activation in enumerate(ACTIVATIONS):
        draw_scores(axes[0][column], table.where(activation=activation))
        axes[0][column].set(title=f"({'ab'[column]}) {activation}")
    axes[0][0].set_ylabel("dependence score ι, nats")
    legend(drawn)
    return drawn


def draw_scores(axis: "Axes", part: Table) -> None:
    """ι of each layer against width, after training."""
    after = part.need(measure="iota").last()
    for color, layer in zip(COLORS, LAYERS, strict=False):
        draw(axis, after.curve("width", measure="iota", site=layer), layer, color=color)
        draw(axis, part.curve("width", measure="threshold", site=layer), "", color=color, linestyle=":")
    axis.axhline(LINE, color="black", linestyle="--", linewidth=0.8)
    axis.set(xlabel="width", xscale="log")


CLAIMS = (
    Claim(
        "near the line", "ι of all layers but the last comes to the vicinity of .01 in wide networks",
        "Fig. 3, Theorem 1", near_the_line,
    ),
    Claim("falls with width", "ι is smaller in wide networks than in narrow ones", "Fig. 3, Theorem 1", falls),
    Claim("last layer", "Units of the last layer do depend on one another", "§4", last_depends),
    Claim(
        "independent", "Units of wide layers are independent, by a permutation test",
        "ours: the .01 is the estimator's bias, not a threshold", independent,
    ),
)  # fmt: skip

FIG3 = replace(
    FIG2,
    name="zhang2018.fig3",
    title="Dependence score of each layer's pre-activations against width",
    figures={"fig3": figure},
    claims=CLAIMS,
    task_name=FIG2.name,
    notes=(
        f"The networks are those of zhang2018.fig2. ι is the mean over pairs ({MOST_PAIRS:,} at random where there are "
        f"more) of the 3H estimate with k = 3, whose bias is {BIAS:g} at 1000 samples; 'vicinity' is read as no more "
        f"than {VICINITY:g} above that. The permutation threshold is what units shuffled by themselves stay below with "
        "a probability of 95 %."
    ),
)
