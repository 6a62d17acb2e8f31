"""The paper's networks N1 to N7, and their training."""

from collections.abc import Sequence

import torch
from torch import nn

from ...record import Measure, Row
from ..framework.tasks import Task
from ..training.datasets import Dataset, load
from ..training.loop import Settings
from ..training.models import ACTIVATIONS, Dropout, draw_weights, mlp, n_features
from ..training.stacked_training import Watch, fit

HIDDEN = {"N1": (20,) * 5, "N2": (5,), "N3": (110, 10), "N4": (40,) * 3, "N5": (30,) * 4}
FILTER_SIZES = {"N6": 3, "N7": 6}
CHANNELS = (32, 64, 128)
DROPPED = (0.2, 0.3, 0.4)
PROBE = 2000


def network(name: str, data: Dataset, *, activation: str, seed: int) -> nn.Sequential:
    """Build one of the paper's networks for the images and classes of a data set.

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
    """Return the name of the layer before the output.

    Example:
        >>> penultimate("N5"), penultimate("N6")
        ('hidden4', 'conv3')
    """
    return f"hidden{len(HIDDEN[name])}" if name in HIDDEN else f"conv{len(CHANNELS)}"


def _convolutional(shape: torch.Size, n_classes: int, size: int, activation: str, seed: int) -> nn.Sequential:
    """Stack convolution, activation, pooling and dropout three times; an even filter enlarges an image by a pixel."""
    net, n_in = nn.Sequential(), shape[0]
    for number, (n_out, p) in enumerate(zip(CHANNELS, DROPPED, strict=True), 1):
        net.add_module(f"conv{number}", nn.Conv2d(n_in, n_out, size, padding=size // 2))
        net.add_module(f"act{number}", ACTIVATIONS[activation]())
        net.add_module(f"pool{number}", nn.MaxPool2d(2, ceil_mode=True))
        net.add_module(f"drop{number}", Dropout(p, seed=1000 * seed + number))
        n_in = n_out
    net.add_module("flatten", nn.Flatten())
    net.add_module("output", nn.Linear(n_features(net, shape), n_classes))
    draw_weights(net, activation, seed=seed)
    return net


def dataset(task: Task) -> Dataset:
    """Load a task's first training samples and its first test samples, or all of these."""
    return load(task["data"]).first(task["n_train"], task.get("n_test"))


def networks_of(task: Task, data: Dataset) -> list[nn.Sequential]:
    """Build a task's networks, one per seed."""
    return [network(task["network"], data, activation=task["activation"], seed=seed) for seed in task.seeds]


def trained(
    task: Task, data: Dataset, measures: Sequence[Measure], *, models: Sequence[nn.Sequential] | None = None
) -> list[Row]:
    """Train a task's networks with measures on test samples after the epochs of `epochs_shown`.

    Args:
        task: the task.
        data: as from `dataset`.
        measures: what to record.
        models: the networks, if they are needed afterwards; by default those of `networks_of`.
    """
    models = models or networks_of(task, data)
    settings = Settings.of(task.values)
    per_epoch = settings.steps_per_epoch(len(data.train_x))
    at = [epoch * per_epoch for epoch in epochs_shown(task["epochs"])]
    watch = Watch(measures=measures, probe=data.test_x[:PROBE], every=at, scores_every=at)
    rows = fit(models, data, settings, seeds=task.seeds, watch=watch)
    return [one._replace(epoch=one.step // per_epoch) for one in rows]


def epochs_shown(epochs: int) -> list[int]:
    """Return epochs at roughly geometric distances, because networks change fastest at first, and the last one.

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
