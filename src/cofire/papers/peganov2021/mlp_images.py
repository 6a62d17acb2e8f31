"""Perceptrons: correlation of each layer's activations on held-out images through training.

1500-1000-500-10 with ReLU on MNIST, batches of 50, on test images. The author's code leaves the rates open; here
0.001 for Adam and 0.1 for SGD, both of which learn. Quick trains 3 epochs with Adam, 3000 steps, where the rise is
over within the first hundred; and 10 with SGD, where it goes on, more slowly, until nearly all training images are
answered rightly. Seeds: 3 instead of 10.
"""

from functools import partial

from ...record import Row
from ..framework.experiment import Experiment, notes_of
from ..framework.tasks import Task, grid
from ..training.datasets import load
from ..training.loop import Settings
from .correlation_course import RATES, claims, figure, trained
from .peganov_networks import HIDDEN, perceptron

CONDITIONS = {"Adam": {"optimizer": "adam"}, "SGD": {"optimizer": "sgd"}}


def run(task: Task) -> list[Row]:
    """Train perceptrons and record the course of correlation and the scores."""
    data = load(task["data"]).first(task["n_train"])
    networks = [perceptron(data, seed=seed, hidden=task["hidden"]) for seed in task.seeds]
    settings = Settings.of(task.values, batch_size=50, learning_rate=RATES[task["optimizer"]])
    return trained(task, data, networks, settings, sites=["hidden*"])


_BOTH = {"optimizer": ["adam", "sgd"]}
_MNIST = {"data": "mnist", "hidden": [list(HIDDEN)]}
_QUICK = {**_MNIST, "n_train": 50_000, "probe": 2000, "factor": 1.1}

MLP = Experiment(
    name="peganov2021.mlp",
    title="Correlation of the activations of a perceptron through training",
    grid={
        "smoke": grid(**_BOTH, data="digits", n_train=500, probe=200, hidden=[[40, 30, 20]], epochs=8, factor=1.3),
        "quick": (*grid(optimizer="adam", **_QUICK, epochs=3), *grid(optimizer="sgd", **_QUICK, epochs=10)),
        "paper": grid(**_BOTH, **_MNIST, n_train=60_000, probe=10_000, epochs=50, factor=1.05),
    },
    seeds={"smoke": 3, "quick": 3, "paper": 10},
    run=run,
    figures={"mlp": partial(figure, conditions=CONDITIONS)},
    claims=claims(CONDITIONS),
    minutes={"smoke": 0.2, "quick": 6, "paper": 600},
    notes=notes_of(__doc__),
    together=False,
)
