"""Figure 7: weight correlation and neuronal correlation of N3 to N7's penultimate layers; generalization gaps.

The paper leaves open optimizer, learning rate, batch size, probe, padding, and whether its gap is one of accuracy or
of loss: here Adam at 0.001, batches of 100, the first 2000 test images, zero padding, and both gaps. The second way
to train (5000 images, SGD at 0.1, batches of 50, 200 epochs) is there because gaps can be ordered only where the
training images are learned nearly by heart. The convolutional networks see 2000 images of CIFAR-10 at this scale and
are scored on 2000, too few to compare their gap with that of MNIST's networks. Dense networks, cheap to train, have
10 seeds at this scale, convolutional ones 3; where both are compared, the 3 that they share count.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from ...record import Row, correlation, weight_correlation
from ..framework.claim_table import Table
from ..framework.experiment import Claim, Experiment, claims_of, notes_of
from ..framework.plots import COLORS, Axes, Figure, draw, legend, panels
from ..framework.tasks import Settings, Task, grid
from ..framework.verdicts import Verdict, all_of, combined, decide, decide_each, differences, shared
from .jin_networks import dataset, penultimate, trained

DENSE, CONVOLUTIONAL = ("N3", "N4", "N5"), ("N6", "N7")
NETWORKS = (*DENSE, *CONVOLUTIONAL)
ACTIVATIONS = ("relu", "tanh")
READ_OFF = {"N3": 0.22, "N4": 0.32, "N5": 0.40}
AS_READ = 0.05  # tolerance for numbers read off a figure
RECIPES = {
    "all": {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 100},
    "few": {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 50},
}
OTHER = "with few images and SGD"


def run(task: Task) -> list[Row]:
    """Record WC with its quartiles and NC of the penultimate layer, and scores, over epochs."""
    sites = [penultimate(task["network"])]
    return trained(task, dataset(task), [correlation(sites=sites), weight_correlation(sites=sites)])


def points(networks: tuple[str, ...], recipe: str, **sizes: Any) -> tuple[Settings, ...]:
    """Return the grid of some networks with one training recipe."""
    return grid(network=networks, activation=ACTIVATIONS, recipe=recipe, **RECIPES[recipe], **sizes)


Values = dict[int, float]


def gap(table: Table, score: str = "accuracy") -> Values:
    """Return each seed's gap: training accuracy minus test accuracy, or test loss minus training loss."""
    sign = 1 if score == "accuracy" else -1
    train, test = (table.per_seed(measure=name, site="") for name in (score, f"test_{score}"))
    return combined(lambda a, b: sign * (a - b), train, test)


def of(measure: str) -> Callable[[Table], Values]:
    """Return a function that reads a measure of the penultimate layer from one network's last rows."""
    return lambda table: table.per_seed(measure=measure, site=lambda site: site != "")


def at_the_end(table: Table, network: str, activation: str, recipe: str, read: Callable[[Table], Values]) -> Values:
    """Read a number at a network's last epoch for each seed."""
    return read(table.need(network=network, activation=activation, recipe=recipe).last())


def rises(
    networks: tuple[str, ...], activation: str, read: Callable[[Table], Values], *, recipe: str = "all", note: str
) -> Callable[[Table], Verdict]:
    """Return a check that a number grows from each network to the next."""

    def check(table: Table) -> Verdict:
        values = {name: at_the_end(table, name, activation, recipe, read) for name in networks}
        growth = {f"{a} to {b}": differences(values[b], values[a]) for a, b in pairwise(networks)}
        return decide_each(growth, above=0, note=note)

    return check


def as_printed(table: Table) -> Verdict:
    """Judge whether NC of the ReLU networks is what the paper's figure shows."""
    parts: dict[str, Verdict] = {}
    for name, value in READ_OFF.items():
        nc = at_the_end(table, name, "relu", "all", of("nc"))
        note = f"NC; the paper has about {value:.2f}"
        parts[name] = decide(nc, above=value - AS_READ, below=value + AS_READ, note=note)
    return all_of(parts)


def convolutions_have_less(read: Callable[[Table], Values], note: str) -> Callable[[Table], Verdict]:
    """Return a check that the largest number of a convolutional network is below the smallest of a dense one."""

    def check(table: Table) -> Verdict:
        largest, smallest = (
            combined(choose, *(at_the_end(table, name, "relu", "all", read) for name in names))
            for choose, names in ((max, CONVOLUTIONAL), (min, DENSE))
        )
        return decide(differences(*shared(smallest, largest)), above=0, note=note)  # dense networks have more seeds

    return check


def figure(table: Table) -> Figure:
    """Draw the paper's rows (a) to (c), with one column per network."""
    drawn, axes = panels(3, len(NETWORKS), width=2.4, height=2.1, sharex="col")
    for column, name in enumerate(NETWORKS):
        part = table.where(network=name, recipe="all")
        relu = part.where(activation="relu")
        for color, quartile in zip(COLORS, ("upper_quartile", "median", "lower_quartile"), strict=False):
            label = quartile.replace("_", " ")
            draw(axes[0][column], relu.curve("epoch", measure=f"wc_{quartile}"), label, color=color)
        for line, activation in enumerate(ACTIVATIONS, 1):
            _correlation_and_gap(axes[line][column], part.where(activation=activation))
        axes[0][column].set(title=name)
        axes[-1][column].set(xlabel="epoch")
    for line, label in enumerate(("(a) WC quartiles", "(b) NC and gap, ReLU", "(c) NC and gap, tanh")):
        axes[line][0].set_ylabel(label)
    legend(drawn)
    return drawn


def _correlation_and_gap(axis: Axes, part: Table) -> None:
    draw(axis, part.curve("epoch", measure="nc"), "NC", color=COLORS[4])
    gaps = {epoch: gap(rows) for epoch, rows in part.need(measure=["accuracy", "test_accuracy"]).groups("epoch")}
    draw(axis, gaps, "accuracy gap", color=COLORS[3])
    axis.set(ylim=(0, None))


def _claims() -> Iterator[Claim]:
    for activation, label, line in (("relu", "ReLU", "b"), ("tanh", "tanh", "c")):
        for recipe, more in (("all", ""), ("few", f", {OTHER}")):
            where = f"Fig. 7 ({line}), N3 to N5" if not more else "ours: another way to train"
            rise = {"networks": DENSE, "activation": activation, "recipe": recipe}
            text = f"NC grows from N3 over N4 to N5 ({label}{more})"
            yield Claim(f"NC, {label}{more}", text, where, rises(read=of("nc"), note="NC", **rise))
            for score in ("accuracy", "loss"):
                yield Claim(
                    f"{score} gap, {label}{more}",
                    f"The generalization gap, of the {score}, grows from N3 over N4 to N5 ({label}{more})",
                    where,
                    rises(read=lambda table, score=score: gap(table, score), note=f"{score} gap", **rise),
                )


CLAIMS = (
    *claims_of(
        __package__,
        "fig7",
        {"NC as printed": as_printed, "WC, dense": rises(DENSE, "relu", of("wc_median"), note="median WC")},
    ),
    *_claims(),
    *claims_of(
        __package__,
        "fig7",
        {
            "WC, convolutional": rises(CONVOLUTIONAL, "relu", of("wc_median"), note="median WC"),
            "NC, convolutional": rises(CONVOLUTIONAL, "relu", of("nc"), note="NC"),
            "gap, convolutional": rises(CONVOLUTIONAL, "relu", gap, note="accuracy gap"),
            "convolutions, NC": convolutions_have_less(of("nc"), "smallest NC of N3 to N5 less largest of N6, N7"),
            "convolutions, WC": convolutions_have_less(of("wc"), "smallest WC of N3 to N5 less largest of N6, N7"),
            "convolutions, gap": convolutions_have_less(
                gap, "smallest accuracy gap of N3 to N5 less largest of N6, N7"
            ),
        },
    ),
)


def n_seeds(point: Settings) -> int:
    """Return 10 seeds for dense networks and 3 for convolutional ones."""
    # Dense networks are trained stacked, at little cost; a seed of a convolutional one takes minutes.
    return 10 if point["network"] in DENSE else 3


SMOKE = {"data": "digits", "n_train": 300, "epochs": 2}

FIG7 = Experiment(
    name="jin2022.fig7",
    title="Weight correlation, neuronal correlation and generalization gap of five networks over training",
    grid={
        "smoke": (*points(NETWORKS, "all", **SMOKE), *points(DENSE, "few", **SMOKE)),
        "quick": (
            *points(DENSE, "all", data="mnist", n_train=60_000, epochs=40),
            *points(DENSE, "few", data="mnist", n_train=5000, epochs=200),
            *points(CONVOLUTIONAL, "all", data="cifar10", n_train=2000, n_test=2000, epochs=20),
        ),
        "paper": (
            *points(DENSE, "all", data="mnist", n_train=60_000, epochs=10_000),
            *points(DENSE, "few", data="mnist", n_train=5000, epochs=10_000),
            *points(CONVOLUTIONAL, "all", data="cifar10", n_train=50_000, epochs=10_000),
        ),
    },
    seeds={"smoke": 2, "quick": n_seeds, "paper": 5},
    run=run,
    figures={"fig7": figure},
    claims=CLAIMS,
    minutes={"smoke": 0.3, "quick": 20, "paper": 500_000},
    notes=notes_of(__doc__),
)
