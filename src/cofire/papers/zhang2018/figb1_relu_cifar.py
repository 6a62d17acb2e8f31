"""Figure B.1: entropy and dependence score against width for ReLU networks on CIFAR-10.

As zhang2018.fig2 and fig3, for CIFAR-10. Quick sees 10,000 images for 20 epochs at a rate of 0.02 and goes up to 200
units, the width that the paper calls sufficient. Medium has the paper's data, rate and largest width and stops after 10
epochs, a thirtieth of the way.
"""

from dataclasses import replace

from ..framework.claim_table import Table
from ..framework.experiment import claims_of, notes_of, texts_of
from ..framework.plots import Figure, legend, panels
from .fig2_entropy_width import FIG2, MEDIUM_WIDTHS, PAPER_WIDTHS, course, draw_layers, settling
from .fig3_dependence_width import GROUP, SCORE, draw_scores
from .width_claims import (
    at_widest,
    before_training,
    bounded,
    iota,
    negentropy,
    over_threshold,
    slopes,
    total_correlations,
)
from .zhang_networks import widths

RELU = ("relu",)


def figure(table: Table) -> Figure:
    """Draw the paper's two panels."""
    drawn, axes = panels(1, 2)
    draw_layers(axes[0][0], table)
    draw_scores(axes[0][1], table)
    axes[0][0].set(title="(a)", xlabel="width", xscale="log", ylabel="mean entropy of a unit, nats")
    axes[0][1].set(title="(b)", ylabel="dependence score ι, nats")
    legend(drawn)
    return drawn


CHECKS = {
    **settling(RELU),
    "near the line": at_widest(iota, SCORE, RELU),
    "falls with width": slopes(iota, SCORE, RELU),
    "independent at first": before_training("iota", SCORE, RELU),
    "independent": at_widest(over_threshold, "ι less its permutation threshold", RELU),
    "ΔI ≤ ΔH": bounded(RELU),
    "normal before training": before_training("negentropy", "negentropy", RELU),
    "normal after training": at_widest(negentropy, "negentropy", RELU),
    "total correlation": at_widest(total_correlations, GROUP, RELU),
}

FIGB1 = replace(
    FIG2,
    name="zhang2018.figB1",
    title="Entropy and dependence score against width for ReLU networks on CIFAR-10",
    grid={
        "smoke": widths(RELU, "digits", (5, 20, 40), n_train=1000, epochs=8, batch_size=50, learning_rate=0.05),
        "quick": widths(
            RELU, "cifar10", (5, 10, 20, 50, 100, 200), n_train=10_000, epochs=20, batch_size=50, learning_rate=0.02,
        ),
        "medium": widths(
            RELU, "cifar10", MEDIUM_WIDTHS, n_train=50_000, epochs=10, batch_size=32, learning_rate=0.001,
        ),
        "paper": widths(RELU, "cifar10", PAPER_WIDTHS, n_train=50_000, epochs=300, batch_size=32, learning_rate=0.001),
    },
    figures={"figB1": figure, "course": course},
    claims=claims_of(__package__, "figb1", CHECKS),
    minutes={"smoke": 0.3, "quick": 3, "medium": 40, "paper": 8000},
    notes=notes_of(__doc__),
    **texts_of(__package__, "figb1"),
)  # fmt: skip
