"""Time of training ten seeds of I-30-30-30-30-O together and one after the other."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks.harness import measure, report
from cofire.papers.training.datasets import Dataset
from cofire.papers.training.loop import OPTIMIZERS, Settings, batches
from cofire.papers.training.models import mlp
from cofire.papers.training.stacked_training import Penalized, Watch, correlation_penalties, fit

SEEDS = range(10)
WIDTHS = (784, 30, 30, 30, 30, 10)


def pictures(n: int) -> Dataset:
    """Return noise in MNIST's shape."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 1, 28, 28, generator=generator), torch.randint(10, (n,), generator=generator)
    return Dataset("noise", x, y, x[:1], y[:1], 10)


def networks() -> list[nn.Sequential]:
    return [mlp(WIDTHS, seed=seed) for seed in SEEDS]


def plain(data: Dataset, settings: Settings) -> None:
    """Train each seed in the usual loop, with torch's own optimizer."""
    for seed, model in zip(SEEDS, networks(), strict=True):
        optimizer = settings.make_optimizer(model.parameters())
        for _, (x, y) in batches(data.train_x, data.train_y, Settings(**{**vars(settings), "seed": seed})):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()


def together(data: Dataset, settings: Settings, penalized: Penalized | None = None) -> None:
    watch = Watch(scores_every=[0], scored=data.first(1))
    fit(networks(), data, settings, seeds=SEEDS, watch=watch, penalized=penalized)


def alone(data: Dataset, settings: Settings, penalized: Penalized | None = None) -> None:
    """Train with the same code, one seed at a time."""
    watch = Watch(scores_every=[0], scored=data.first(1))
    for seed, model in zip(SEEDS, networks(), strict=True):
        fit([model], data, settings, seeds=[seed], watch=watch, penalized=penalized)


def main(n: int = 5000) -> None:
    """Time an epoch over ``n`` pictures in batches of 50."""
    data = pictures(n)
    penalized = Penalized(correlation_penalties, tuple(f"act{layer}" for layer in range(1, 5)), 0.1)
    for optimizer in OPTIMIZERS:
        settings = Settings(epochs=1, batch_size=50, optimizer=optimizer)
        contenders: dict[str, Callable[[], object]] = {
            "together": lambda settings=settings: together(data, settings),
            "one after the other, this code": lambda settings=settings: alone(data, settings),
            "one after the other, a plain loop": lambda settings=settings: plain(data, settings),
            "penalized, together": lambda settings=settings: together(data, settings, penalized),
            "penalized, one after the other": lambda settings=settings: alone(data, settings, penalized),
        }
        goals = {"one after the other, a plain loop": "at least 5"}
        report(f"{optimizer}, 10 seeds, {n} pictures", measure(contenders, rounds=5), floor="together", goals=goals)
