"""What the paper's experiments share: its networks, how they are trained, and what is measured of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...nets import capture
from ...record import Row
from ...stats import dependence_score, entropy_knn, permutation_threshold
from ..framework.claim_table import Table
from ..framework.experiment import row
from ..framework.tasks import Settings, Task, grid
from ..training.datasets import Dataset, load
from ..training.loop import Settings as Training
from ..training.loop import scores
from ..training.models import mlp
from ..training.stacked_training import Watch, fit

DEPTH = 5
LAYERS = (*(f"hidden{number}" for number in range(1, DEPTH)), "output")
HIDDEN = LAYERS[:-1]
PER_CLASS = 100
MOST_PAIRS = 5000
PERMUTATIONS = 19
LINE = 0.01
"""The paper's threshold; it is the bias of the estimator for independent units at 1000 samples."""


def run(task: Task) -> Iterator[Row]:
    """Entropy and dependence of every layer's pre-activations before and after training, and the scores."""
    data = load(task["data"]).first(task["n_train"])
    networks = networks_of(task, data)
    probe = balanced_sample(data)
    yield from measured(networks, task.seeds, probe, epoch=0)
    fit(networks, data, training_of(task), seeds=task.seeds, watch=Watch(scores_every=[0]))
    yield from measured(networks, task.seeds, probe, epoch=task["epochs"], thresholds=True)
    for seed, network in zip(task.seeds, networks, strict=True):
        for name, value in vars(scores(network, data)).items():
            yield row(name, value, seed=seed, epoch=task["epochs"])


def networks_of(task: Task, data: Dataset) -> list[nn.Sequential]:
    """Five layers, all of one width but the last; normal weights."""
    widths = [data.train_x[0].numel(), *[task["width"]] * (DEPTH - 1), data.n_classes]
    return [mlp(widths, activation=task["activation"], seed=seed) for seed in task.seeds]


def training_of(task: Task) -> Training:
    """Plain SGD at a constant rate."""
    return Training(
        epochs=task["epochs"],
        batch_size=task["batch_size"],
        optimizer="sgd",
        learning_rate=task["learning_rate"],
    )


def balanced_sample(data: Dataset, *, seed: int = 0) -> Tensor:
    """A fixed random sample of the training inputs, 100 of each class, or all where a class has fewer."""
    order = torch.randperm(len(data.train_y), generator=torch.Generator().manual_seed(seed))
    classes = (order[data.train_y[order] == label][:PER_CLASS] for label in range(data.n_classes))
    return data.train_x[torch.cat(list(classes))]


def measured(
    networks: Sequence[nn.Module],
    seeds: Sequence[int],
    probe: Tensor,
    *,
    epoch: int,
    layers: Sequence[str] = LAYERS,
    thresholds: bool = False,
) -> Iterator[Row]:
    """Rows of every layer's pre-activations, for every network."""
    for seed, network in zip(seeds, networks, strict=True):
        network.eval()
        with torch.no_grad(), capture(network, list(layers), stage="pre") as activations:
            network(probe)
        for layer in layers:
            found = dependence(activations[layer], thresholds=thresholds)
            for name, value in found.items():
                yield row(name, value, seed=seed, epoch=epoch, site=layer, n_samples=len(probe))
        network.train()


def dependence(x: Tensor, *, thresholds: bool = False) -> dict[str, float]:
    """Mean entropy of a unit, and the dependence score ι with its permutation threshold.

    Units without a density are left out and counted: behind a layer that is dead for some inputs, pre-activations are
    tied there, and the 3H estimator would be wrong.

    Args:
        x: pre-activations, shape (n_samples, n_units).
        thresholds: whether to shuffle for the threshold, which costs 19 scores.
    """
    x = x.double()
    entropies = torch.stack([entropy_knn(unit) for unit in x.T])
    smooth = entropies.isfinite() & ~_tied(x)
    found = {"entropy": float(entropies[smooth].mean()), "n_left_out": int((~smooth).sum())}
    if int(smooth.sum()) < 2:
        return found | {"iota": torch.nan}
    options: dict[str, Any] = {"max_pairs": MOST_PAIRS}
    found["iota"] = float(dependence_score(x[:, smooth], **options).mean)
    if thresholds:
        shuffled = permutation_threshold(x[:, smooth], n_permutations=PERMUTATIONS, **options)
        found["threshold"] = float(shuffled.mean)
    return found


def _tied(x: Tensor) -> Tensor:
    """Units of which more than a tenth of the values are not different ones."""
    n_distinct = torch.tensor([len(unit.unique()) for unit in x.T])
    return n_distinct < 0.9 * len(x)


Values = dict[int, float]


def at_width(table: Table, width: int, measure: str, layer: str, *, activation: str, last: bool = True) -> Values:
    """A layer's number at one width, for each seed, after training or before."""
    part = table.need(width=width, activation=activation, measure=measure, site=layer)
    epochs = part.values("epoch")
    return part.per_seed(epoch=epochs[-1 if last else 0])


def widest(table: Table, activation: str) -> int:
    """The largest width that was trained."""
    return max(table.need(activation=activation).values("width"))


def widths(activations: Sequence[str], data: str, counts: Sequence[int], **settings: Any) -> tuple[Settings, ...]:
    """The grid: widest networks first, since they take longest."""
    return grid(width=sorted(counts, reverse=True), activation=list(activations), data=data, **settings)
