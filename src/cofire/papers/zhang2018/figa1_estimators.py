"""Figure A.1: the estimators on normal samples, whose entropy and mutual information are known.

Nothing is trained; quick takes 1000 independent pairs in all, as the paper does, in ten groups of 100. The estimator
of mutual information is the paper's 3H. That its mean for independent pairs is 0.012 and not 0 is its bias: 0.01 is
no threshold of significance.
"""

import math
from collections.abc import Iterator, Mapping
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from ...record import Row
from ...stats.information.entropy import entropy_knn
from ...stats.information.mutual_information import mutual_information_3h
from ..framework.claim_table import Table
from ..framework.estimates import combined
from ..framework.experiment import Experiment, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Axes, Figure, draw, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Part, part

SAMPLES, NEIGHBORS = 1000, 3
TRUE_ENTROPY = 0.5 * math.log(2 * math.pi * math.e)
NARROW = 1e-4
TRUTH: dict[str, Any] = {"color": "black", "linewidth": 1.0, "label": "true"}
DOTS: dict[str, Any] = {"linewidth": 0.8, "markersize": 3}
RHOS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]


def run(task: Task) -> Iterator[Row]:
    """Record means over trials for the three panels, and mean and deviation over independent pairs."""
    for seed in task.seeds:
        generator = torch.Generator().manual_seed(seed)
        for k in task["neighbors"]:
            yield _entropy(generator, SAMPLES, k, task["trials"], seed, "a")
        for n_samples in task["samples"]:
            yield _entropy(generator, n_samples, NEIGHBORS, task["trials"], seed, "b")
        for rho in task["rhos"]:
            pairs = [correlated(_normal(generator, SAMPLES, 2), rho) for _ in range(task["trials"])]
            for name, standardize in (("plain", False), ("stabilized", True)):
                found = [_information(NARROW * x, y, standardize) for x, y in pairs]
                yield row("information", fmean(found), seed=seed, panel="c", rho=rho, estimator=name)
        found = [_information(*correlated(_normal(generator, SAMPLES, 2), 0.0), True) for _ in range(task["pairs"])]
        yield row("independent_mean", fmean(found), seed=seed)
        yield row("independent_sd", stdev(found), seed=seed)


def _entropy(generator: torch.Generator, n_samples: int, k: int, trials: int, seed: int, panel: str) -> Row:
    found = [float(entropy_knn(_normal(generator, n_samples, 1), n_neighbors=k)) for _ in range(trials)]
    return row("entropy", fmean(found), seed=seed, panel=panel, n_samples=n_samples, k=k, m=n_samples)


def _normal(generator: torch.Generator, n_samples: int, n_units: int) -> Tensor:
    return torch.randn(n_samples, n_units, generator=generator, dtype=torch.float64)


def correlated(normals: Tensor, rho: float) -> tuple[Tensor, Tensor]:
    """Return two standard normal units with a given correlation, from two independent ones."""
    x, noise = normals.T
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def _information(x: Tensor, y: Tensor, standardize: bool) -> float:
    return float(mutual_information_3h(x, y, n_neighbors=NEIGHBORS, standardize=standardize))


def true_information(rho: float) -> float:
    """Return the mutual information of a bivariate normal distribution, in nats."""
    return -0.5 * math.log(1 - rho**2)


def figure(table: Table) -> Figure:
    """Draw the paper's three panels."""
    drawn, axes = panels(1, 3)
    left, middle, right = axes[0]
    _entropy_panel(left, table.curve("k", panel="a"), "k", "(a) M = 1000")
    _entropy_panel(middle, table.curve("m", panel="b"), "M", "(b) k = 3")
    middle.set_xscale("log")
    rhos = table.where(panel="c").values("rho")
    right.plot(rhos, [true_information(rho) for rho in rhos], **TRUTH)
    for name, (color, marker) in {"plain": (COLORS[1], "s"), "stabilized": (COLORS[0], "o")}.items():
        curve = table.curve("rho", panel="c", estimator=name)
        draw(right, curve, f"{name} estimate", color=color, marker=marker, **DOTS)
    right.set(xlabel="ρ", ylabel="mutual information (nats)", title="(c) σₓ = 1e-4, σᵧ = 1")
    legend(drawn)
    return drawn


def _entropy_panel(axis: Axes, curve: Mapping[int, Mapping[int, float]], xlabel: str, title: str) -> None:
    axis.axhline(TRUE_ENTROPY, **TRUTH)
    draw(axis, curve, "estimate", color=COLORS[2], marker="^", **DOTS)
    axis.set(xlabel=xlabel, ylabel="entropy (nats)", title=title)


def accurate(table: Table) -> dict[str, Part]:
    """Return the error of the entropy at the paper's M, for all k that it allows."""
    groups = table.need(panel="a", k=lambda k: 2 <= k <= 5).groups("k")
    errors = {f"k = {k}": combined(lambda value: value - TRUE_ENTROPY, rows.per_seed()) for k, rows in groups}
    return {name: part(values, "estimate less truth, nats") for name, values in errors.items()}


def too_low(curve: Mapping[float, dict[int, float]]) -> dict[str, Part]:
    """Judge whether the information is more than one nat below the truth at each correlation."""
    gaps: dict[str, dict[int, float]] = {}
    for rho, found in curve.items():
        true = true_information(rho)
        gaps[f"ρ = {rho}"] = {seed: value - true for seed, value in found.items()}
    return {name: part(values, "estimate less truth, nats", sample="pairs") for name, values in gaps.items()}


def errors(table: Table, estimator: str) -> dict[int, float]:
    """Return, for each seed, the mean distance from the true information over correlations."""
    curve = table.curve("rho", panel="c", estimator=estimator)
    return {
        seed: fmean(abs(found[seed] - true_information(rho)) for rho, found in curve.items())
        for seed in next(iter(curve.values()))
    }


def relative_error(table: Table) -> Part:
    """Return the stabilized estimator's error as a share of the plain one's."""
    ratio = combined(lambda a, b: a / b, errors(table, "stabilized"), errors(table, "plain"))
    return part(ratio, "mean |error| over ρ, stabilized over plain")


CHECKS = {
    "tolerable bias": accurate,
    "plain estimate is too low": lambda table: too_low(table.curve("rho", panel="c", estimator="plain")),
    "stabilization helps": relative_error,
    "independent pairs, mean": lambda table: part(table.per_seed(measure="independent_mean"), "mean estimate, nats"),
    "independent pairs, spread": lambda table: part(
        table.per_seed(measure="independent_sd"), "standard deviation, nats"
    ),
}

_WHOLE = {
    "neighbors": [[1, 2, 3, 4, 5, 7, 10, 15, 20]],
    "samples": [[50, 100, 200, 500, 1000, 2000, 5000]],
    "rhos": [RHOS],
}

FIGA1 = Experiment(
    name="zhang2018.figA1",
    title="Entropy and mutual information of normal samples, by nearest neighbors, against the truth",
    grid={
        "smoke": grid(neighbors=[[2, 3, 5]], samples=[[50, 200]], rhos=[[0.0, 0.6]], trials=2, pairs=5),
        "quick": grid(**_WHOLE, trials=10, pairs=100),
        "paper": grid(**_WHOLE, trials=100, pairs=1000),
    },
    seeds={"smoke": 2, "quick": 10, "paper": 10},
    run=run,
    figures={"figA1": figure},
    claims=claims_of(__package__, "figa1", CHECKS),
    minutes={"smoke": 0.1, "quick": 0.1, "paper": 3},
    notes=notes_of(__doc__),
    **texts_of(__package__, "figa1"),
    together=False,
)
