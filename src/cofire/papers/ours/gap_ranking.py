"""Calibration of the generalization score: how well each number ranks trained networks by their gap.

Perceptrons of ReLU units learn some images, drawn anew for each seed, by SGD with momentum until the training loss is
0.01. The gaps are training accuracy less test accuracy, and test loss less training loss. The τ of a number with a
gap is 1 for a perfect ranking, 0 for none, −1 for the reverse; names are oriented so that a positive τ is what is
claimed of the number. In the interval's bootstrap networks that differ in their seed only are drawn together. Over
pairs of networks that differ in one setting only (Jiang et al. 2020), τ tells whether a number follows what that
setting does to the gap. Networks without a number (all units of a layer died) are left out.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from statistics import NormalDist
from typing import Any, NamedTuple

import torch

from ...nets.generalization import generalization_score
from ...nets.loading.batches import BATCH
from ...record import Row
from ..framework.claim_table import MissingRows, Table
from ..framework.estimates import LEVEL, Estimate
from ..framework.experiment import Experiment, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Figure, panels
from ..framework.ranking import Ranking, kendall, within_settings
from ..framework.tasks import Task, grid
from ..framework.verdict_text import markdown_table
from ..framework.verdicts import Part
from ..training.datasets import load
from ..training.loop import Settings, fit, scores
from ..training.models import mlp

FITTED = 0.01  # training loss at which training stops, to compare networks at the same fit
NUMBERS: dict[str, Callable[[Any], float]] = {
    "neuronal correlation": lambda score: score.neuronal_correlation,
    "neuronal correlation, last hidden layer": lambda score: score.last_neuronal_correlation,
    "weight correlation": lambda score: score.weight_correlation,
    "parameter norm": lambda score: score.parameter_norm,
    "margin (negated)": lambda score: -score.margin,
    "training loss": lambda score: score.loss,
}
GAPS = ("accuracy gap", "loss gap")
AXES = ("n_train", "width", "depth", "weight_decay", "batch_size")


def run(task: Task) -> Iterator[Row]:
    """Train networks by SGD on images drawn by their seed; record the gaps and the numbers that should rank them."""
    data = load(task["data"])
    for seed in task.seeds:
        order = torch.randperm(len(data.train_x), generator=torch.Generator().manual_seed(seed))[: task["n_train"]]
        some = replace(data, train_x=data.train_x[order], train_y=data.train_y[order])
        widths = [some.train_x[0].numel(), *[task["width"]] * task["depth"], some.n_classes]
        model = mlp(widths, seed=seed)
        settings = Settings.of(task.values, optimizer="sgd", learning_rate=0.05, momentum=0.9, seed=seed)
        fit(model, some, settings, until_loss=FITTED)
        found = scores(model, some)
        yield row(GAPS[0], found.accuracy - found.test_accuracy, seed=seed)
        yield row(GAPS[1], found.test_loss - found.loss, seed=seed)
        batches = list(zip(some.train_x.split(BATCH), some.train_y.split(BATCH), strict=True))
        score = generalization_score(model, batches)
        for name, number in NUMBERS.items():
            yield row(name, number(score), seed=seed)


class Network(NamedTuple):
    """A trained network.

    Attributes:
        settings: its settings, with its seed.
        values: its numbers and gaps, by name.
    """

    settings: dict[str, Any]
    values: dict[str, float]


def networks(table: Table) -> tuple[list[Network], int]:
    """Return the networks whose numbers are all defined, and the number of others, such as those with a dead layer."""
    found: dict[tuple[Any, ...], Network] = {}
    for one in table:
        settings = {name: one[name] for name in (*AXES, "seed")}
        found.setdefault(tuple(settings.values()), Network(settings, {})).values[one["measure"]] = one["value"]
    usable = [one for one in found.values() if all(map(math.isfinite, one.values.values()))]
    return usable, len(found) - len(usable)


def ranked(found: Sequence[Network], name: str, gap: str) -> Ranking:
    """Rank a gap by a number, with networks that differ only in their seed as one cluster.

    Raises:
        MissingRows: if there are fewer than two networks.
    """
    if len(found) < 2:
        raise MissingRows("fewer than two networks have all numbers")
    clusters = [tuple(one.settings[axis] for axis in AXES) for one in found]
    return kendall([one.values[name] for one in found], [one.values[gap] for one in found], clusters=clusters)


def overall(table: Table) -> str:
    """Tabulate each number's τ with each gap, over all networks and for each number of training images."""
    usable, _ = networks(table)
    groups = {"": usable}
    for number in sorted({one.settings["n_train"] for one in usable}):
        groups[f", {number} images"] = [one for one in usable if one.settings["n_train"] == number]
    columns = [(gap, group) for gap in GAPS for group in groups]
    rows = [[name, *(_described(ranked(groups[group], name, gap)) for gap, group in columns)] for name in NUMBERS]
    return markdown_table(["larger goes with a larger", *(gap + group for gap, group in columns)], rows)


def one_at_a_time(table: Table, gap: str) -> str:
    """Tabulate each number's τ with a gap over networks that differ in one setting only, for each setting."""
    usable, _ = networks(table)
    settings = [one.settings for one in usable]
    axes = [axis for axis in AXES if len({one[axis] for one in settings}) > 1]
    truth = [one.values[gap] for one in usable]
    rows = []
    for name in NUMBERS:
        values = [one.values[name] for one in usable]
        rows.append([name, *(_described(within_settings(values, truth, settings, axis)) for axis in axes)])
    return markdown_table(["", *axes], rows)


def described(table: Table) -> str:
    """Describe the number of networks, their fit, and the range of their gaps."""
    usable, n_broken = networks(table)
    parts = [f"{len(usable)} of {len(usable) + n_broken} networks have all numbers"]
    for name in ("training loss", *GAPS):
        values = sorted(one.values[name] for one in usable)
        parts.append(f"{name} {values[0]:.3f} to {values[-1]:.3f} (median {values[len(values) // 2]:.3f})")
    return "; ".join(parts) + "."


def _described(ranking: Ranking) -> str:
    return f"{ranking.tau:.2f} ({ranking.interval[0]:.2f} to {ranking.interval[1]:.2f})"


def figure(table: Table) -> Figure:
    """Draw τ of each number with each gap over all networks, with its interval."""
    usable, _ = networks(table)
    drawn, axes = panels(1, len(GAPS), sharey=True)
    places = range(len(NUMBERS))
    for axis, gap, color in zip(axes[0], GAPS, COLORS, strict=False):
        found = [ranked(usable, name, gap) for name in NUMBERS]
        reach = [[one.tau - one.interval[0] for one in found], [one.interval[1] - one.tau for one in found]]
        axis.errorbar([one.tau for one in found], places, xerr=reach, fmt="o", color=color, markersize=4)
        axis.axvline(0, color="black", linewidth=0.6)
        axis.set(title=gap, xlabel="Kendall's τ", xlim=(-1, 1))
    axes[0][0].set_yticks(places, list(NUMBERS), fontsize=7)
    axes[0][0].invert_yaxis()
    return drawn


def ranks(table: Table, name: str, gap: str) -> Part:
    """Return Kendall's τ of a number and a gap over all networks, with the error of its bootstrap."""
    usable, _ = networks(table)
    found = ranked(usable, name, gap)
    low, high = found.interval
    error = (high - low) / (2 * NormalDist().inv_cdf(1 - LEVEL))
    number = Estimate(found.tau, error, math.inf, found.n)
    return Part(number, f"Kendall's τ over {found.n} networks, error by bootstrap")


CHECKS = {
    f"{name}: {gap}": partial(ranks, name=name, gap=gap)
    for name in ("neuronal correlation", "weight correlation", "parameter norm")
    for gap in GAPS
}

_MNIST = {"data": ["mnist"], "batch_size": [25, 100], "epochs": 60}

GENERALIZATION = Experiment(
    name="ours.generalization",
    title="How neuronal and weight correlation rank trained networks by their generalization gap",
    grid={
        "smoke": grid(
            data=["digits"], n_train=60, width=[4, 16], depth=1, weight_decay=[0.0, 3e-3], batch_size=20, epochs=20
        ),
        "quick": grid(n_train=[300, 1500], width=[20, 60, 180], depth=[2, 4], weight_decay=[0.0, 3e-3], **_MNIST),
        "paper": grid(
            n_train=[300, 1500, 7500], width=[20, 60, 180, 540], depth=[2, 4], weight_decay=[0.0, 1e-3, 3e-3], **_MNIST
        ),
    },
    seeds={"smoke": 2, "quick": 2, "paper": 5},
    run=run,
    figures={"generalization": figure},
    claims=claims_of(__package__, "gap_ranking", CHECKS),
    minutes={"smoke": 0.1, "quick": 0.5, "paper": 600},
    notes=notes_of(__doc__),
    **texts_of(__package__, "gap_ranking"),
    tables={
        "The networks": described,
        "Over all networks, and among those of as many images": overall,
        "One setting at a time: the accuracy gap": lambda table: one_at_a_time(table, "accuracy gap"),
        "One setting at a time: the loss gap": lambda table: one_at_a_time(table, "loss gap"),
    },
)
