"""Figure B.1: entropy and dependence score against width for ReLU networks on CIFAR-10.

As zhang2018.fig2 and fig3, for CIFAR-10. Quick sees 10,000 images for 20 epochs at a rate of 0.02 and goes up to 200
units, the width that the paper calls sufficient.
"""

from dataclasses import replace
from functools import partial

from ..framework.claim_table import Table
from ..framework.experiment import Claim, claims_of, notes_of
from ..framework.plots import Figure, legend, panels
from . import fig3_dependence_width
from .fig2_entropy_width import FIG2, PAPER_WIDTHS, draw_layers, falls, settles
from .zhang_networks import widths

RELU = ("relu",)


def figure(table: Table) -> Figure:
    """Draw the paper's two panels."""
    drawn, axes = panels(1, 2)
    draw_layers(axes[0][0], table)
    fig3_dependence_width.draw_scores(axes[0][1], table)
    axes[0][0].set(title="(a)", xlabel="width", xscale="log", ylabel="mean entropy of a unit, nats")
    axes[0][1].set(title="(b)", ylabel="dependence score ι, nats")
    legend(drawn)
    return drawn


_WHERE = "Fig. B.1 (a)", "Fig. B.1 (b)"
CLAIMS = (
    Claim(
        "ΔH vanishes",
        "In wide networks training hardly changes the entropy of a unit",
        _WHERE[0],
        partial(settles, activations=RELU),
    ),
    Claim("ΔH falls", "The change is smaller in wide networks", _WHERE[0], partial(falls, activations=RELU)),
    Claim(
        "near the line",
        "ι of all layers but the last comes to the vicinity of .01 in wide networks",
        _WHERE[1],
        partial(fig3_dependence_width.near_the_line, activations=RELU),
    ),
    Claim(
        "falls with width",
        "ι is smaller in wide networks than in narrow ones",
        _WHERE[1],
        partial(fig3_dependence_width.falls, activations=RELU),
    ),
    *claims_of(__package__, "figb1", {"independent": partial(fig3_dependence_width.independent, activations=RELU)}),
)

FIGB1 = replace(
    FIG2,
    name="zhang2018.figB1",
    title="Entropy and dependence score against width for ReLU networks on CIFAR-10",
    grid={
        "smoke": widths(RELU, "digits", (5, 20, 40), n_train=1000, epochs=8, batch_size=50, learning_rate=0.05),
        "quick": widths(
            RELU, "cifar10", (5, 10, 20, 50, 100, 200), n_train=10_000, epochs=20, batch_size=50, learning_rate=0.02,
        ),
        "paper": widths(RELU, "cifar10", PAPER_WIDTHS, n_train=50_000, epochs=300, batch_size=32, learning_rate=0.001),
    },
    figures={"figB1": figure},
    claims=CLAIMS,
    minutes={"smoke": 0.3, "quick": 2.5, "paper": 8000},
    notes=notes_of(__doc__),
)  # fmt: skip
