"""The networks N1 to N7 of the paper, how they are trained, and what is watched of them."""

from collections.abc import Sequence

import torch
from torch import nn

from ...record import Measure, Row
from ..framework.tasks import Task
from ..training.datasets import Dataset, load
from ..training.loop import Settings
from ..training.models import ACTIVATIONS, Dropout, draw_weights, mlp
from ..training.stacked_training import Watch, fit

HIDDEN = {"N1": (20,) * 5, "N2": (5,), "N3": (110, 10), "N4": (40,) * 3, "N5": (30,) * 4}
FILTER_SIZES = {"N6": 3, "N7": 6}
CHANNELS = (32, 64, 128)
DROPPED = (0.2, 0.3, 0.4)
PROBE = 2000


def network(name: str, data: Dataset, *, activation: str, seed: int) -> nn.Sequential:
    """One of the paper's networks, for the images and classes of a data set.

    Raises:
        ValueError: if the paper has no network of this name.

    Example:
        >>> from cofire.papers.training.datasets import digits
        >>> [name for name, _ in network("N3", digits(), activation="relu", seed=0).named_children()]
        ['flatten', 'hidden1', 'act1', 'hidden2', 'act2', 'output']
    """
    shape = data.train_x.shape[1:]
    if name in HIDDEN:
        return mlp([shape.numel(), *HIDDEN[name], data.n_classes], activation=activation, seed=seed)
    if name in FILTER_SIZES:
        return _convolutional(shape, data.n_classes, FILTER_SIZES[name], activation, seed)
    raise ValueError(f"the paper's networks are {', '.join([*HIDDEN, *FILTER_SIZES])}; got {name!r}")


def penultimate(name: str) -> str:
    """The layer before the output.

    Example:
        >>> penultimate("N5"), penultimate("N6")
        ('hidden4', 'conv3')
    """
    return f"hidden{len(HIDDEN[name])}" if name in HIDDEN else f"conv{len(CHANNELS)}"


def _convolutional(shape: torch.Size, n_classes: int, size: int, activation: str, seed: int) -> nn.Sequential:
    """Convolution, activation, pooling and dropout, three times; an even filter makes an image one pixel larger."""
    net = nn.Sequential()
    n_in = shape[0]
    for number, (n_out, p) in enumerate(zip(CHANNELS, DROPPED, strict=True), 1):
        net.add_module(f"conv{number}", nn.Conv2d(n_in, n_out, size, padding=size // 2))
        net.add_module(f"act{number}", ACTIVATIONS[activation]())
        net.add_module(f"pool{number}", nn.MaxPool2d(2, ceil_mode=True))
        net.add_module(f"drop{number}", Dropout(p, seed=1000 * seed + number))
        n_in = n_out
    net.add_module("flatten", nn.Flatten())
    with torch.no_grad():
        n_features = net.eval()(torch.zeros(1, *shape)).shape[1]
    net.train().add_module("output", nn.Linear(n_features, n_classes))
    draw_weights(net, activation, torch.Generator().manual_seed(seed))
    return net


def dataset(task: Task) -> Dataset:
    """The first training samples that a task asks for, and the first test samples, or all."""
    return load(task["data"]).first(task["n_train"], task.get("n_test"))


def trained(task: Task, data: Dataset, measures: Sequence[Measure]) -> list[Row]:
    """Train a task's networks, one a seed; measures are taken on test samples after the epochs of `epochs_shown`."""
    an_epoch = -(-len(data.train_x) // task["batch_size"])
    at = [epoch * an_epoch for epoch in epochs_shown(task["epochs"])]
    models = [network(task["network"], data, activation=task["activation"], seed=seed) for seed in task.seeds]
    settings = Settings(
        epochs=task["epochs"],
        batch_size=task["batch_size"],
        optimizer=task["optimizer"],
        learning_rate=task["learning_rate"],
    )
    watch = Watch(measures=measures, probe=data.test_x[:PROBE], every=at, scores_every=at)
    rows = fit(models, data, settings, seeds=task.seeds, watch=watch)
    return [one._replace(epoch=one.step // an_epoch) for one in rows]


def epochs_shown(epochs: int) -> list[int]:
    """About geometrically spaced, since networks change fastest at the beginning; the last is among them.

    Example:
        >>> epochs_shown(20)
        [0, 1, 2, 3, 4, 6, 8, 10, 13, 17, 20]
    """
    found = {0, epochs}
    epoch = 1.0
    while epoch < epochs:
        found.add(int(epoch))
        epoch *= 1.3
    return sorted(found)
