"""Pruning by redundancy next to pruning by magnitude: accuracy against units kept, without retraining.

``python -m cofire.papers.pruning --data-root DIR --into docs/guide/merging.md`` writes the guide's table.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..nets.surgery import prune
from ..nets.surgery.prune import CRITERIA
from .data import Dataset, mnist
from .markdown import markdown_table, put_into
from .training import Settings, fit, scored
from .verdicts import interval
from .zoo import mlp

SHARES = (0.75, 0.5, 0.25, 0.15, 0.1, 0.05)
CALIBRATION = 2000  # training images that units' relations are learnt from
NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "784-300-100-10": lambda seed: mlp((784, 300, 100, 10), seed=seed),
    "conv 8, conv 16, dense 64": lambda seed: small_cnn(seed),
}


@dataclass(frozen=True)
class Pruned:
    """A network after pruning.

    Attributes:
        network: its name.
        seed: of its weights and batches.
        by: the criterion.
        keep: share of the units of each hidden layer that stay; 1 for the network as it was.
        accuracy: on test data.
    """

    network: str
    seed: int
    by: str
    keep: float
    accuracy: float


def small_cnn(seed: int) -> nn.Sequential:
    """Two convolutions and a dense layer for 28×28 images of one channel.

    Example:
        >>> small_cnn(0)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            *(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(400, 64), nn.ReLU(), nn.Linear(64, 10)),
        )


def pruned(
    data: Dataset,
    networks: Mapping[str, Callable[[int], nn.Module]],
    *,
    seeds: Iterable[int],
    shares: Sequence[float] = SHARES,
    epochs: int = 2,
) -> Iterator[Pruned]:
    """Train each network for each seed, and prune it to each share by each criterion.

    Args:
        data: to train, calibrate and test on.
        networks: what makes a network from a seed, by name.
        seeds: of the weights and the order of batches.
        shares: of the units of each hidden layer to keep.
        epochs: of training, by Adam in batches of 100.
    """
    for seed in seeds:
        for name, make in networks.items():
            model = make(seed)
            fit(model, data, Settings(epochs=epochs, batch_size=100, seed=seed))
            for by in CRITERIA:
                yield Pruned(name, seed, by, 1.0, scored(model, data.test_x, data.test_y)[1])
                for keep in shares:
                    smaller = prune(model, data.train_x[:CALIBRATION], keep=keep, by=by)
                    yield Pruned(name, seed, by, keep, scored(smaller.model, data.test_x, data.test_y)[1])


def table(found: Iterable[Pruned]) -> str:
    """Accuracy in percent with its 95 % interval over seeds: a row for each network and share, a column a criterion."""
    cells: dict[tuple[str, float], dict[str, dict[int, float]]] = {}
    for one in found:
        cells.setdefault((one.network, one.keep), {}).setdefault(one.by, {})[one.seed] = 100 * one.accuracy
    criteria = list(dict.fromkeys(by for values in cells.values() for by in values))
    rows = [
        [f"{network}, {keep:.0%} kept", *(_cell(values.get(by, {})) for by in criteria)]
        for (network, keep), values in sorted(cells.items(), key=lambda cell: (cell[0][0], -cell[0][1]))
    ]
    return markdown_table(["", *criteria], rows)


def _cell(by_seed: Mapping[int, float]) -> str:
    mean, low, _ = interval(by_seed)
    return f"{mean:.1f} ± {mean - low:.1f}"


def main() -> None:
    """Train and prune on MNIST, print the table, and put it into a guide."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", help="folder that holds mnist/")
    parser.add_argument("--seeds", type=int, default=5, help="networks of each kind")
    parser.add_argument("--into", help="guide with the marks of the table")
    asked = parser.parse_args()
    text = table(pruned(mnist(data_root=asked.data_root), NETWORKS, seeds=range(asked.seeds)))
    print(text)
    if asked.into:
        put_into(asked.into, "pruning", text)


if __name__ == "__main__":
    main()
