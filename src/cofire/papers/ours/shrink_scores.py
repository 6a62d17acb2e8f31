"""Score against parameters kept, without retraining: `cofire.shrink` and what others would cut.

The score is the accuracy on test data, for text minus the loss in nats. All methods see the same calibration data, part
of the training data. The others cut each group to the same share of its units, found by bisection so that the same
share of parameters stays: in random order; by the norm of incoming weights (`magnitude`); by the norm of all weights
that go with a unit (`group norm`); by the sum of the absolute weights that read it, times the rms of its input
(`wanda`, after Sun et al. 2024); and in the order of `cofire.shrink` itself (`elimination, uniform`). Each is scored as
it is, with the batch norms' statistics computed anew, and with the refit of `cofire.shrink`. Sizes within attention
heads are cut by `cofire.shrink` alone: a fixed share of heads and of their sizes would cut attention twice.
Torch-Pruning takes part, without the refit, where it is installed and can follow the network.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from ...nets.shrinking import shrink
from ...record import Row
from ..framework.claim_table import MissingRows, Table
from ..framework.estimates import differences, interval
from ..framework.experiment import Experiment, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.tasks import Task
from ..framework.verdict_text import markdown_table
from ..framework.verdicts import Part, part
from . import shrink_torch_pruning
from .shrink_contenders import ORDERS, Subject, smaller_networks
from .shrink_training import Trained, labelled, trained

SHARES = [0.9, 0.8, 0.7, 0.5, 0.3]
OURS, WHOLE, UNIFORM = "cofire.shrink", "whole", "elimination, uniform"
METHODS = (OURS, *ORDERS, *shrink_torch_pruning.CRITERIA)
STYLES = dict(zip(METHODS, (*COLORS, "#999999"), strict=True))
AT_MOST = 0.2
"""Errors of the outputs up to which the prediction is judged."""
AT_ONCE = 100


def run(task: Task) -> Iterator[Row]:
    """Train a network for each seed; record its score, and that of each method at each share."""
    for seed in task.seeds:
        found = trained(task, seed)
        yield row("score", found.score(found.model), seed=seed, method=WHOLE, variant="", keep=1.0)
        yield from _shrunk(found, seed, task["shares"])
        yield from _contenders(found, seed, task["shares"])


def _shrunk(found: Trained, seed: int, shares: Sequence[float]) -> Iterator[Row]:
    for keep in shares:
        smaller = shrink(found.model, found.calibration, keep=keep, check=found.check, seed=seed)
        at = {"seed": seed, "method": OURS, "variant": "refit", "keep": keep}
        yield row("score", found.score(smaller.model), **at)
        yield row("share", smaller.n_parameters[1] / smaller.n_parameters[0], **at)
        yield row("measured", smaller.measured, **at)
        if smaller.predicted is not None:
            yield row("predicted", smaller.predicted, **at)


def _contenders(found: Trained, seed: int, shares: Sequence[float]) -> Iterator[Row]:
    subject, whole = Subject.of(found.model, found.calibration), _n_parameters(found.model)
    batches = labelled(found, AT_ONCE)
    orders = {name: order(subject, seed) for name, order in ORDERS.items()}
    for keep in shares:
        made = {name: smaller_networks(subject, order, keep) for name, order in orders.items()}
        for name in shrink_torch_pruning.CRITERIA:
            made[name] = shrink_torch_pruning.smaller_networks(found.model, batches, keep, name)
        for name, networks in made.items():
            for variant, smaller in networks:
                at = {"seed": seed, "method": name, "variant": variant, "keep": keep}
                yield row("score", found.score(smaller), **at)
                yield row("share", _n_parameters(smaller) / whole, **at)


def _n_parameters(net: nn.Module) -> int:
    return sum(one.numel() for one in net.parameters())


def best_variants(rows: Table) -> dict[str, str]:
    """Return for each method the variant that helps it most, on the mean over shares and seeds of one network."""
    found = {}
    for method in METHODS:
        means = {variant: sum(own.column("value")) / len(own) for variant, own in _scores(rows, method)}
        if means:
            found[method] = max(means, key=lambda one: means[one])
    return found


def _scores(rows: Table, method: str) -> list[tuple[str, Table]]:
    return rows.where(measure="score", method=method).groups("variant")


def figure(table: Table) -> Figure:
    """Draw the score against the share of parameters, with a panel per network and a curve per method."""
    parts = table.need(measure="score").groups("network")
    drawn, axes = panels(1, len(parts))
    for axis, (name, rows) in zip(axes[0], parts, strict=True):
        whole = rows.per_seed(method=WHOLE)
        for method, variant in best_variants(rows).items():
            curve = rows.curve("keep", method=method, variant=variant) | {1.0: whole}
            width = {"linewidth": 2.2} if method == OURS else {}
            draw(axis, curve, method, color=STYLES[method], marker="o", markersize=3, **width)
        on_text = max(whole.values()) < 0
        axis.set(title=name, xlabel="share of the parameters kept")
        axis.set_ylabel("minus the test loss (nats)" if on_text else "test accuracy")
    legend(drawn)
    return drawn


def scores(table: Table) -> str:
    """Tabulate the score times 100 with its 95 % interval, by network and method (rows) and share (columns)."""
    shares = sorted(set(table.need(measure="score").values("keep")) - {1.0}, reverse=True)
    lines = []
    for name, rows in table.need(measure="score").groups("network"):
        lines.append([f"{name}, {WHOLE}", _percent(rows.per_seed(method=WHOLE)), *[""] * (len(shares) - 1)])
        for method in METHODS:
            for variant, own in _scores(rows, method):
                lines.append([f"{name}, {method}, {variant}", *(_percent(own.per_seed(keep=at)) for at in shares)])
    return markdown_table(["", *(f"{share:.0%}" for share in shares)], lines)


def errors(table: Table) -> str:
    """Tabulate the predicted and the measured error of the outputs, in percent, by network and share."""
    kinds = ("predicted", "measured")
    lines = []
    for name, rows in table.need(measure=kinds).groups("network"):
        for keep, own in reversed(rows.groups("keep")):
            told = (_percent(own.per_seed(measure=one)) if own.where(measure=one) else "–" for one in kinds)
            lines.append([f"{name}, {keep:.0%}", *told])
    return markdown_table(["", *kinds], lines)


def _percent(by_seed: dict[int, float]) -> str:
    mean, low, _ = interval(by_seed)
    return f"{100 * mean:.1f}" if len(by_seed) < 2 else f"{100 * mean:.1f} ± {100 * (mean - low):.1f}"


def lost(rows: Table, method: str, variant: str, keep: float) -> dict[int, float]:
    """Return the loss of the score of one network, as a share of the score."""
    whole, now = rows.per_seed(method=WHOLE), rows.per_seed(method=method, variant=variant, keep=keep)
    return {seed: (whole[seed] - now[seed]) / abs(whole[seed]) for seed in now if seed in whole}


def a_third(table: Table) -> dict[str, Part]:
    """Return our loss less a third of that of the best other method with a refit, for each network."""
    found = {}
    for name, rows in table.need(measure="score").groups("network"):
        others = {by: lost(rows, by, "refit", 0.7) for by in ORDERS if by != UNIFORM and _has(rows, by, "refit")}
        if not others:
            raise MissingRows("no other method with a refit")
        best = min(others, key=lambda by: sum(others[by].values()) / len(others[by]))
        third = {seed: value / 3 for seed, value in others[best].items()}
        note = f"share of the score lost, less a third of what {best} with a refit loses; 70 % of the parameters kept"
        found[name] = part(differences(lost(rows, OURS, "refit", 0.7), third), note)
    return found


def _has(rows: Table, method: str, variant: str) -> bool:
    return bool(rows.where(method=method, variant=variant))


def ahead(table: Table, keep: float = 0.5) -> dict[str, Part]:
    """Return how much more of the score we keep, for each network, other method and variant of it."""
    return {
        f"{name}, {by}, {variant}": part(_lead(rows, (OURS, "refit"), (by, variant), keep), _LEAD, sample=name)
        for name, rows in table.need(measure="score", keep=[keep, 1.0]).groups("network")
        for by in METHODS
        if by not in (OURS, UNIFORM)
        for variant, _ in _scores(rows, by)
    }


_LEAD = "share of the score by which it is ahead, 50 % of the parameters kept"


def _lead(rows: Table, one: tuple[str, str], other: tuple[str, str], keep: float) -> dict[int, float]:
    return differences(lost(rows, *other, keep), lost(rows, *one, keep))


def lead(table: Table, one: str, other: str) -> dict[str, Part]:
    """Return how much more of the score one method keeps than another at half, both refitted, for each network."""
    return {
        name: part(_lead(rows, (one, "refit"), (other, "refit"), 0.5), _LEAD)
        for name, rows in table.need(measure="score").groups("network")
    }


def spare(table: Table) -> dict[str, Part]:
    """Return the share of the score that is lost with 70 % of the parameters, for each network."""
    note = "share of the score lost, 70 % of the parameters kept"
    parts = table.need(measure="score").groups("network")
    return {name: part(lost(rows, OURS, "refit", 0.7), note) for name, rows in parts}


def predicted(table: Table) -> dict[str, Part]:
    """Return by which factor the prediction misses the measured error at most, for each network."""
    found = {}
    for name, rows in table.need(measure="measured", method=OURS).groups("network"):
        worst: dict[int, float] = {}
        for keep in rows.values("keep"):
            measured = rows.per_seed(keep=keep)
            expected = table.per_seed(network=name, measure="predicted", method=OURS, keep=keep)
            for seed, value in measured.items():
                if 0 < value <= AT_MOST and expected.get(seed, 0.0) > 0:
                    worst[seed] = max(worst.get(seed, 1.0), value / expected[seed], expected[seed] / value)
        if worst:
            found[name] = part(worst, f"largest factor between errors, measured up to {AT_MOST:.0%}")
    if not found:
        raise MissingRows(f"no error of at most {AT_MOST:.0%}")
    return found


CHECKS = {
    "a third of the loss": a_third,
    "ahead": ahead,
    "30 % are spare": spare,
    "prediction": predicted,
    "allocation": lambda table: lead(table, OURS, UNIFORM),
    "selection": lambda table: lead(table, UNIFORM, "random"),
}
SGD = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
DIGITS = {"data": "digits", "n_train": 600, "n_test": 300, "augmented": False, "n_calibration": 100}
FEW = {"data": "cifar10", "n_train": 5000, "n_test": 1000, "augmented": False, "n_calibration": 500}
ALL = {"data": "cifar10", "n_train": 50_000, "n_test": 10_000, "augmented": True, "n_calibration": 2000}
ZEN = {"data": "zen", "n_train": 800, "n_test": 200, "length": 16, "n_calibration": 40}
PLAYS = {"data": "tinyshakespeare", "n_train": 820_000, "n_test": 50_000, "length": 64, "n_calibration": 300}
ALL_PLAYS = {"data": "tinyshakespeare", "n_train": 1_003_854, "n_test": 111_540, "length": 128, "n_calibration": 500}


def _real(*, resnet: int, vit: int, gpt: int) -> list[dict[str, Any]]:
    """Return the points of the three real networks, with their epochs."""
    return [
        {"network": "resnet20", "epochs": resnet, "batch_size": 128, "shares": SHARES, **SGD, **ALL},
        {"network": "vit", "epochs": vit, "batch_size": 128, "learning_rate": 1e-3, "shares": SHARES, **ALL},
        {"network": "gpt", "epochs": gpt, "batch_size": 32, "learning_rate": 1e-3, "shares": SHARES, **ALL_PLAYS},
    ]


SHRINK = Experiment(
    name="ours.shrink",
    title="Score against parameters kept: cofire.shrink and others, no retraining",
    grid={
        "smoke": [
            {"network": "tiny resnet", "epochs": 3, "batch_size": 50, "shares": [0.7, 0.5], **SGD, **DIGITS},
            {"network": "tiny gpt", "epochs": 10, "batch_size": 8, "learning_rate": 5e-3, "shares": [0.7, 0.5], **ZEN},
        ],
        "quick": [
            {"network": "small resnet", "epochs": 5, "batch_size": 50, "shares": SHARES, **SGD, **FEW},
            {"network": "small gpt", "epochs": 2, "batch_size": 32, "learning_rate": 2e-3, "shares": SHARES, **PLAYS},
        ],
        "medium": _real(resnet=15, vit=15, gpt=4),
        "paper": _real(resnet=60, vit=100, gpt=8),
    },
    seeds={"smoke": 2, "quick": 3, "medium": 3, "paper": 3},
    run=run,
    figures={"shrink": figure},
    claims=claims_of(__package__, "shrink", CHECKS),
    minutes={"smoke": 0.2, "quick": 8, "medium": 300, "paper": 1000},
    notes=notes_of(__doc__),
    version=2,
    **texts_of(__package__, "shrink"),
    together=False,
    tables={"Score times 100": scores, "Error of the outputs in percent": errors},
)
