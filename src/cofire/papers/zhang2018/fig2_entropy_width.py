"""Figure 2: mean entropy of a layer's units against the network's width, before and after training.

The paper trains 300 epochs of plain SGD at 0.001 and does not state the batch size. Quick makes steps of 0.05 over
batches of 100 for 20 epochs, which is as far in all (rate times steps) as 300 epochs at 0.001 over batches of 30.
Entropies are of 1000 training images, 100 of a class, by nearest neighbors with k = 3. Units whose pre-activations
are tied (a dead layer below) have no density; they are left out and counted. 'Insignificant' is read as below 0.1
nats.
"""

from ..framework.claim_table import Table
from ..framework.experiment import Experiment, claims_of, notes_of
from ..framework.plots import COLORS, Axes, Figure, draw, legend, panels
from ..framework.verdicts import Verdict, all_of, combined, decide, differences
from .zhang_networks import HIDDEN, LAYERS, NARROW, Values, at_widest, at_width, falls_with_width, run, widths

ACTIVATIONS = ("tanh", "relu")
INSIGNIFICANT = 0.1  # our reading of "insignificant", in nats
ACCURACIES = {"relu": (0.99, 0.95), "tanh": (0.95, 0.92)}
PAPER_WIDTHS = (5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 700, 1000)


def change(table: Table, layer: str, *, width: int, activation: str) -> Values:
    """Return ΔH, the mean entropy of a unit after training minus that before."""
    ends = (at_width(table, width, "entropy", layer, activation=activation, last=last) for last in (True, False))
    return differences(*ends)


def largest_change(table: Table, width: int, activation: str) -> Values:
    """Return the largest abs(ΔH) of the hidden layers for each seed."""
    changes = [change(table, layer, width=width, activation=activation) for layer in HIDDEN]
    return combined(lambda *layers: max(map(abs, layers)), *changes)


def settles(table: Table, activations: tuple[str, ...] = ACTIVATIONS) -> Verdict:
    """Judge whether the largest change in entropy is small at the largest width."""
    note = "largest |ΔH| of hidden layers at the largest width, nats"
    return at_widest(table, activations, largest_change, below=INSIGNIFICANT, note=note)


def falls(table: Table, activations: tuple[str, ...] = ACTIVATIONS) -> Verdict:
    """Judge whether the largest change in entropy falls with the width."""
    return falls_with_width(table, activations, largest_change, note="largest |ΔH|, 20 units less largest width")


def learned(table: Table) -> Verdict:
    """Judge whether the lowest accuracy of networks wider than 20 units exceeds the paper's numbers."""
    parts: dict[str, Verdict] = {}
    for name, levels in ACCURACIES.items():
        part = table.need(activation=name, width=lambda width: width > NARROW)
        for measure, level in zip(("accuracy", "test_accuracy"), levels, strict=True):
            runs = [one.per_seed(measure=measure) for _, one in part.need(measure=measure).groups("width")]
            least = combined(lambda *values, level=level: min(values) - level, *runs)
            parts[f"{name}, {measure}"] = decide(least, above=0, note=f"least over widths, less {level:g}")
    return all_of(parts)


def figure(table: Table) -> Figure:
    """Draw the paper's two panels, and below them the change ΔH."""
    drawn, axes = panels(2, 2, sharex=True)
    for column, activation in enumerate(ACTIVATIONS):
        part = table.where(activation=activation)
        draw_layers(axes[0][column], part)
        for color, layer in zip(COLORS, LAYERS, strict=False):
            changes = {w: change(part, layer, width=w, activation=activation) for w in part.values("width")}
            draw(axes[1][column], changes, layer, color=color)
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


CLAIMS = claims_of(__package__, "fig2", {"ΔH vanishes": settles, "ΔH falls": falls, "accuracy": learned})

FIG2 = Experiment(
    name="zhang2018.fig2",
    version=2,
    title="Mean entropy of a unit's pre-activation against width, before and after training",
    grid={
        "smoke": widths(ACTIVATIONS, "digits", (5, 20, 40), n_train=1000, epochs=8, batch_size=50, learning_rate=0.05),
        "quick": widths(
            ACTIVATIONS, "mnist", (5, 10, 20, 50, 100, 200, 400),
            n_train=60_000, epochs=20, batch_size=100, learning_rate=0.05,
        ),
        "paper": widths(
            ACTIVATIONS, "mnist", PAPER_WIDTHS, n_train=60_000, epochs=300, batch_size=32, learning_rate=0.001,
        ),
    },
    seeds={"smoke": 2, "quick": 5, "paper": 5},
    run=run,
    figures={"fig2": figure},
    claims=CLAIMS,
    minutes={"smoke": 0.4, "quick": 13, "paper": 6000},
    notes=notes_of(__doc__),
)  # fmt: skip
