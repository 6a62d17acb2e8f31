"""Training of the networks that are shrunk, the data that shrinking sees, and the score on the test data."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..framework.task_context import begin_stage
from ..framework.tasks import Task
from ..training.datasets import Dataset, load
from ..training.language import Reading, State, learn_text, text_loss, windows_of
from ..training.loop import Settings, order_of, scored
from ..training.resuming import learning_state, on_device, restore_learning
from ..training.texts import load_text
from .shrink_networks import TEXT_NETWORKS, network

SHIFT = 4
"""Pixels by which a training image is moved at most."""
WARM = 0.15
"""Share of the training over which the learning rate grows."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network with all that its shrinking and scoring take.

    Attributes:
        model: the network, in eval mode.
        calibration: inputs to shrink with, part of the training data.
        wanted: the labels of these inputs, or the characters that follow.
        check: other inputs, to measure the error of the outputs on.
        score: network → its score on the test data, larger is better: the accuracy, or minus the loss in nats.
    """

    model: nn.Module
    calibration: Tensor
    wanted: Tensor
    check: Tensor
    score: Callable[[nn.Module], float]


def trained(task: Task, seed: int) -> Trained:
    """Train a network of a task."""
    return _trained_on_text(task, seed) if task["network"] in TEXT_NETWORKS else _trained_on_images(task, seed)


def _trained_on_images(task: Task, seed: int) -> Trained:
    data = load(task["data"]).first(task["n_train"], task["n_test"]).standardized()
    model = network(task["network"], seed)
    learn_images(model, data, Settings.of(task.values, seed=seed), augmented=task["augmented"])
    n = task["n_calibration"]
    return Trained(
        model.eval(),
        data.train_x[:n],
        data.train_y[:n],
        data.test_x[: n // 2],
        lambda net: scored(net, data.test_x, data.test_y)[1],
    )


def _trained_on_text(task: Task, seed: int) -> Trained:
    text, length = load_text(task["data"]).first(task["n_train"], task["n_test"]), task["length"]
    model = network(task["network"], seed, n_symbols=len(text.vocabulary))
    learn_text(Stateless(model), text, Reading.of(task.values, seed=seed), seed=seed)
    n = task["n_calibration"]
    windows = windows_of(text.train, n_windows=n, length=length + 1)
    most = len(text.test) // length
    return Trained(
        model.eval(),
        windows[:, :-1],
        windows[:, 1:],
        windows_of(text.test, n_windows=min(n // 2, most), length=length),
        lambda net: -text_loss(Stateless(net), text.test, length=length),
    )


class Stateless(nn.Module):
    """A network that reads each window of a text by itself, in the form that `learn_text` takes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, symbols: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the logits and no state."""
        return self.net(symbols), ()


def learn_images(model: nn.Module, data: Dataset, settings: Settings, *, augmented: bool) -> None:
    """Train a classifier in place, with a learning rate that grows for a while and then falls to 0.

    It trains on the running task's device and ends on the CPU; a task that was interrupted goes on from its checkpoint.

    Args:
        model: maps a batch of images to logits.
        data: its training part is used.
        settings: the learning rate is the largest.
        augmented: whether each image is moved by up to 4 pixels and mirrored at random, anew each time.
    """
    stage = begin_stage(f"{model!r}, {settings}, {len(data.train_x)} of {data.name}, {augmented=}")
    if stage.state is not None and stage.finished:
        restore_learning([model], stage.state)
        return
    per_epoch = settings.steps_per_epoch(len(data.train_x))
    total = settings.epochs * per_epoch
    with on_device([model]) as device:
        here = data.on(device)
        optimizer = settings.make_optimizer(model.parameters())
        begun = 0
        if stage.state is not None:
            restore_learning([model], stage.state, optimizer)
            begun = stage.state["epoch"]
        for epoch in range(begun, settings.epochs):
            batches = _epoch(here.train_x, here.train_y, settings, epoch, augmented=augmented)
            for step, (x, y) in enumerate(batches, epoch * per_epoch):
                for group in optimizer.param_groups:
                    group["lr"] = settings.learning_rate * share_of_rate((step + 1) / total)
                model.train()
                optimizer.zero_grad()
                functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            time = {"step": (epoch + 1) * per_epoch, "epoch": epoch + 1}
            stage.save(partial(learning_state, [model], (), **time, optimizer=optimizer))
    stage.finish(partial(learning_state, [model], (), step=total, epoch=settings.epochs))


def share_of_rate(progress: float) -> float:
    """Return the share of the learning rate after a share of the training: up a line, and down another one.

    Example:
        >>> [round(share_of_rate(at), 2) for at in (0.075, 0.15, 0.575, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
    """
    return min(progress / WARM, (1 - progress) / (1 - WARM))


def _epoch(x: Tensor, y: Tensor, settings: Settings, epoch: int, *, augmented: bool) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch)
    for chosen in order_of(len(x), settings.seed, epoch).split(settings.batch_size):
        images = x[chosen]
        yield (moved(images, generator) if augmented else images), y[chosen]


def moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images each moved by up to 4 pixels, with zeros where nothing was, and mirrored or not.

    Example:
        >>> moved(torch.ones(2, 3, 8, 8), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3, 8, 8])
    """
    n, _, height, width = images.shape
    padded = functional.pad(images, (SHIFT,) * 4)
    up, left = torch.randint(0, 2 * SHIFT + 1, (2, n, 1), generator=generator).to(images.device)
    rows, columns = (start + torch.arange(size).to(start) for start, size in ((up, height), (left, width)))
    mirrored = (torch.rand(n, generator=generator) < 0.5).to(images.device)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    samples = torch.arange(n).to(images.device)[:, None, None]
    return padded.movedim(1, -1)[samples, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def labelled(trained: Trained, size: int) -> Sequence[tuple[Any, Tensor]]:
    """Return the calibration data in batches with what is wanted."""
    return list(zip(trained.calibration.split(size), trained.wanted.split(size), strict=True))
