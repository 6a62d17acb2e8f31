"""Networks, data and training of the paper's experiments, and the spread of correlations."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite

import torch
from torch import nn

from ...nets import capture
from ...record import Row
from ...stats.correlation.moments import Moments
from ..framework.claim_table import MissingRows, Table
from ..framework.experiment import row
from ..framework.plots import Axes, Figure, draw, legend, panels
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
VANILLA, MILD, STRONG = "VANILLANET", "CORRNET-0.1", "CORRNET-1.0"
DROP, NORMED = "DROPNET", "BATCHNORM"
COLORS = {VANILLA: "#1f5fbf", MILD: "#2a9d3a", STRONG: "#d62728", DROP: "#8e6bbf", NORMED: "#e69f00"}
"""As in the paper, where it has them: blue, green, red."""
Values = dict[int, float]


@dataclass(frozen=True)
class Reading:
    """One way to read what the paper leaves open.

    Attributes:
        kinds: without the penalty, with a weight of 0.1, and of 1.0.
        init: initialization.
        momentum: momentum.
    """

    kinds: tuple[str, str, str] = (VANILLA, MILD, STRONG)
    init: str = "torch"
    momentum: float = 0.8

    def rows(self, table: Table, kind: str, size: str) -> Table:
        """Return the rows of networks of a kind and size.

        Raises:
            MissingRows: if there are none.
        """
        return table.need(kind=kind, size=size, init=self.init, momentum=self.momentum)


CODED = (VANILLA, MILD + AS_CODED, STRONG + AS_CODED)
READINGS = {
    "as printed": Reading(),
    "penalty as in the author's code": Reading(CODED),
    "the author's code as it runs, without momentum": Reading(CODED, momentum=0.0),
    "He's initialization": Reading(init="normal"),
}
CHOICE = "the penalty's scale, momentum and initialization"


def data_of(task: Task) -> Dataset:
    """Load standardized images; the paper's validation set, the last sixth of the training set, is the test part."""
    whole = load(task["data"]).standardized()
    return whole.held_out(len(whole.train_x) // 6).first(task["n_train"])


def networks_of(task: Task, data: Dataset) -> list[nn.Sequential]:
    """Build the networks of a task's size, kind and initialization, one per seed."""
    widths = (data.train_x[0].numel(), *SIZES[task["size"]], data.n_classes)
    options = {"dropout": 0.3 * (task["kind"] == DROP), "batch_norm": task["kind"] == NORMED}
    return [mlp(widths, activation="leaky_relu", seed=seed, init=task["init"], **options) for seed in task.seeds]


def penalized(task: Task) -> Penalized | None:
    """Return CORRNET's penalty on every hidden layer, or None; the kind's name holds the weight and its reading."""
    name, _, weight = task["kind"].removesuffix(AS_CODED).partition("-")
    samples = BATCH_SIZE if task["kind"].endswith(AS_CODED) else 1
    return Penalized(correlation_penalties, LAYERS, float(weight) / samples) if name == "CORRNET" else None


def trained(task: Task, data: Dataset, networks: Sequence[nn.Sequential], watch: Watch) -> list[Row]:
    """Train as the paper does: SGD, rate .05, weight decay 1e-4, batches of 50; its momentum is .8."""
    sgd = {"optimizer": "sgd", "learning_rate": 0.05, "momentum": task["momentum"], "weight_decay": 1e-4}
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
    axis.bar([(index + 0.5) / BINS for index in range(BINS)], bins, width=1 / BINS, color=COLORS[VANILLA])
    means = part.need(measure="nc", value=isfinite).per_seed()
    mean = sum(means.values()) / len(means)
    axis.axvline(mean, color="red", label=f"mean {mean:.3f}")
    axis.legend(frameon=False, fontsize=7, loc="upper right")  # "best" is slow to compute among bars


def draw_sizes(table: Table, value: Callable[[Reading, str, str], Values], ylabel: str, **axis_settings: str) -> Figure:
    """Draw a panel for each reading with a curve over network sizes for each kind, without diverged networks.

    Args:
        table: the rows.
        value: reading, size and kind → each seed's value; MissingRows where there is none.
        ylabel: label of the axis.
        axis_settings: as for matplotlib's ``Axes.set``.
    """
    drawn, axes = panels(2, 2, width=3.4, height=2.6, sharex=True, sharey=True)
    sizes = [size for size in SIZES if table.where(size=size)]
    for axis, (told, reading) in zip([*axes[0], *axes[1]], READINGS.items(), strict=True):
        for kind in (*reading.kinds, *([NORMED] if told == "as printed" else [])):
            curve: dict[str, Values] = {}
            for size in sizes:
                with suppress(MissingRows):
                    values = value(reading, size, kind)
                    if all(map(isfinite, values.values())):
                        curve[size] = values
            if curve:
                plain = kind.removesuffix(AS_CODED)
                draw(axis, curve, plain, color=COLORS[plain], marker="o", markersize=3)
        axis.set(title=told, **axis_settings)
        axis.title.set_fontsize(8)
    drawn.supylabel(ylabel, fontsize=9)
    legend(drawn)
    return drawn
