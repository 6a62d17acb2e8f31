"""Figure 6: entropy of normal samples and of their image under a linear layer, against the truth.

The paper does not say what N2 learns; here the ten classes of a random linear teacher, full batches, Adam at 0.01.
Projected is the mean embedding (leave-one-out density), its width by Eq. 9 on a fifth of the samples, once by the
features' correlation alone and once by the labels too. Original is the sum over dimensions, which is exact for
independent units and too large behind the layer. Quick trains 200 epochs instead of 10,000: the weights matter only
through log |det A|.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ...record import Row
from ...stats.information.entropy import entropy_independence_bound, entropy_knn
from ...stats.kernels.embedding import choose_bandwidth, entropy_embedded
from ..framework.claim_table import Table
from ..framework.experiment import Experiment, claims_of, notes_of, row
from ..framework.plots import COLORS, Figure, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Verdict, combined, decide_each, differences, interval
from ..training.models import mlp

UNITS, CLASSES = 5, 10
PROJECTED, LABELED, ORIGINAL, KNN = "projected", "projected, labels", "original", "kNN, whitened"
TRUTHS = {"paper": "the paper's truth", "right": "H(X) + log |det A|"}
INPUT, OUTPUT = "var", "var*"
CLOSE = 0.3
"""Our reading of "very close", in nats; the truths for k = .3 and .7 are 2.1 apart."""


def run(task: Task) -> Iterator[Row]:
    """Record entropies before and after the hidden layer of N2, trained on a linear teacher, and both truths."""
    for seed in task.seeds:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(task["samples"], UNITS, generator=generator, dtype=torch.float64) * task["variance"] ** 0.5
        labels = (x @ torch.randn(UNITS, CLASSES, generator=generator, dtype=torch.float64)).argmax(1)
        weight = _learned(x, labels, task["epochs"], seed)
        truth = normal_entropy(task["variance"])
        log_det = float(torch.linalg.slogdet(weight).logabsdet)
        yield from _rows(seed, INPUT, x, labels, truth, truth)
        yield from _rows(seed, OUTPUT, x @ weight.T, labels, truth, truth + log_det)


def normal_entropy(variance: float) -> float:
    """Return the entropy of N(0, variance·I₅), in nats.

    Example:
        >>> [round(normal_entropy(k), 4) for k in (0.3, 0.7, 1.0)]
        [4.0848, 6.203, 7.0947]
    """
    return 0.5 * UNITS * math.log(2 * math.pi * math.e * variance)


def _learned(x: Tensor, labels: Tensor, epochs: int, seed: int) -> Tensor:
    """Train N2 and return its hidden layer's weights, one unit per row."""
    network = mlp([UNITS, UNITS, CLASSES], activation="identity", seed=seed).double()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(epochs):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), labels).backward()
        optimizer.step()
    return network.get_parameter("hidden1.weight").detach()


def _rows(seed: int, place: str, x: Tensor, labels: Tensor, paper: float, right: float) -> Iterator[Row]:
    some = max(500, len(x) // 5)  # choosing the width takes time quadratic in the samples, so not all are used
    free, labeled = (choose_bandwidth(x[:some], known).bandwidth for known in (None, labels[:some]))
    found = {
        PROJECTED: float(entropy_embedded(x, bandwidth=free)),
        LABELED: float(entropy_embedded(x, bandwidth=labeled)),
        ORIGINAL: float(entropy_independence_bound(x)),
        KNN: float(entropy_knn(x, whiten=True)),
        "paper": paper,
        "right": right,
    }
    for name, value in found.items():
        yield row(name, value, seed=seed, place=place, n_samples=len(x))
    yield row("bandwidth", free, seed=seed, place=place)
    yield row("bandwidth, labels", labeled, seed=seed, place=place)


def figure(table: Table) -> Figure:
    """Draw the paper's panel, truth, projected and original along var = k and var = k*, and the right truth."""
    drawn, axes = panels(1, 1, width=7.5, height=3.2)
    axis = axes[0][0]
    spots = [(k, place) for k in table.values("variance") for place in (INPUT, OUTPUT)]
    lines = {
        "paper": ("C0", "ground truth, as the paper has it", "-"),
        PROJECTED: (COLORS[1], "projected space", "-"),
        LABELED: (COLORS[4], "projected space, width by labels", "-"),
        ORIGINAL: (COLORS[2], "original space, per dimension", "-"),
        KNN: (COLORS[3], "original space, whitened kNN", ":"),
        "right": ("black", "ground truth, with log |det A|", "--"),
    }
    for name, (color, label, style) in lines.items():
        values = [interval(table.per_seed(variance=k, place=place, measure=name)) for k, place in spots]
        means = [mean for mean, _, _ in values]
        axis.plot(range(len(spots)), means, color=color, label=label, linestyle=style, marker="o", markersize=3)
    axis.set_xticks(range(len(spots)), [place.replace("var", f"var={k:g}") for k, place in spots])
    axis.set_ylabel("entropy (nats)")
    legend(drawn)
    return drawn


def close(table: Table, truth: str, estimate: str = PROJECTED) -> Verdict:
    """Judge whether an estimate is within 0.3 nats of the truth at all six places."""
    errors = {
        f"{place} k = {k:g}": differences(part.per_seed(measure=estimate), part.per_seed(measure=truth))
        for k, some in table.need(measure=[estimate, truth]).groups("variance")
        for place, part in some.groups("place")
    }
    return decide_each(errors, above=-CLOSE, below=CLOSE, note=f"{estimate} less {TRUTHS[truth]}")


def nearer(table: Table, truth: str) -> Verdict:
    """Judge whether the projected estimate is nearer to the truth than the original one, after the layer."""
    gains: dict[str, dict[int, float]] = {}
    for k, some in table.need(place=OUTPUT).groups("variance"):
        parts = (some.per_seed(measure=name) for name in (truth, PROJECTED, ORIGINAL))
        gains[f"k = {k:g}"] = combined(lambda true, own, other: abs(other - true) - abs(own - true), *parts)
    return decide_each(gains, above=0, note=f"|original − truth| less |projected − truth|, {TRUTHS[truth]}")


CHECKS = {
    "close, the paper's truth": lambda table: close(table, "paper"),
    "close, right truth": lambda table: close(table, "right"),
    "close, width by labels": lambda table: close(table, "right", LABELED),
    "nearer, the paper's truth": lambda table: nearer(table, "paper"),
    "nearer, right truth": lambda table: nearer(table, "right"),
}

FIG6 = Experiment(
    name="jin2022.fig6",
    title="Entropy of normal samples, and of their image under a linear layer, by two estimators",
    grid={
        "smoke": grid(variance=[0.3, 0.7, 1.0], samples=500, epochs=20),
        "quick": grid(variance=[0.3, 0.7, 1.0], samples=5000, epochs=200),
        "paper": grid(variance=[0.3, 0.7, 1.0], samples=5000, epochs=10_000),
    },
    seeds={"smoke": 2, "quick": 5, "paper": 5},
    run=run,
    figures={"fig6": figure},
    claims=claims_of(__package__, "fig6", CHECKS),
    minutes={"smoke": 0.2, "quick": 0.3, "paper": 20},
    notes=notes_of(__doc__),
)
