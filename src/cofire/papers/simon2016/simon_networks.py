"""What the paper's experiments share: its networks, its data, its way of training."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING

import torch
from torch import nn

from ...nets import capture
from ...record import Row
from ...stats.correlation.moments import Moments
from ..framework.claim_table import Table
from ..framework.experiment import row
from ..framework.plots import COLORS
from ..framework.tasks import Task
from ..training.datasets import Dataset, load
from ..training.loop import Settings
from ..training.models import mlp
from ..training.stacked_training import Penalized, Watch, correlation_penalties, fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 50
SIZES = {"TINY": (40, 20, 10), "SMALL": (120, 60, 30), "MEDIUM": (200, 100, 50), "LARGE": (280, 140, 70)}
SIZES["HUGE"] = (360, 180, 90)
"""Units of the hidden layers; Table 1 prints them the other way round, its text does not."""
LAYERS = ("act1", "act2", "act3")
BATCH_SIZE = 50
AS_CODED = " (code)"
"""Ends the kinds whose penalty is divided by the batch size, as in the author's code."""


def data_of(task: Task) -> Dataset:
    """Standardized images; what the paper calls validation, the last sixth of the training set, stands as the test."""
    whole = load(task["data"]).standardized()
    return whole.held_out(len(whole.train_x) // 6).first(task["n_train"])


def networks_of(task: Task, data: Dataset) -> list[nn.Sequential]:
    """The networks of a task's size and kind, one a seed, as torch initializes them unless the task says otherwise."""
    widths = (data.train_x[0].numel(), *SIZES[task["size"]], data.n_classes)
    options = {"dropout": 0.3 * (task["kind"] == "DROPNET"), "batch_norm": task["kind"] == "BATCHNORM"}
    init = task.get("init", "torch")
    return [mlp(widths, activation="leaky_relu", seed=seed, init=init, **options) for seed in task.seeds]


def penalized(task: Task) -> Penalized | None:
    """CORRNET's penalty, at every hidden layer; the number in its name is the weight, by the text or by the code."""
    name, _, weight = task["kind"].removesuffix(AS_CODED).partition("-")
    samples = BATCH_SIZE if task["kind"].endswith(AS_CODED) else 1
    return Penalized(correlation_penalties, LAYERS, float(weight) / samples) if name == "CORRNET" else None


def trained(task: Task, data: Dataset, networks: Sequence[nn.Sequential], watch: Watch) -> list[Row]:
    """Train as the paper does: SGD, rate .05, momentum .8, weight decay 1e-4, batches of 50."""
    settings = Settings(
        epochs=task["epochs"],
        batch_size=BATCH_SIZE,
        optimizer="sgd",
        learning_rate=0.05,
        momentum=0.8,
        weight_decay=1e-4,
    )
    rows = fit(networks, data, settings, seeds=task.seeds, watch=watch, penalized=penalized(task))
    for network in networks:
        network.eval()
    return rows


def finite(networks: Sequence[nn.Module]) -> list[bool]:
    """Which networks' weights are all numbers still."""
    return [all(bool(torch.isfinite(weight).all()) for weight in network.parameters()) for network in networks]


def spread(network: nn.Module, data: Dataset, layers: Sequence[str], *, seed: int) -> Iterator[Row]:
    """How abs(ρ) is spread over the pairs of each layer's units, behind its leaky ReLU, on the images held out."""
    with torch.no_grad(), capture(network, list(layers)) as activations:
        network(data.test_x)
    for layer in layers:
        moments = Moments().update(activations[layer])
        summary, counts = moments.summary(), moments.histogram(bins=BINS)
        yield row("nc", summary.mean_abs, seed=seed, site=layer, n_samples=summary.n_samples)
        yield row("n_constant", summary.n_constant, seed=seed, site=layer)
        for index, count in enumerate(counts.tolist()):
            yield row("share", count / max(summary.n_pairs, 1), seed=seed, site=layer, bin=index)


def draw_spread(axis: "Axes", part: Table) -> None:
    """A histogram of abs(ρ), the mean over seeds, with the mean as a red line."""
    bins = [sum(seeds.values()) / len(seeds) for seeds in part.curve("bin", measure="share").values()]
    axis.bar([(index + 0.5) / BINS for index in range(BINS)], bins, width=1 / BINS, color=COLORS[0])
    means = part.need(measure="nc", value=isfinite).per_seed()
    mean = sum(means.values()) / len(means)
    axis.axvline(mean, color="red", label=f"mean {mean:.3f}")
    axis.legend(frameon=False, fontsize=7, loc="upper right")  # the best place is slow to find among bars
