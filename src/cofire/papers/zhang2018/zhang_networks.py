"""Networks, training and measures of the paper's experiments."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...nets import capture
from ...record import Row
from ...stats import dependence_score, entropy_knn, permutation_threshold
from ..framework.claim_table import Table
from ..framework.experiment import row
from ..framework.tasks import Settings, Task, grid
from ..framework.verdicts import Verdict, decide_each, differences
from ..training.datasets import Dataset, load
from ..training.loop import Settings as Training
from ..training.models import mlp
from ..training.stacked_training import Watch, fit, score_rows

DEPTH = 5
LAYERS = (*(f"hidden{number}" for number in range(1, DEPTH)), "output")
HIDDEN = LAYERS[:-1]
PER_CLASS = 100
MOST_PAIRS = 5000
NARROW = 20  # the smallest width for which the paper describes its results
PERMUTATIONS = 19
LINE = 0.01
"""The paper's threshold, which is the estimator's bias for independent units at 1000 samples."""


def run(task: Task) -> Iterator[Row]:
    """Train perceptrons; record every layer's entropy and dependence before and after, and the scores."""
    data = load(task["data"]).first(task["n_train"])
    return before_and_after(task, data, networks_of(task, data), LAYERS, thresholds=True)


def networks_of(task: Task, data: Dataset) -> list[nn.Sequential]:
    """Build networks of five layers with normal weights; all layers but the last have the same width."""
    widths = [data.train_x[0].numel(), *[task["width"]] * (DEPTH - 1), data.n_classes]
    return [mlp(widths, activation=task["activation"], seed=seed) for seed in task.seeds]


def before_and_after(
    task: Task, data: Dataset, networks: Sequence[nn.Module], layers: Sequence[str], *, thresholds: bool = False
) -> Iterator[Row]:
    """Train by plain SGD at a constant rate; yield the layers' measures before and after, then the scores."""
    probe = balanced_sample(data)
    yield from measured(networks, task.seeds, probe, layers, epoch=0)
    settings = Training.of(task.values, optimizer="sgd")
    fit(networks, data, settings, seeds=task.seeds, watch=Watch(scores_every=[0]))
    yield from measured(networks, task.seeds, probe, layers, epoch=task["epochs"], thresholds=thresholds)
    yield from score_rows(networks, data, task.seeds, epoch=task["epochs"])


def balanced_sample(data: Dataset, *, seed: int = 0) -> Tensor:
    """Draw a fixed sample of the training inputs: 100 of each class, or all if a class has fewer."""
    order = torch.randperm(len(data.train_y), generator=torch.Generator().manual_seed(seed))
    classes = (order[data.train_y[order] == label][:PER_CLASS] for label in range(data.n_classes))
    return data.train_x[torch.cat(list(classes))]


def measured(
    networks: Sequence[nn.Module],
    seeds: Sequence[int],
    probe: Tensor,
    layers: Sequence[str],
    *,
    epoch: int,
    thresholds: bool = False,
) -> Iterator[Row]:
    """Yield the measures of the layers' pre-activations for every network."""
    for seed, network in zip(seeds, networks, strict=True):
        network.eval()
        with torch.no_grad(), capture(network, list(layers), stage="pre") as activations:
            network(probe)
        for layer in layers:
            for name, value in dependence(activations[layer], thresholds=thresholds).items():
                yield row(name, value, seed=seed, epoch=epoch, site=layer, n_samples=len(probe))
        network.train()


def dependence(x: Tensor, *, thresholds: bool = False) -> dict[str, float]:
    """Compute the mean entropy of a unit and the dependence score ι, without units that have no density.

    After a layer that is dead for some inputs, pre-activations are tied, and the 3H estimator would be wrong. Such
    units are counted.

    Args:
        x: pre-activations, shape (n_samples, n_units).
        thresholds: whether to compute the permutation threshold too, which costs as much as 19 scores.

    Returns:
        ``entropy``, ``n_left_out``, ``iota`` and, on request, ``threshold``.
    """
    x = x.double()
    entropies = torch.stack([entropy_knn(unit) for unit in x.T])
    n_distinct = torch.tensor([len(unit.unique()) for unit in x.T])
    smooth = entropies.isfinite() & (n_distinct >= 0.9 * len(x))  # a tenth of tied values is too many
    found = {"entropy": float(entropies[smooth].mean()), "n_left_out": int((~smooth).sum())}
    if int(smooth.sum()) < 2:
        return found | {"iota": torch.nan}
    options: dict[str, Any] = {"max_pairs": MOST_PAIRS}
    found["iota"] = float(dependence_score(x[:, smooth], **options).mean)
    if thresholds:
        shuffled = permutation_threshold(x[:, smooth], n_permutations=PERMUTATIONS, **options)
        found["threshold"] = float(shuffled.mean)
    return found


Values = dict[int, float]


def at_width(table: Table, width: int, measure: str, layer: str, *, activation: str, last: bool = True) -> Values:
    """Return a layer's measure at one width for each seed, after training or before."""
    part = table.need(width=width, activation=activation, measure=measure, site=layer)
    return part.per_seed(epoch=part.values("epoch")[-1 if last else 0])


def widest(table: Table, activation: str) -> int:
    """Return the largest width that was trained."""
    return max(table.need(activation=activation).values("width"))


def at_widest(
    table: Table, activations: Sequence[str], number: Callable[[Table, int, str], Values], *, below: float, note: str
) -> Verdict:
    """Judge whether a number is small at the largest width, for each activation function."""
    parts = {name: number(table, widest(table, name), name) for name in activations}
    return decide_each(parts, below=below, note=note)


def falls_with_width(
    table: Table, activations: Sequence[str], number: Callable[[Table, int, str], Values], *, note: str
) -> Verdict:
    """Judge whether a number is larger at 20 units than at the largest width, for each activation function."""
    parts = {
        name: differences(number(table, NARROW, name), number(table, widest(table, name), name)) for name in activations
    }
    return decide_each(parts, above=0, note=note)


def widths(activations: Sequence[str], data: str, counts: Sequence[int], **settings: Any) -> tuple[Settings, ...]:
    """Return the grid, with the widest networks first because they take longest."""
    return grid(width=sorted(counts, reverse=True), activation=list(activations), data=data, **settings)
