"""A training loop over data in memory: tracked, reproducible, and resumable after a kill."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...nets.loading.eval_mode import evaluating
from ...record import Measure, Run, Tracker, resumable
from ..framework.task_context import Stage, begin_stage
from .datasets import Dataset
from .resuming import learning_state, on_device, restore_learning

EVALUATED_AT_ONCE, ON_A_GPU = 256, 8192
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@dataclass(frozen=True)
class Settings:
    """Everything that determines a training run, apart from the model and the data.

    Attributes:
        epochs: passes over the training data.
        batch_size: samples per step; the last batch of an epoch may be smaller.
        optimizer: ``"adam"`` or ``"sgd"``.
        learning_rate: learning rate of the optimizer.
        momentum: momentum of ``"sgd"``.
        weight_decay: weight decay of the optimizer.
        seed: random seed for the order of the batches, which changes from epoch to epoch.

    Raises:
        ValueError: if a number is below 1 or the optimizer is unknown.
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

    @classmethod
    def of(cls, values: Mapping[str, Any], **fixed: Any) -> Self:
        """Build settings from a task's values of the same names; ``fixed`` adds to them or replaces them.

        Example:
            >>> Settings.of({"data": "mnist", "epochs": 3}, optimizer="sgd", learning_rate=0.1).epochs
            3
        """
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names} | fixed)

    def steps_per_epoch(self, n_samples: int) -> int:
        """Return the number of batches in ``n_samples`` training samples."""
        return -(-n_samples // self.batch_size)

    def make_optimizer(self, parameters: Iterable[Tensor], **options: Any) -> torch.optim.Optimizer:
        """Create the optimizer; ``options`` are further arguments of torch's."""
        if self.optimizer == "sgd":  # the only one that knows momentum
            options["momentum"] = self.momentum
        make = OPTIMIZERS[self.optimizer]
        return make(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, **options)


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy in nats and share of right answers, on training and test data."""

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
    overwrite: bool = False,
    measures: Iterable[Measure],
    every: Any = "epoch",
    probe: Any = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Scores:
    """Train a classifier, tracked; a second call with the same run directory resumes the run.

    The same settings on one machine and number of threads give the same bytes, resumed or not. Each epoch's scores
    are recorded as ``loss``, ``accuracy``, ``test_loss`` and ``test_accuracy``.

    Args:
        model: maps a batch of inputs to logits; trained in place.
        data: training and test data.
        settings: see `Settings`.
        run: run directory.
        overwrite: remove an earlier run of the directory.
        measures: as for `Tracker`.
        every: as for `Tracker`.
        probe: as for `Tracker`.
        progress: called with the number of steps done and the total.

    Returns:
        The scores of the trained model.

    Raises:
        ValueError: if the directory holds a run with other settings.
        RunLocked: if another process trains there.
        SystemExit: with status 143 after SIGTERM, once the step is done and saved.
    """
    optimizer = settings.make_optimizer(model.parameters())
    per_epoch = settings.steps_per_epoch(len(data.train_x))
    config = configuration(model, data, settings)
    with (
        Run.open(run, mode="write", config=config, overwrite=overwrite) as directory,
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
            progress(step, settings.epochs * per_epoch)
        tracker.finish()
        return scores(model, data)


def configuration(model: nn.Module, data: Dataset, settings: Settings) -> dict[str, Any]:
    """Return what determines the numbers of a run of `train`."""
    return {"data": data.name, "model": repr(model), **vars(settings)}


def fit(model: nn.Module, data: Dataset, settings: Settings, *, until_loss: float = -math.inf) -> int:
    """Train a classifier in place with the same steps as `train`, and record nothing.

    It trains on the running task's device and ends on the CPU; a task that was interrupted goes on from its checkpoint.

    Args:
        model: maps a batch of inputs to logits.
        data: its training part is used.
        settings: see `Settings`.
        until_loss: stop after the first epoch that ends with a training loss of at most this.

    Returns:
        The number of epochs trained.
    """
    stage = begin_stage(f"{model!r}, {settings}, {len(data.train_x)} of {data.name}, until {until_loss}")
    if stage.state is not None and stage.finished:
        restore_learning([model], stage.state)
        return stage.state["epoch"]
    with on_device([model]) as device:
        epoch = _fit(model, data.on(device), settings, until_loss, stage)
    stage.finish(partial(learning_state, [model], (), step=0, epoch=epoch))
    return epoch


def _fit(model: nn.Module, data: Dataset, settings: Settings, until_loss: float, stage: Stage) -> int:
    optimizer = settings.make_optimizer(model.parameters())
    per_epoch = settings.steps_per_epoch(len(data.train_x))
    start = 0
    if stage.state is not None:
        restore_learning([model], stage.state, optimizer)
        start = stage.state["step"]
    step = start
    for step, batch in batches(data.train_x, data.train_y, settings, start=start):
        _learn(model, optimizer, *batch)
        if step % per_epoch:
            continue
        # A loss is never negative: without a limit, the training data need not be scored.
        if until_loss >= 0 and scored(model, data.train_x, data.train_y)[0] <= until_loss:
            break
        time = {"step": step, "epoch": step // per_epoch}
        stage.save(partial(learning_state, [model], (), **time, optimizer=optimizer))
    return step // per_epoch


def batches(x: Tensor, y: Tensor, settings: Settings, *, start: int = 0) -> Iterator[tuple[int, Sequence[Tensor]]]:
    """Yield each step, from ``start`` + 1 on, with its batch; the order depends on seed and epoch alone."""
    per_epoch = settings.steps_per_epoch(len(x))
    for epoch in range(start // per_epoch, settings.epochs):
        parts = order_of(len(x), settings.seed, epoch).split(settings.batch_size)
        for step, chosen in enumerate(parts, epoch * per_epoch + 1):
            if step > start:
                yield step, (x[chosen], y[chosen])


def order_of(n_samples: int, seed: int, epoch: int) -> Tensor:
    """Return the order of the samples in an epoch."""
    # Distinct for every pair of seed and epoch, up to a million epochs.
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n_samples, generator=generator)


def scores(model: nn.Module, data: Dataset) -> Scores:
    """Compute loss and accuracy on training and test data, in eval mode."""
    return Scores(*scored(model, data.train_x, data.train_y), *scored(model, data.test_x, data.test_y))


def scored(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Compute mean cross-entropy in nats and the share of right answers, in eval mode."""
    with evaluating(model):
        logits = torch.cat([model(part) for part in x.split(ON_A_GPU if x.is_cuda else EVALUATED_AT_ONCE)])
    return float(functional.cross_entropy(logits, y)), float((logits.argmax(1) == y).double().mean())


def _learn(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    model.train()  # a measure or a score may have left it in eval mode
    optimizer.zero_grad()
    functional.cross_entropy(model(x), y).backward()
    optimizer.step()
