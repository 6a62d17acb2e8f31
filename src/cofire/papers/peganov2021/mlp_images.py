"""Perceptrons: correlation of each layer's activations on held-out images through training.

1500-1000-500-10 with ReLU on MNIST, batches of 50, on test images. The author's code leaves the rates open; here
0.001 for Adam and 0.1 for SGD, both of which learn. It leaves open the initialization too: both He's and torch's
default are run, and a claim that holds under one only depends on it. Medium trains on all images as long as the curves
need: 3 epochs with Adam; with SGD 20 from He's initialization and 5 from torch's, where the peak comes far sooner.
"""

from functools import partial

from ...record import Row
from ..framework.experiment import Experiment, notes_of, texts_of
from ..framework.tasks import Task, grid
from ..training.datasets import load
from ..training.loop import Settings
from .correlation_course import RATES, course_claims, figure, trained
from .peganov_networks import HIDDEN, perceptron

CONDITIONS = {"Adam": {"optimizer": "adam"}, "SGD": {"optimizer": "sgd"}}
INITIALIZATIONS = {"He's": {"init": "normal"}, "torch's default": {"init": "torch"}}
PANELS = {
    f"{name}, {init}": {**wanted, **start}
    for init, start in INITIALIZATIONS.items()
    for name, wanted in CONDITIONS.items()
}


def run(task: Task) -> list[Row]:
    """Train perceptrons and record the course of correlation and the scores."""
    data = load(task["data"]).first(task["n_train"])
    networks = [perceptron(data, seed=seed, hidden=task["hidden"], init=task["init"]) for seed in task.seeds]
    settings = Settings.of(task.values, batch_size=50, learning_rate=RATES[task["optimizer"]])
    return trained(task, data, networks, settings, sites=["hidden*"])


_BOTH = {"optimizer": ["adam", "sgd"], "init": ["normal", "torch"]}
_MNIST = {"data": "mnist", "hidden": [list(HIDDEN)]}
_SHORT = {**_MNIST, "n_train": 50_000, "probe": 2000, "factor": 1.1}
_ALL = {**_MNIST, "n_train": 60_000, "probe": 2000, "factor": 1.1}

MLP = Experiment(
    name="peganov2021.mlp",
    title="Correlation of the activations of a perceptron through training",
    grid={
        "smoke": grid(**_BOTH, data="digits", n_train=500, probe=200, hidden=[[40, 30, 20]], epochs=8, factor=1.3),
        "quick": grid(**_BOTH, **_SHORT, epochs=3),
        "medium": (
            *grid(optimizer="adam", init=["normal", "torch"], **_ALL, epochs=3),
            *grid(optimizer="sgd", init="torch", **_ALL, epochs=5),
            *grid(optimizer="sgd", init="normal", **_ALL, epochs=20),
        ),
        "paper": grid(**_BOTH, **_MNIST, n_train=60_000, probe=10_000, epochs=50, factor=1.05),
    },
    seeds={"smoke": 3, "quick": 3, "medium": 10, "paper": 10},
    run=run,
    version=2,
    figures={"mlp": partial(figure, conditions=PANELS)},
    claims=course_claims(__package__, "course", CONDITIONS, INITIALIZATIONS),
    minutes={"smoke": 0.3, "quick": 6, "medium": 45, "paper": 1200},
    notes=notes_of(__doc__),
    **texts_of(__package__, "mlp"),
    together=False,
)
