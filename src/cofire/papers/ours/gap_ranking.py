"""The generalization score's calibration: how well each number ranks trained networks by their gap."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ...nets.generalization import generalization_score
from ...nets.loading.batches import BATCH
from ...record import Row
from ..framework.claim_table import MissingRows, Table
from ..framework.experiment import Claim, Experiment, row
from ..framework.plots import COLORS, panels
from ..framework.ranking import Ranking, kendall, within_settings
from ..framework.tasks import Task, grid
from ..framework.verdict_text import markdown_table
from ..framework.verdicts import Verdict, placed
from ..training.datasets import Dataset, load
from ..training.loop import Settings, fit, scores
from ..training.models import mlp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FITTED = 0.01  # training loss at which training stops, so that networks are compared at the same fit
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
    """Train networks by SGD on some images drawn by their seed, and score them on those."""
    data = load(task["data"])
    for seed in task.seeds:
        some = _drawn(data, task["n_train"], seed)
        widths = [some.train_x[0].numel(), *[task["width"]] * task["depth"], some.n_classes]
        model = mlp(widths, seed=seed)
        chosen = {"weight_decay": task["weight_decay"], "batch_size": task["batch_size"], "seed": seed}
        sgd = Settings(epochs=task["epochs"], optimizer="sgd", learning_rate=0.05, momentum=0.9, **chosen)
        fit(model, some, sgd, until_loss=FITTED)
        found = scores(model, some)
        for gap, value in zip(GAPS, (found.accuracy - found.test_accuracy, found.test_loss - found.loss), strict=True):
            yield row(gap, value, seed=seed)
        score = generalization_score(
            model, list(zip(some.train_x.split(BATCH), some.train_y.split(BATCH), strict=True))
        )
        for name, number in NUMBERS.items():
            yield row(name, number(score), seed=seed)


def _drawn(data: Dataset, n_train: int, seed: int) -> Dataset:
    order = torch.randperm(len(data.train_x), generator=torch.Generator().manual_seed(seed))[:n_train]
    return Dataset(data.name, data.train_x[order], data.train_y[order], data.test_x, data.test_y, data.n_classes)


class Network(NamedTuple):
    """A trained network: what it was trained by, with its seed, and its numbers and gaps by name."""

    settings: dict[str, Any]
    values: dict[str, float]


def networks(table: Table) -> tuple[list[Network], int]:
    """Those whose numbers are all defined, and how many are not, for instance as all units of a layer died."""
    found: dict[tuple[Any, ...], Network] = {}
    for one in table:
        settings = {name: one[name] for name in (*AXES, "seed")}
        found.setdefault(tuple(settings.values()), Network(settings, {})).values[one["measure"]] = one["value"]
    usable = [one for one in found.values() if all(map(math.isfinite, one.values.values()))]
    return usable, len(found) - len(usable)


def ranked(found: Sequence[Network], name: str, gap: str) -> Ranking:
    """How a number ranks a gap; networks that differ in their seed only stay together.

    Raises:
        MissingRows: if there are fewer than two networks.
    """
    if len(found) < 2:
        raise MissingRows("fewer than two networks have all numbers")
    clusters = [tuple(one.settings[axis] for axis in AXES) for one in found]
    return kendall([one.values[name] for one in found], [one.values[gap] for one in found], clusters=clusters)


def overall(table: Table) -> str:
    """A row for each number: τ with each gap over all networks, and among those of as many training images."""
    usable, _ = networks(table)
    groups = {"": usable}
    for number in sorted({one.settings["n_train"] for one in usable}):
        groups[f", {number} images"] = [one for one in usable if one.settings["n_train"] == number]
    columns = [(gap, name) for gap in GAPS for name in groups]
    rows = [[name, *(_told(ranked(groups[group], name, gap)) for gap, group in columns)] for name in NUMBERS]
    return markdown_table(["larger goes with a larger", *(gap + group for gap, group in columns)], rows)


def one_at_a_time(table: Table, gap: str) -> str:
    """A row for each number: τ with a gap over networks that differ in one setting only, for each setting."""
    usable, _ = networks(table)
    settings = [one.settings for one in usable]
    axes = [axis for axis in AXES if len({one[axis] for one in settings}) > 1]
    truth = [one.values[gap] for one in usable]
    rows = [
        [
            name,
            *(_told(within_settings([one.values[name] for one in usable], truth, settings, axis)) for axis in axes),
        ]
        for name in NUMBERS
    ]
    return markdown_table(["", *axes], rows)


def described(table: Table) -> str:
    """How many networks there are, how they fit, and how far their gaps reach."""
    usable, n_broken = networks(table)
    parts = [f"{len(usable)} of {len(usable) + n_broken} networks have all numbers"]
    for name in ("training loss", *GAPS):
        values = sorted(one.values[name] for one in usable)
        parts.append(f"{name} {values[0]:.3f} to {values[-1]:.3f} (median {values[len(values) // 2]:.3f})")
    return "; ".join(parts) + "."


def _told(ranking: Ranking) -> str:
    return f"{ranking.tau:.2f} ({ranking.interval[0]:.2f} to {ranking.interval[1]:.2f})"


def figure(table: Table) -> "Figure":
    """τ of each number with each gap over all networks, with its interval."""
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


def ranks(table: Table, name: str, gap: str) -> Verdict:
    """Whether a larger number goes with a larger gap."""
    usable, _ = networks(table)
    found = ranked(usable, name, gap)
    note = f"Kendall's τ over {found.n} networks, bootstrap interval"
    return placed(Verdict("inconclusive", found.tau, found.interval, len(table.values("seed")), note), above=0)


def _claim(name: str, gap: str, reference: str) -> Claim:
    text = f"Networks with a larger {name} have a larger {gap}"
    return Claim(f"{name}, {gap}", text, reference, lambda table: ranks(table, name, gap))


CLAIMS = (
    *(_claim("neuronal correlation", gap, "after jin2022, which follows single networks") for gap in GAPS),
    *(_claim("weight correlation", gap, "after Jin et al. 2020") for gap in GAPS),
    *(_claim("parameter norm", gap, "ours: a plain number to compare with") for gap in GAPS),
)

GENERALIZATION = Experiment(
    name="ours.generalization",
    title="How neuronal and weight correlation rank trained networks by their generalization gap",
    grid={
        "smoke": grid(
            data=["digits"], n_train=60, width=[4, 16], depth=1, weight_decay=[0.0, 3e-3], batch_size=20, epochs=20
        ),
        "quick": grid(
            data=["mnist"],
            n_train=[300, 1500],
            width=[20, 60, 180],
            depth=[2, 4],
            weight_decay=[0.0, 3e-3],
            batch_size=[25, 100],
            epochs=60,
        ),
        "paper": grid(
            data=["mnist"],
            n_train=[300, 1500, 7500],
            width=[20, 60, 180, 540],
            depth=[2, 4],
            weight_decay=[0.0, 1e-3, 3e-3],
            batch_size=[25, 100],
            epochs=60,
        ),
    },
    seeds={"smoke": 2, "quick": 2, "paper": 5},
    run=run,
    figures={"generalization": figure},
    claims=CLAIMS,
    minutes={"smoke": 0.1, "quick": 0.5, "paper": 600},
    notes=(
        "Perceptrons of ReLU units learn some images, drawn anew for each seed, by SGD with momentum until the "
        "training loss is 0.01. The gaps are training accuracy less test accuracy, and test loss less training "
        "loss. The τ of a number with a gap is 1 for a perfect ranking, 0 for none, −1 for the reverse; names are "
        "oriented so that a positive τ is what is claimed of the number. In the interval's bootstrap networks that "
        "differ in their seed only are drawn together. Over pairs of networks that differ in one setting only "
        "(Jiang et al. 2020), τ tells whether a number follows what that setting does to the gap. Networks without "
        "a number (all units of a layer died) are left out."
    ),
    tables={
        "The networks": described,
        "Over all networks, and among those of as many images": overall,
        "One setting at a time: the accuracy gap": lambda table: one_at_a_time(table, "accuracy gap"),
        "One setting at a time: the loss gap": lambda table: one_at_a_time(table, "loss gap"),
    },
)
