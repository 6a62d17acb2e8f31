"""Pruning by redundancy and by magnitude: accuracy against units kept, without retraining.

Every hidden layer is cut to the share of units named; how units relate is learnt from 2,000 training images.
`magnitude` keeps the units of largest incoming weights and makes up for nothing; `magnitude_refit` keeps the same
units and lets them make up for the others by least squares; `redundancy` also chooses by what the others explain.
Layers of 8 and 16 channels cannot lose much: at a quarter they keep 2 and 4.
"""

from collections.abc import Iterator

import torch
from torch import nn

from ...nets.surgery import prune
from ...nets.surgery.prune import CRITERIA
from ...record import Row
from ..framework.claim_table import Table
from ..framework.estimates import differences, interval
from ..framework.experiment import Experiment, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdict_text import markdown_table
from ..framework.verdicts import Part, part
from ..training.datasets import load
from ..training.loop import Settings, fit, scored
from ..training.models import mlp

SHARES = [0.75, 0.5, 0.25, 0.15, 0.1, 0.05]
CALIBRATION = 2000  # training images for the relations of units


def network(name: str, seed: int) -> nn.Module:
    """Build a perceptron from its widths, or the small convolutional network.

    Example:
        >>> [len(network(name, 0)) for name in ("784-30-10", "conv 8, conv 16, dense 64")]
        [4, 10]
    """
    return small_cnn(seed) if name.startswith("conv") else mlp([int(width) for width in name.split("-")], seed=seed)


def small_cnn(seed: int) -> nn.Sequential:
    """Build two convolutions and a dense layer for 28×28 images of one channel.

    Example:
        >>> small_cnn(0)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            *(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(400, 64), nn.ReLU(), nn.Linear(64, 10)),
        )


def run(task: Task) -> Iterator[Row]:
    """Train a network for each seed; record its accuracy, and that after pruning to each share by each criterion."""
    data = load(task["data"]).first(task["n_train"])
    for seed in task.seeds:
        model = network(task["network"], seed)
        fit(model, data, Settings.of(task.values, batch_size=100, seed=seed))
        whole = scored(model, data.test_x, data.test_y)[1]
        for by in CRITERIA:
            yield row("accuracy", whole, seed=seed, by=by, keep=1.0)
            for keep in task["shares"]:
                smaller = prune(model, data.train_x[:CALIBRATION], keep=keep, by=by).model
                yield row("accuracy", scored(smaller, data.test_x, data.test_y)[1], seed=seed, by=by, keep=keep)


def figure(table: Table) -> Figure:
    """Draw accuracy against the share of units kept, with a panel per network and a curve per criterion."""
    parts = table.need(measure="accuracy").groups("network")
    drawn, axes = panels(1, len(parts), sharey=True)
    for axis, (name, rows) in zip(axes[0], parts, strict=True):
        for color, by in zip(COLORS, CRITERIA, strict=False):
            draw(axis, rows.curve("keep", by=by), by, color=color, marker="o", markersize=3)
        axis.set(title=name, xlabel="share of the units kept", xscale="log")
    axes[0][0].set_ylabel("test accuracy")
    legend(drawn)
    return drawn


def accuracies(table: Table) -> str:
    """Tabulate accuracy in percent with its 95 % interval, by network and share (rows) and criterion (columns)."""
    rows = [
        [f"{name}, {keep:.0%} kept", *(_percent(cell.per_seed(by=by)) for by in CRITERIA)]
        for name, cells in table.need(measure="accuracy").groups("network")
        for keep, cell in reversed(cells.groups("keep"))
    ]
    return markdown_table(["", *CRITERIA], rows)


def _percent(by_seed: dict[int, float]) -> str:
    mean, low, _ = interval(by_seed)
    return f"{100 * mean:.1f} ± {100 * (mean - low):.1f}"


def ahead(table: Table, of: str, keep: float) -> dict[str, Part]:
    """Return how much more accuracy pruning by redundancy keeps than by another criterion, for each network."""
    note = f"accuracy by redundancy less by {of}, {keep:.0%} of the units kept"
    return {
        name: part(differences(rows.per_seed(by="redundancy"), rows.per_seed(by=of)), note)
        for name, rows in table.need(measure="accuracy", keep=keep).groups("network")
    }


def lost(table: Table, keep: float) -> dict[str, Part]:
    """Return the loss of accuracy of each network."""
    note = f"accuracy of the whole network less that with {keep:.0%} of its units"
    return {
        name: part(differences(rows.per_seed(keep=1.0), rows.per_seed(keep=keep)), note)
        for name, rows in table.need(measure="accuracy", by="redundancy").groups("network")
    }


CHECKS = {
    "half is spare": lambda table: lost(table, 0.5),
    "magnitude": lambda table: ahead(table, "magnitude", 0.5),
    "choice": lambda table: ahead(table, "magnitude_refit", 0.25),
}

BOTH = ["784-300-100-10", "conv 8, conv 16, dense 64"]

PRUNING = Experiment(
    name="ours.pruning",
    title="Accuracy against units kept: pruning by redundancy and by magnitude, no retraining",
    grid={
        "smoke": grid(data=["digits"], network=["64-32-10"], n_train=800, epochs=10, shares=[[0.5, 0.25]]),
        "quick": grid(data=["mnist"], network=BOTH, n_train=10_000, epochs=4, shares=[SHARES]),
        "paper": grid(data=["mnist"], network=BOTH, n_train=60_000, epochs=2, shares=[SHARES]),
    },
    seeds={"smoke": 2, "quick": 5, "paper": 10},
    run=run,
    figures={"pruning": figure},
    claims=claims_of(__package__, "pruning_accuracy", CHECKS),
    minutes={"smoke": 0.1, "quick": 0.5, "paper": 12},
    notes=notes_of(__doc__),
    **texts_of(__package__, "pruning_accuracy"),
    together=False,
    tables={"Test accuracy in percent": accuracies},
)
