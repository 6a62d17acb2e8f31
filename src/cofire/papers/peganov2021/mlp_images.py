"""Perceptrons: correlation of each layer's activations on held-out images through training."""

from typing import TYPE_CHECKING

from ...record import Row
from ..framework.claim_table import Table
from ..framework.experiment import Experiment
from ..framework.tasks import Task, grid
from ..training.datasets import load
from ..training.loop import Settings
from ..training.stacked_training import fit
from .correlation_course import claims, figure, watched
from .peganov_networks import HIDDEN, perceptron

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONDITIONS = {"Adam": {"optimizer": "adam"}, "SGD": {"optimizer": "sgd"}}
RATES = {"adam": 1e-3, "sgd": 0.1}


def run(task: Task) -> list[Row]:
    """Correlation at geometrically spaced steps, and the scores at the beginning and at the end."""
    data = load(task["data"]).first(task["n_train"])
    networks = [perceptron(data, seed=seed, hidden=task["hidden"]) for seed in task.seeds]
    name = task["optimizer"]
    settings = Settings(epochs=task["epochs"], batch_size=50, optimizer=name, learning_rate=RATES[name])
    watch = watched(task, data, ["hidden*"], an_epoch=-(-len(data.train_x) // 50))
    return fit(networks, data, settings, seeds=task.seeds, watch=watch)


def draw(table: Table) -> "Figure":
    """A panel for each optimizer."""
    return figure(table, CONDITIONS)


_BOTH = {"optimizer": ["adam", "sgd"]}
_QUICK = {"data": "mnist", "n_train": 50_000, "probe": 2000, "hidden": [list(HIDDEN)], "factor": 1.1}

MLP = Experiment(
    name="peganov2021.mlp",
    title="Correlation of the activations of a perceptron through training",
    grid={
        "smoke": grid(**_BOTH, data="digits", n_train=500, probe=200, hidden=[[40, 30, 20]], epochs=8, factor=1.3),
        "quick": (*grid(optimizer="adam", **_QUICK, epochs=3), *grid(optimizer="sgd", **_QUICK, epochs=10)),
        "paper": grid(
            **_BOTH, data="mnist", n_train=60_000, probe=10_000, hidden=[list(HIDDEN)], epochs=50, factor=1.05
        ),
    },
    seeds={"smoke": 3, "quick": 3, "paper": 10},
    run=run,
    figures={"mlp": draw},
    claims=claims(CONDITIONS),
    minutes={"smoke": 0.2, "quick": 6, "paper": 600},
    notes=(
        "1500-1000-500-10 with ReLU on MNIST, batches of 50, on test images. The author's code leaves the rates open; "
        "here 0.001 for Adam and 0.1 for SGD, both of which learn. Quick trains 3 epochs with Adam, 3000 steps, "
        "where the rise is over within the first hundred; and 10 with SGD, where it goes on, more slowly, until "
        "nearly all training images are answered rightly. Seeds: 3 instead of 10."
    ),
    together=False,
)
