"""Figure 6: entropy of normal samples and of their image under a linear layer, against the truth.

The paper does not say what N2 learns; here the ten classes of a random linear teacher, full batches, Adam at 0.01. Nor
does it say which estimator it takes in the projected space, or give the width. Three widths for the mean embedding
(leave-one-out density) are judged: that of the largest leave-one-out likelihood, that of Eq. 9 with the labels, and an
eighth of the median distance, which Eq. 9 gives without labels. The estimators that the paper names are judged beside
it, at the width of Eq. 9 with labels on 1000 samples: features that are eigenvectors or rows of the kernel matrix,
entropy dimension by dimension (Eq. 6), by nearest neighbors (Eq. 7) and by Kolchinsky and Tracey's bound. Binning gives
log n for any distinct samples; it is shown, but was dropped from the readings after its numbers were seen. Original is
the sum over dimensions, which is exact for independent units and too large behind the layer.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor, nn

from ...record import Row
from ...stats import HighDimensionWarning
from ...stats.information.entropy import entropy_independence_bound, entropy_knn
from ...stats.kernels.embedding import choose_bandwidth, entropy_embedded
from ...stats.kernels.kde import entropy_kde
from ..framework.claim_table import Table
from ..framework.estimates import Values, combined, differences, interval, mean_of
from ..framework.experiment import Check, Experiment, Readings, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Axes, Figure, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdict_text import figures, markdown_table
from ..framework.verdicts import Part, part
from ..training.models import mlp

UNITS, CLASSES = 5, 10
LIKELY, LABELED, FIXED = "width by likelihood", "width of Eq. 9", "an eighth of the median distance"
WIDTHS = (LABELED, LIKELY, FIXED)
BINNED = "eigenvectors, binned"
NAMED: dict[str, dict[str, Any]] = {
    "eigenvectors, per dimension (Eq. 6)": {"features": "eigen", "estimator": "per_dimension"},
    "eigenvectors, kNN (Eq. 7)": {"features": "eigen", "estimator": "knn"},
    "rows of the kernel matrix, per dimension": {"features": "gram", "estimator": "per_dimension"},
    "rows of the kernel matrix, kNN": {"features": "gram", "estimator": "knn"},
    "eigenvectors, Kolchinsky–Tracey": {"features": "eigen", "estimator": "kt"},
    "rows of the kernel matrix, Kolchinsky–Tracey": {"features": "gram", "estimator": "kt"},
    BINNED: {"features": "eigen", "estimator": "binned"},
}
"""The estimators that the paper names, in a feature space."""
ORIGINAL, KNN = "original", "kNN, whitened"
TRUTHS = {"paper": "the paper's truth", "right": "H(X) + log |det A|"}
INPUT, OUTPUT = "var", "var*"
CHOICE = "the estimator and its kernel width"


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
    few = x[: n_few(len(x))]
    free, labeled = (choose_bandwidth(few, known).bandwidth for known in (None, labels[: len(few)]))
    found = {
        LIKELY: float(entropy_kde(x, bound="leave_one_out")),
        LABELED: float(entropy_embedded(x, bandwidth=labeled)),
        FIXED: float(entropy_embedded(x, bandwidth=free)),
        ORIGINAL: float(entropy_independence_bound(x)),
        KNN: float(entropy_knn(x, whiten=True)),
        "paper": paper,
        "right": right,
    }
    with catch_warnings():
        simplefilter("ignore", HighDimensionWarning)  # the point of the comparison
        found |= {name: float(entropy_embedded(few, bandwidth=labeled, **how)) for name, how in NAMED.items()}
    for name, value in found.items():
        yield row(name, value, seed=seed, place=place, n_samples=len(few if name in NAMED else x))
    yield row("bandwidth", free, seed=seed, place=place)
    yield row("bandwidth, labels", labeled, seed=seed, place=place)


def n_few(n: int) -> int:
    """Return how many samples to choose a width from: its cost is quadratic in them, that of eigenvectors cubic."""
    return max(500, n // 5)


def figure(table: Table) -> Figure:
    """Draw the paper's panel, truth, projected and original along var = k and var = k*, and the right truth."""
    drawn, axes = panels(1, 1, width=7.5, height=3.6)
    lines = {
        "paper": ("C0", "ground truth, as the paper has it", "-"),
        LIKELY: ("C1", f"projected space, {LIKELY}", "-"),
        LABELED: ("C1", f"projected space, {LABELED}", "--"),
        FIXED: ("C1", f"projected space, {FIXED}", ":"),
        ORIGINAL: ("C2", "original space, per dimension", "-"),
        KNN: (COLORS[3], "original space, whitened kNN", ":"),
        "right": ("black", "ground truth, with log |det A|", "--"),
    }
    _draw_lines(axes[0][0], table, lines)
    legend(drawn)
    return drawn


def named(table: Table) -> Figure:
    """Draw the same for the estimators that the paper names, on an axis that is linear around the truth only."""
    drawn, axes = panels(1, 1, width=7.5, height=3.6)
    lines = {"paper": ("C0", "ground truth, as the paper has it", "-")}
    lines |= {name: (COLORS[index % 7], name, ("--", ":")[index // 7]) for index, name in enumerate(NAMED)}
    _draw_lines(axes[0][0], table, lines)
    axes[0][0].set_yscale("symlog", linthresh=10)
    legend(drawn)
    return drawn


def _draw_lines(axis: Axes, table: Table, lines: Mapping[str, tuple[str, str, str]]) -> None:
    spots = [(k, place) for k in table.values("variance") for place in (INPUT, OUTPUT)]
    for name, (color, label, style) in lines.items():
        values = [interval(table.per_seed(variance=k, place=place, measure=name)) for k, place in spots]
        means = [mean for mean, _, _ in values]
        axis.plot(range(len(spots)), means, color=color, label=label, linestyle=style, marker="o", markersize=3)
    axis.set_xticks(range(len(spots)), [place.replace("var", f"var={k:g}") for k, place in spots])
    axis.set_ylabel("entropy (nats)")


def _places(table: Table, *measures: str) -> Iterator[tuple[str, float, Table]]:
    """Yield name, k and rows of each place that has these measures."""
    for k, some in table.need(measure=list(measures)).groups("variance"):
        for place, rows in some.groups("place"):
            yield f"{place} k = {k:g}", k, rows


def part_of(values: Values, note: str, *, sample: str = "") -> Part:
    """Return a part; an estimate that is infinite, as of neighbors at distance 0, is no number and far from any."""
    lost = sum(not math.isfinite(value) for value in values.values())
    if lost:
        return Part(note=note, sample=sample, diverged=f"the estimate is infinite in {lost} of {len(values)}")
    return part(values, note, sample=sample)


def close(estimate: str, truth: str) -> Check:
    """Return a check of an estimate less the truth at all six places."""
    note = f"{estimate} less {TRUTHS[truth]}"
    return lambda table: {
        name: part_of(
            differences(rows.per_seed(measure=estimate), rows.per_seed(measure=truth)), note, sample=f"k = {k:g}"
        )
        for name, k, rows in _places(table, estimate, truth)
    }


def off(truth: str) -> Check:
    """Return a check of the largest distance of the original estimate from the truth, over all places."""

    def check(table: Table) -> Part:
        distances = [
            combined(lambda a, b: abs(a - b), rows.per_seed(measure=ORIGINAL), rows.per_seed(measure=truth))
            for _, _, rows in _places(table, ORIGINAL, truth)
        ]
        return part(combined(max, *distances), f"largest distance of the original estimate from {TRUTHS[truth]}")

    return check


def nearer(estimate: str, truth: str) -> Check:
    """Return a check of how much nearer to the truth a projected estimate is than the original one, after the layer."""
    note = f"|original − truth| less |projected − truth|, {TRUTHS[truth]}"

    def check(table: Table) -> dict[str, Part]:
        found: dict[str, Part] = {}
        for name, _, rows in _places(table.need(place=OUTPUT), estimate, ORIGINAL, truth):
            values = (rows.per_seed(measure=measure) for measure in (truth, estimate, ORIGINAL))
            gain = combined(lambda true, own, other: abs(other - true) - abs(own - true), *values)
            found[name] = part_of(gain, note)
        return found

    return check


def apart(table: Table) -> dict[str, Part]:
    """Return the estimate for the largest k less that for the smallest, by each estimator that the paper names."""
    rows = table.need(place=INPUT)
    low, high = (rows.need(variance=choose(rows.values("variance"))) for choose in (min, max))
    return {
        name: part_of(
            differences(high.per_seed(measure=name), low.per_seed(measure=name)), "estimate for k = 1 less for k = .3"
        )
        for name in NAMED
    }


def by_estimator(check: Callable[[str, str], Check], truth: str) -> Readings:
    """Return a check under every reading of the estimator.

    Binning is none: of distinct samples it gives log n, whatever their entropy.
    """
    return Readings(CHOICE, {name: check(name, truth) for name in (*WIDTHS, *NAMED) if name != BINNED})


CHECKS: dict[str, Check | Readings] = {
    "close": by_estimator(close, "paper"),
    "close, right truth": by_estimator(close, "right"),
    "original is off": off("paper"),
    "original is off, right truth": off("right"),
    "nearer": by_estimator(nearer, "paper"),
    "nearer, right truth": by_estimator(nearer, "right"),
    "tells the inputs apart": apart,
}


def estimates(table: Table) -> str:
    """Tabulate the mean of every estimate at every place."""
    places = list(_places(table, "right"))
    rows = [
        [name, *(figures(mean_of(own.per_seed(measure=name)).effect) for _, _, own in _places(table, name))]
        for name in ("paper", "right", *WIDTHS, ORIGINAL, KNN, *NAMED)
    ]
    return markdown_table(["nats", *(name for name, _, _ in places)], rows)


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
    version=2,
    figures={"fig6": figure, "named": named},
    tables={"Mean estimates": estimates},
    claims=claims_of(__package__, "fig6", CHECKS),
    minutes={"smoke": 0.2, "quick": 0.3, "paper": 20},
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig6"),
)
