"""Figure 2: mean entropy of a layer's units against the network's width, before and after training.

The paper trains 300 epochs of plain SGD at 0.001 and does not state the batch size; we take 32. Quick makes steps of
0.05 over batches of 100 for 20 epochs, which is as far in all (rate times steps). Medium has the paper's data, rate and
largest width and stops after 14 epochs, a twentieth of the way: 300 would take 50 processor hours. Entropies are of
1000 training images, 100 of a class, by nearest neighbors with k = 3. Units whose pre-activations are tied (a dead
layer below) have no density; they are left out and counted.
"""

from functools import partial

from ..framework.claim_table import Table
from ..framework.estimates import combined
from ..framework.experiment import Experiment, Readings, claims_of, notes_of, texts_of
from ..framework.plots import COLORS, Axes, Figure, draw, legend, panels
from .width_claims import (
    at_widest,
    before_training,
    change,
    learned,
    negentropy,
    shift,
    size_of_change,
    slopes,
    with_accuracy_over_epochs,
    with_accuracy_over_widths,
)
from .zhang_networks import HIDDEN, LAYERS, fewer_if_wide, run, widths

ACTIVATIONS = ("tanh", "relu")
ACCURACIES = {"relu": (0.99, 0.95), "tanh": (0.95, 0.92)}
PAPER_WIDTHS = (5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 700, 1000)
MEDIUM_WIDTHS = (20, 50, 100, 200, 500, 1000)
WHICH_ENTROPY = "the mean entropy of a layer, as in the figure, or each unit's own, as in the assumption"


def figure(table: Table) -> Figure:
    """Draw the paper's two panels, and below them the change ΔH."""
    drawn, axes = panels(2, 2, sharex=True, sharey="row")
    for column, activation in enumerate(ACTIVATIONS):
        part = table.where(activation=activation)
        draw_layers(axes[0][column], part)
        draw_changes(axes[1][column], part)
        axes[0][column].set(title=f"({'ab'[column]}) {activation}")
        axes[1][column].set(xlabel="width", xscale="log")
    axes[0][0].set_ylabel("mean entropy of a unit, nats")
    axes[1][0].set_ylabel("ΔH, nats")
    legend(drawn)
    return drawn


def draw_layers(axis: Axes, part: Table) -> None:
    """Draw the mean entropy of each layer against width, dashed before training and solid after it."""
    for color, layer in zip(COLORS, LAYERS, strict=False):
        for place, style in ((0, "--"), (-1, "-")):
            rows = part.need(measure="entropy", site=layer)
            rows = rows.where(epoch=rows.values("epoch")[place])
            draw(axis, rows.curve("width"), layer if style == "-" else "", color=color, linestyle=style)


def draw_changes(axis: Axes, part: Table) -> None:
    """Draw ΔH of each layer against width."""
    axis.axhline(0, color="black", linewidth=0.5)
    for color, layer in zip(COLORS, LAYERS, strict=False):
        changes = {width: change("entropy", rows, layer).end for width, rows in part.groups("width")}
        draw(axis, changes, layer, color=color)


def course(table: Table) -> Figure:
    """Draw the largest |ΔH| and ι of the hidden layers, and the training accuracy, over epochs for each width."""
    activations = [name for name in ACTIVATIONS if table.where(activation=name)]
    drawn, axes = panels(3, len(activations), sharex=True, sharey="row", height=1.9)
    for column, activation in enumerate(activations):
        part = table.where(activation=activation)
        counts = part.values("width")
        for color, width in zip(COLORS, counts[:: -(-len(counts) // len(COLORS))], strict=False):
            rows = part.where(width=width)
            entropies = [rows.curve("epoch", measure="entropy", site=layer) for layer in HIDDEN]
            scores = [rows.curve("epoch", measure="iota", site=layer) for layer in HIDDEN]
            moments = list(entropies[0])
            moved = {
                epoch: combined(_largest_change, *(layer[at] for layer in entropies for at in (epoch, moments[0])))
                for epoch in moments
            }
            most = {epoch: combined(max, *(layer[epoch] for layer in scores)) for epoch in moments}
            label = f"{width} units"
            draw(axes[0][column], moved, label, color=color)
            draw(axes[1][column], most, label, color=color)
            draw(axes[2][column], rows.curve("epoch", measure="accuracy"), label, color=color)
        axes[0][column].set(title=activation)
        axes[1][column].set(yscale="log")
        axes[2][column].set(xlabel="epoch", xlim=(0, None))
        axes[2][column].set_xscale("symlog", linthresh=1)
    for axis, label in zip(axes, ("largest |ΔH|, nats", "largest ι, nats", "training accuracy"), strict=True):
        axis[0].set_ylabel(label)
    legend(drawn)
    return drawn


def _largest_change(*pairs: float) -> float:
    return max(abs(now - first) for now, first in zip(pairs[::2], pairs[1::2], strict=True))


def settling(activations: tuple[str, ...]) -> dict[str, Readings]:
    """Return the checks of Assumption 1, under the two readings of ΔH."""
    numbers = {"mean of the layer": (size_of_change, "|ΔH|"), "each unit": (shift, "mean |ΔH| of a unit")}
    low = {name: at_widest(number, note, activations) for name, (number, note) in numbers.items()}
    fall = {name: slopes(number, note, activations) for name, (number, note) in numbers.items()}
    return {"ΔH vanishes": Readings(WHICH_ENTROPY, low), "ΔH falls": Readings(WHICH_ENTROPY, fall)}


CHECKS = {
    **settling(ACTIVATIONS),
    "accuracy": partial(learned, levels=ACCURACIES),
    "normal before training": before_training("negentropy", "negentropy", ACTIVATIONS),
    "normal after training": at_widest(negentropy, "negentropy", ACTIVATIONS),
    "entropy and accuracy": Readings(
        "over networks of all widths, or over the epochs of one",
        {
            "over widths": partial(with_accuracy_over_widths, activations=ACTIVATIONS),
            "over epochs": partial(with_accuracy_over_epochs, activations=ACTIVATIONS),
        },
    ),
}

FIG2 = Experiment(
    name="zhang2018.fig2",
    version=3,
    title="Mean entropy of a unit's pre-activation against width, before and after training",
    grid={
        "smoke": widths(ACTIVATIONS, "digits", (5, 20, 40), n_train=1000, epochs=8, batch_size=50, learning_rate=0.05),
        "quick": widths(
            ACTIVATIONS, "mnist", (5, 10, 20, 50, 100, 200, 400),
            n_train=60_000, epochs=20, batch_size=100, learning_rate=0.05,
        ),
        "medium": widths(
            ACTIVATIONS, "mnist", MEDIUM_WIDTHS, n_train=60_000, epochs=14, batch_size=32, learning_rate=0.001,
        ),
        "paper": widths(
            ACTIVATIONS, "mnist", PAPER_WIDTHS, n_train=60_000, epochs=300, batch_size=32, learning_rate=0.001,
        ),
    },
    seeds={"smoke": 2, "quick": 5, "medium": fewer_if_wide, "paper": 5},
    run=run,
    figures={"fig2": figure, "course": course},
    claims=claims_of(__package__, "fig2", CHECKS),
    minutes={"smoke": 0.4, "quick": 15, "medium": 80, "paper": 6000},
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig2"),
)  # fmt: skip
