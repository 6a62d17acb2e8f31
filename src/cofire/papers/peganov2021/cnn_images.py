"""Convolutional networks: correlation of each layer's channels and units on held-out pictures through training.

Units of a convolution are its channels, samples the positions of all pictures; those of one picture are not
independent. Weights begin as in the author's code (a truncated normal distribution of deviation .1, whatever the
fan-in) or by torch's default; a claim that holds under one only depends on it. Medium learns all 50,000 pictures of
CIFAR-10 for 2 epochs, 2000 steps: a step of this network takes nearly half a second on one core. Quick learns 5000.
"""

from functools import partial

from ...record import Row
from ..framework.experiment import Experiment, notes_of, texts_of
from ..framework.tasks import Task, grid
from ..training.datasets import load
from ..training.loop import Settings
from .correlation_course import course_claims, figure, trained
from .peganov_networks import CHANNELS, convolutional

CONDITIONS = {"convolutions, Adam": {"optimizer": "adam"}}
INITIALIZATIONS = {"the author's": {"init": "truncated normal"}, "torch's default": {"init": "torch"}}
PANELS = {f"Adam, {name} initialization": start for name, start in INITIALIZATIONS.items()}
SMALL = [[8, 3, 1], [12, 3, 1], [16, 3, 1]]
LARGE = [list(layer) for layer in CHANNELS]


def run(task: Task) -> list[Row]:
    """Train convolutional networks and record the course of correlation and the scores."""
    data = load(task["data"]).first(task["n_train"], task["n_test"])
    networks = [convolutional(data, seed=seed, channels=task["channels"], init=task["init"]) for seed in task.seeds]
    settings = Settings.of(task.values, batch_size=50, learning_rate=1e-4, weight_decay=task["penalty"])
    return trained(task, data, networks, settings, sites=["conv*", "dense"])


_ALL = {"optimizer": "adam", "penalty": 0.03, "init": ["truncated normal", "torch"]}
_DIGITS = {**_ALL, "data": "digits", "channels": [SMALL]}
_CIFAR = {**_ALL, "data": "cifar10", "channels": [LARGE]}

CNN = Experiment(
    name="peganov2021.cnn",
    title="Correlation of the activations of a convolutional network through training",
    grid={
        "smoke": grid(**_DIGITS, n_train=300, n_test=100, probe=50, epochs=5, factor=1.5),
        "quick": grid(**_CIFAR, n_train=5000, n_test=1000, probe=300, epochs=4, factor=1.2),
        "medium": grid(**_CIFAR, n_train=50_000, n_test=1000, probe=500, epochs=2, factor=1.12),
        "paper": grid(**_CIFAR, n_train=50_000, n_test=10_000, probe=5000, epochs=50, factor=1.05),
    },
    seeds={"smoke": 2, "quick": 3, "medium": 3, "paper": 10},
    run=run,
    version=2,
    figures={"cnn": partial(figure, conditions=PANELS)},
    claims=course_claims(__package__, "course", CONDITIONS, INITIALIZATIONS),
    minutes={"smoke": 0.4, "quick": 5, "medium": 60, "paper": 24_000},
    notes=notes_of(__doc__),
    **texts_of(__package__, "cnn"),
    together=False,
)
