"""Networks, data and training of the paper's experiments, and the spread of correlations."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite

import torch
from torch import nn

from ...nets import capture
from ...record import Row
from ...stats.correlation.moments import Moments
from ..framework.claim_table import Table
from ..framework.experiment import row
from ..framework.plots import COLORS, Axes, Figure, draw, legend, panels
from ..framework.tasks import Task
from ..training.datasets import Dataset, load
from ..training.loop import Settings
from ..training.models import mlp
from ..training.stacked_training import Penalized, Watch, correlation_penalties, fit

BINS = 50
SIZES = {"TINY": (40, 20, 10), "SMALL": (120, 60, 30), "MEDIUM": (200, 100, 50), "LARGE": (280, 140, 70)}
SIZES["HUGE"] = (360, 180, 90)
"""Units of the hidden layers, as in the paper's text; Table 1 prints its columns in reverse."""
LAYERS = ("act1", "act2", "act3")
BATCH_SIZE = 50
AS_CODED = " (code)"
"""Suffix of the kinds whose penalty is divided by the batch size, as in the author's code."""


def data_of(task: Task) -> Dataset:
    """Load standardized images; the paper's validation set, the last sixth of the training set, is the test part."""
    whole = load(task["data"]).standardized()
    return whole.held_out(len(whole.train_x) // 6).first(task["n_train"])


def networks_of(task: Task, data: Dataset) -> list[nn.Sequential]:
    """Build the networks of a task's size and kind, one per seed, with torch's initialization by default."""
    widths = (data.train_x[0].numel(), *SIZES[task["size"]], data.n_classes)
    options = {"dropout": 0.3 * (task["kind"] == "DROPNET"), "batch_norm": task["kind"] == "BATCHNORM"}
    init = task.get("init", "torch")
    return [mlp(widths, activation="leaky_relu", seed=seed, init=init, **options) for seed in task.seeds]


def penalized(task: Task) -> Penalized | None:
    """Return CORRNET's penalty on every hidden layer, or None; the kind's name holds the weight and its reading."""
    name, _, weight = task["kind"].removesuffix(AS_CODED).partition("-")
    samples = BATCH_SIZE if task["kind"].endswith(AS_CODED) else 1
    return Penalized(correlation_penalties, LAYERS, float(weight) / samples) if name == "CORRNET" else None


def trained(task: Task, data: Dataset, networks: Sequence[nn.Sequential], watch: Watch) -> list[Row]:
    """Train as the paper does: SGD, rate .05, momentum .8, weight decay 1e-4, batches of 50."""
    sgd = {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.8, "weight_decay": 1e-4}
    settings = Settings.of(task.values, batch_size=BATCH_SIZE, **sgd)
    rows = fit(networks, data, settings, seeds=task.seeds, watch=watch, penalized=penalized(task))
    for network in networks:
        network.eval()
    return rows


def finite(networks: Sequence[nn.Module]) -> list[bool]:
    """Return whether each network's weights are all finite."""
    return [all(bool(torch.isfinite(weight).all()) for weight in network.parameters()) for network in networks]


def spread(network: nn.Module, data: Dataset, layers: Sequence[str], *, seed: int) -> Iterator[Row]:
    """Yield mean and histogram of abs(ρ) over the pairs of each layer's units, after leaky ReLU, on held-out images."""
    with torch.no_grad(), capture(network, list(layers)) as activations:
        network(data.test_x)
    for layer in layers:
        moments = Moments().update(activations[layer])
        summary, counts = moments.summary(), moments.histogram(bins=BINS)
        yield row("nc", summary.mean_abs, seed=seed, site=layer, n_samples=summary.n_samples)
        yield row("n_constant", summary.n_constant, seed=seed, site=layer)
        for index, count in enumerate(counts.tolist()):
            yield row("share", count / max(summary.n_pairs, 1), seed=seed, site=layer, bin=index)


def draw_spread(axis: Axes, part: Table) -> None:
    """Draw the histogram of abs(ρ), averaged over seeds, with the mean as a red line."""
    bins = [sum(seeds.values()) / len(seeds) for seeds in part.curve("bin", measure="share").values()]
    axis.bar([(index + 0.5) / BINS for index in range(BINS)], bins, width=1 / BINS, color=COLORS[0])
    means = part.need(measure="nc", value=isfinite).per_seed()
    mean = sum(means.values()) / len(means)
    axis.axvline(mean, color="red", label=f"mean {mean:.3f}")
    axis.legend(frameon=False, fontsize=7, loc="upper right")  # "best" is slow to compute among bars


def draw_sizes(
    table: Table, kinds: Iterable[str], value: Callable[[str, str], dict[int, float]], ylabel: str, **axis_settings: str
) -> Figure:
    """Draw a curve over network sizes for each kind, from a function of size and kind to each seed's value."""
    drawn, axes = panels(1, 1, width=4.5, height=3)
    sizes = [size for size in SIZES if table.where(size=size)]
    for color, kind in zip(COLORS, kinds, strict=False):
        draw(axes[0][0], {size: value(size, kind) for size in sizes}, kind, color=color, marker="o")
    axes[0][0].set(ylabel=ylabel, **axis_settings)
    legend(drawn)
    return drawn
