"""A plain training loop over data held in memory: tracked, reproducible, and resumable after a kill."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...nets.loading.eval_mode import evaluating
from ...record import Measure, Run, Tracker, resumable
from .datasets import Dataset

EVALUATED_AT_ONCE = 256
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@dataclass(frozen=True)
class Settings:
    """What determines a training run, besides the model and the data.

    Attributes:
        epochs: passes over the training data.
        batch_size: samples of a step; the last batch of an epoch may be smaller.
        optimizer: ``"adam"`` or ``"sgd"``.
        learning_rate: of the optimizer.
        momentum: of ``"sgd"``.
        weight_decay: of the optimizer.
        seed: of the order of the batches, drawn anew each epoch.
    """

    epochs: int
    batch_size: int = 50
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(f"epochs and batch_size must be at least 1, got {self.epochs} and {self.batch_size}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")

    def steps_of_an_epoch(self, n_samples: int) -> int:
        """Batches that so many training samples make."""
        return -(-n_samples // self.batch_size)


@dataclass(frozen=True)
class Scores:
    """How a model does: mean cross-entropy in nats and share of right answers."""

    loss: float
    accuracy: float
    test_loss: float
    test_accuracy: float


def train(
    model: nn.Module,
    data: Dataset,
    settings: Settings,
    *,
    run: str | Path,
    measures: Iterable[Measure],
    every: Any = "epoch",
    probe: Any = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Scores:
    """Train a classifier, tracked; called again on the same run directory it goes on where it stopped.

    The same settings on one machine and number of threads give the same bytes, killed and resumed or not. Each
    epoch's scores are recorded as ``loss``, ``accuracy``, ``test_loss`` and ``test_accuracy``.

    Args:
        model: maps a batch of inputs to logits; trained in place.
        data: training and test data.
        settings: see `Settings`.
        run: run directory.
        measures: as for `Tracker`.
        every: as for `Tracker`.
        probe: as for `Tracker`.
        progress: called with the steps done and the steps in all.

    Raises:
        ValueError: if the directory holds a run of other settings.
        RunLocked: if another process trains there.
        SystemExit: with status 143 after SIGTERM, when the step is done and saved.
    """
    optimizer = _optimizer(model, settings)
    per_epoch = settings.steps_of_an_epoch(len(data.train_x))
    total = settings.epochs * per_epoch
    config = {"data": data.name, "model": repr(model), **vars(settings)}
    with (
        Run.open(run, mode="write", config=config) as directory,
        Tracker(model, measures, run=directory, every=every, probe=probe, seed=settings.seed) as tracker,
        resumable(directory, every=per_epoch, model=model, optimizer=optimizer, tracker=tracker) as loop,
    ):
        if loop.step == 0:
            tracker.log(**vars(scores(model, data)))
        for step, batch in batches(data.train_x, data.train_y, settings, start=loop.step):
            _learn(model, optimizer, *batch)
            tracker.step()
            if step % per_epoch == 0:
                tracker.end_epoch()
                tracker.log(**vars(scores(model, data)))
            loop.edge(step)
            progress(step, total)
        tracker.finish()
        return scores(model, data)


def fit(model: nn.Module, data: Dataset, settings: Settings, *, until_loss: float = -math.inf) -> int:
    """Train a classifier in place, with nothing recorded; the same steps as `train` makes.

    Args:
        model: maps a batch of inputs to logits.
        data: the training part is used.
        settings: see `Settings`.
        until_loss: stop after the first epoch at whose end the training loss is at most this.

    Returns:
        The epochs that were run.
    """
    optimizer = _optimizer(model, settings)
    per_epoch = -(-len(data.train_x) // settings.batch_size)
    step = 0
    for step, batch in batches(data.train_x, data.train_y, settings):
        _learn(model, optimizer, *batch)
        if until_loss >= 0 and step % per_epoch == 0 and scored(model, data.train_x, data.train_y)[0] <= until_loss:
            break
    return -(-step // per_epoch)


def batches(x: Tensor, y: Tensor, settings: Settings, *, start: int = 0) -> Iterator[tuple[int, Sequence[Tensor]]]:
    """Steps (from ``start`` + 1 on) and their batches; an epoch's order depends on the seed and the epoch alone."""
    per_epoch = settings.steps_of_an_epoch(len(x))
    for epoch in range(start // per_epoch, settings.epochs):
        parts = order_of(len(x), settings.seed, epoch).split(settings.batch_size)
        for place, chosen in enumerate(parts):
            step = epoch * per_epoch + place + 1
            if step > start:
                yield step, (x[chosen], y[chosen])


def order_of(n_samples: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch goes through the samples."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n_samples, generator=generator)


def scores(model: nn.Module, data: Dataset) -> Scores:
    """Loss and accuracy on training and test data, in eval mode."""
    return Scores(*scored(model, data.train_x, data.train_y), *scored(model, data.test_x, data.test_y))


def scored(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean cross-entropy in nats and share of right answers, in eval mode."""
    with evaluating(model):
        logits = torch.cat([model(part) for part in x.split(EVALUATED_AT_ONCE)])
    return float(functional.cross_entropy(logits, y)), float((logits.argmax(1) == y).double().mean())


def _learn(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    model.train()
    optimizer.zero_grad()
    functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def _optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    extra = {"momentum": settings.momentum} if settings.optimizer == "sgd" else {}
    make = OPTIMIZERS[settings.optimizer]
    return make(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, **extra)
