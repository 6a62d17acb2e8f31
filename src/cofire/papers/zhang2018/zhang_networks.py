"""Networks, training and measures of the paper's experiments."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...nets import capture
from ...record import Row
from ...stats import dependence_score, entropy_knn, permutation_threshold, total_correlation
from ..framework.experiment import row
from ..framework.tasks import Settings, Task, grid
from ..training.datasets import Dataset, load
from ..training.loop import Settings as Training
from ..training.models import mlp
from ..training.stacked_training import Watch, fit, score_rows

DEPTH = 5
LAYERS = (*(f"hidden{number}" for number in range(1, DEPTH)), "output")
HIDDEN = LAYERS[:-1]
PER_CLASS = 100
NEIGHBORS = 3  # the k of all estimators, their default
MOST_PAIRS = 5000
PERMUTATIONS = 19
GROUPS, GROUP_SIZE = 10, 5
"""The total correlation is that of this many groups of units; a larger group's joint entropy is beyond 1000 samples."""
INDEPENDENT_GROUPS = 0.064  # their total correlation for independent normal units: the joint entropy's bias
LINE = 0.01
"""The paper's threshold, which is the estimator's bias for independent units at 1000 samples."""
SPREAD_APART = 10_007
"""Added to a network's seed for each stretch of training, so that no two stretches repeat an order of the batches."""


def run(task: Task) -> Iterator[Row]:
    """Train perceptrons; record every layer's entropy and dependence, and the scores, at some epochs."""
    data = load(task["data"]).first(task["n_train"])
    return course(task, data, networks_of(task, data), LAYERS, thresholds=True)


def networks_of(task: Task, data: Dataset) -> list[nn.Sequential]:
    """Build networks of five layers with normal weights; all layers but the last have the same width."""
    widths = [data.train_x[0].numel(), *[task["width"]] * (DEPTH - 1), data.n_classes]
    return [mlp(widths, activation=task["activation"], seed=seed) for seed in task.seeds]


def moments(epochs: int) -> list[int]:
    """Return the epochs at which to measure: the last, half of it, half of that, and so on down to 1, and 0.

    Example:
        >>> moments(300)
        [0, 1, 2, 4, 9, 18, 37, 75, 150, 300]
    """
    return [0, *sorted({epochs >> times for times in range(epochs.bit_length())})]


def course(
    task: Task, data: Dataset, networks: Sequence[nn.Module], layers: Sequence[str], *, thresholds: bool = False
) -> Iterator[Row]:
    """Train by plain SGD at a constant rate; yield the layers' measures and the scores at `moments`.

    Plain SGD has no memory, so that training in stretches is training in one go.
    """
    probe, settings = balanced_sample(data), Training.of(task.values, optimizer="sgd")
    at_first: dict[tuple[int, str], Tensor] = {}
    done, unwatched = 0, Watch(scores_every=[2**62])
    for number, epoch in enumerate(moments(settings.epochs)):
        if epoch > done:
            orders = [seed + SPREAD_APART * (number - 1) for seed in task.seeds]
            fit(networks, data, replace(settings, epochs=epoch - done), seeds=orders, watch=unwatched)
        for seed, network in zip(task.seeds, networks, strict=True):
            for layer, x in pre_activations(network, probe, layers).items():
                entropies = unit_entropies(x)
                shift = entropies - at_first.setdefault((seed, layer), entropies)
                found = dependence(x, entropies, thresholds=thresholds and epoch in (0, settings.epochs))
                found["shift"] = float(shift[shift.isfinite()].abs().mean())
                for name, value in found.items():
                    yield row(name, value, seed=seed, epoch=epoch, site=layer, n_samples=len(probe))
        yield from score_rows(networks, data, task.seeds, epoch=epoch)
        done = epoch


def balanced_sample(data: Dataset, *, seed: int = 0) -> Tensor:
    """Draw a fixed sample of the training inputs: 100 of each class, or all if a class has fewer."""
    order = torch.randperm(len(data.train_y), generator=torch.Generator().manual_seed(seed))
    classes = (order[data.train_y[order] == label][:PER_CLASS] for label in range(data.n_classes))
    return data.train_x[torch.cat(list(classes))]


def pre_activations(network: nn.Module, probe: Tensor, layers: Sequence[str]) -> Mapping[str, Tensor]:
    """Compute the layers' pre-activations in eval mode, as float64."""
    network.eval()
    with torch.no_grad(), capture(network, list(layers), stage="pre") as activations:
        network(probe)
    network.train()
    return {layer: activations[layer].double() for layer in layers}


def unit_entropies(x: Tensor) -> Tensor:
    """Estimate each unit's entropy; NaN for units that have no density.

    After a layer that is dead for some inputs, pre-activations are tied, and the estimators would be wrong.
    """
    entropies = torch.stack([entropy_knn(unit) for unit in x.T])
    counts = [unit.unique(return_counts=True)[1] for unit in x.T]
    # A tenth of tied values is too many; and a sample that k others equal is at a distance of 0, whose logarithm is −∞.
    smooth = torch.tensor([len(count) >= 0.9 * len(x) and int(count.max()) <= NEIGHBORS for count in counts])
    return entropies.where(entropies.isfinite() & smooth, torch.nan)


def dependence(x: Tensor, entropies: Tensor, *, thresholds: bool = False) -> dict[str, float]:
    """Compute a layer's measures without the units that have no density, which are counted.

    Args:
        x: pre-activations, shape (n_samples, n_units), float64.
        entropies: of its units, as from `unit_entropies`.
        thresholds: whether to compute the permutation threshold too, which costs as much as 19 scores.

    Returns:
        ``entropy``: mean entropy of a unit. ``negentropy``: how much that is below the entropy of normal units of the
        same variances, which is the mean divergence from a normal distribution. ``iota``: the dependence score.
        ``total_correlation``: its mean over random groups of five units, for layers that have as many. ``n_left_out``.
        ``threshold``: on request.
    """
    smooth = ~entropies.isnan()
    x, entropies = x[:, smooth], entropies[smooth]
    found = {"entropy": float(entropies.mean()), "n_left_out": float((~smooth).sum())}
    if not len(entropies):
        return found | {"negentropy": torch.nan, "iota": torch.nan}
    normal = 0.5 * (2 * math.pi * math.e * x.var(0)).log()
    found["negentropy"] = float((normal - entropies).mean())
    if x.shape[1] < 2:
        return found | {"iota": torch.nan}
    options: dict[str, Any] = {"max_pairs": MOST_PAIRS}
    found["iota"] = float(dependence_score(x, **options).mean)
    if x.shape[1] >= GROUP_SIZE:
        found["total_correlation"] = groups_correlation(x)
    if thresholds:
        found["threshold"] = float(permutation_threshold(x, n_permutations=PERMUTATIONS, **options).mean)
    return found


def groups_correlation(x: Tensor, *, seed: int = 0) -> float:
    """Compute the mean total correlation of random groups of five units that share none, ten at most.

    For independent normal units it is not 0 but `INDEPENDENT_GROUPS` at 1000 samples.
    """
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(seed))
    groups = [group for group in order.split(GROUP_SIZE)[:GROUPS] if len(group) == GROUP_SIZE]
    return float(torch.stack([total_correlation(x[:, group]) for group in groups]).mean())


def widths(activations: Sequence[str], data: str, counts: Sequence[int], **settings: Any) -> tuple[Settings, ...]:
    """Return the grid, with the widest networks first because they take longest."""
    return grid(width=sorted(counts, reverse=True), activation=list(activations), data=data, **settings)


def fewer_if_wide(point: Settings) -> int:
    """Return the number of repetitions at the scale medium: 3 from 500 units on, 5 below."""
    return 3 if point["width"] >= 500 else 5
