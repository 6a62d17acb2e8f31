"""Figure 7: weight correlation and neuronal correlation of N3 to N7's penultimate layers; generalization gaps.

The paper leaves open optimizer, learning rate, batch size, probe, padding, and whether its gap is one of accuracy or
of loss: here Adam at 0.001 and SGD at 0.1, batches of 100, the first 2000 test images, zero padding, and both gaps, as
shares of the first network's gap. Weight correlation is read in two ways, with the absolute value and as Eq. 11 prints
it; of kernels, as one vector or input channel by input channel, as in the authors' earlier code. A third way to train
(5000 images, SGD at 0.1, batches of 50, 200 epochs) is ours: gaps can be ordered only where the training images are
learned nearly by heart. Medium trains dense networks for 60 epochs, with 30 repetitions, and convolutional ones on all
images of CIFAR-10 for 10 epochs, with 3; where both are compared, the repetitions that they share count.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise, product
from typing import Any

from torch import Tensor

from ...nets import dropout_report
from ...record import Measure, Row, correlation, weight_correlation
from ...stats.weights.weight_correlation import weight_correlation_summary
from ..framework.claim_table import Table
from ..framework.estimates import Values, combined, differences, interval, mean_of, shared
from ..framework.experiment import Check, Experiment, Readings, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Axes, Figure, draw, legend, panels
from ..framework.ranking import tau_b
from ..framework.tasks import Settings, Task, grid
from ..framework.verdict_text import figures, markdown_table
from ..framework.verdicts import Part, drift, part
from .fig3_activation_functions import unrest
from .jin_networks import CHANNELS, PROBE, dataset, networks_of, penultimate, trained

DENSE, CONVOLUTIONAL = ("N3", "N4", "N5"), ("N6", "N7")
NETWORKS = (*DENSE, *CONVOLUTIONAL)
ACTIVATIONS = ("relu", "tanh")
READ_OFF = {"N3": 0.22, "N4": 0.32, "N5": 0.40}
RECIPES = {
    "adam": {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 100},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 100},
    "few": {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 50},
}
OPTIMIZERS = {"Adam": "adam", "SGD": "sgd"}
PER_CHANNEL = "per input channel"
Read = Callable[[Table], Values]
"""Rows of one network at one epoch → a number for each repetition."""


def run(task: Task) -> Iterator[Row]:
    """Record WC with its quartiles and NC of the penultimate layer, and scores, over epochs; NC around pooling."""
    layer = penultimate(task["network"])
    measures = [correlation(sites=[layer]), weight_correlation(sites=[layer])]
    convolutional = task["network"] in CONVOLUTIONAL
    if convolutional:
        measures.append(Measure(per_input_channel, sites=[layer], stage="weights", name="per_input_channel"))
        measures.append(correlation(sites=[f"act{len(CHANNELS)}", f"pool{len(CHANNELS)}"]))
    data = dataset(task)
    models = networks_of(task, data)
    yield from trained(task, data, measures, models=models)
    if convolutional:
        for seed, model in zip(task.seeds, models, strict=True):
            last = dropout_report(model, data.test_x[:PROBE].split(500), seed=seed).rows[-1]
            for name in ("entering", "dropped"):
                value = getattr(last, name)
                yield row(name, value, seed=seed, epoch=task["epochs"], site=last.layer, n_samples=last.n_samples)


def per_input_channel(weight: Tensor) -> dict[str, float]:
    """Summarize weight correlation with the kernels compared input channel by input channel."""
    found = weight_correlation_summary(weight, reading="per_input_channel")
    return {f"wc {PER_CHANNEL}": found.mean_abs, f"wc_median {PER_CHANNEL}": found.median}


def points(networks: tuple[str, ...], recipe: str, **sizes: Any) -> tuple[Settings, ...]:
    """Return the grid of some networks with one training recipe."""
    return grid(network=networks, activation=ACTIVATIONS, recipe=recipe, **RECIPES[recipe], **sizes)


def gap(table: Table, score: str = "accuracy") -> Values:
    """Return each repetition's gap: training accuracy minus test accuracy, or test loss minus training loss."""
    sign = 1 if score == "accuracy" else -1
    train, test = (table.per_seed(measure=name, site="") for name in (score, f"test_{score}"))
    return combined(lambda a, b: sign * (a - b), train, test)


def of(measure: str) -> Read:
    """Return a function that reads a measure of the penultimate layer from one network's rows at one epoch."""
    return lambda table: table.per_seed(measure=measure, site=penultimate(table.column("network")[0]))


GAPS: dict[str, Read] = {"accuracy": gap, "loss": partial(gap, score="loss")}


def halfway(rows: Table) -> Table:
    """Return the rows of the middle of training."""
    return rows.near(0.5)


def growth(
    networks: tuple[str, ...], read: Read, note: str, *, recipe: str = "adam", relative: bool = False, at: str = "last"
) -> Check:
    """Return a check of how much a number grows from each network to the next, with either activation function.

    Args:
        networks: in the order of the claim.
        read: the number.
        note: what it is.
        recipe: key of `RECIPES`.
        relative: whether to divide by the number of the first of all networks, averaged over repetitions.
        at: ``"last"`` epoch, or ``"first"``.
    """

    def grown(table: Table, activation: str, a: str, b: str, moment: Callable[[Table], Table]) -> Values:
        values = {
            name: read(moment(table.need(network=name, activation=activation, recipe=recipe))) for name in networks
        }
        change = differences(*shared(values[b], values[a]))
        scale = abs(interval(values[networks[0]])[0]) if relative else 1.0
        return {seed: value / scale for seed, value in change.items()}

    def check(table: Table) -> dict[str, Part]:
        moment: Callable[[Table], Table] = Table.last if at == "last" else lambda rows: rows.where(epoch=0)
        found: dict[str, Part] = {}
        for activation, (a, b) in product(ACTIVATIONS, pairwise(networks)):
            late, middle = (grown(table, activation, a, b, when) for when in (moment, halfway))
            found[f"{activation}, {a} to {b}"] = part(
                late, note, sample=activation, trend=mean_of(differences(late, middle))
            )
        return found

    return check


def as_printed(recipe: str) -> Check:
    """Return a check of NC of the ReLU networks less what the paper's figure shows."""

    def check(table: Table) -> dict[str, Part]:
        found: dict[str, Part] = {}
        for name, value in READ_OFF.items():
            rows = table.need(network=name, activation="relu", recipe=recipe)
            off = {seed: nc - value for seed, nc in of("nc")(rows.last()).items()}
            note = f"NC less the paper's {value:.2f}"
            found[name] = part(off, note, trend=drift(of("nc"), rows))
        return found

    return check


def stable(recipe: str) -> Check:
    """Return a check of how far NC strays from its last value."""

    def check(table: Table) -> dict[str, Part]:
        return {
            f"{activation}, {name}": part(
                unrest(
                    table.need(network=name, activation=activation, recipe=recipe).curve(
                        "epoch", measure="nc", site=penultimate(name)
                    )
                ),
                "largest distance of NC from its last value, over nine tenths of training",
            )
            for activation, name in product(ACTIVATIONS, DENSE)
        }

    return check


def goes_with(read: Read, gap_of: Read, note: str, networks: tuple[str, ...] = DENSE, recipe: str = "adam") -> Check:
    """Return a check of Kendall's τ between a number and the gap over networks and activation functions."""

    def taus(table: Table, moment: Callable[[Table], Table]) -> Values:
        rows = [
            moment(table.need(network=name, activation=activation, recipe=recipe))
            for name, activation in product(networks, ACTIVATIONS)
        ]
        numbers = shared(*map(read, rows), *map(gap_of, rows))
        return combined(lambda *values: tau_b(values[: len(rows)], values[len(rows) :]), *numbers)

    def check(table: Table) -> Part:
        late, middle = (taus(table, when) for when in (Table.last, halfway))
        note_ = f"Kendall's τ of {note} over {2 * len(networks)} networks"
        return part(late, note_, trend=mean_of(differences(late, middle)))

    return check


def convolutions_have_less(read_dense: Read, read_convolutional: Read, note: str, *, relative: bool = False) -> Check:
    """Return a check of the smallest number of a dense network less the largest of a convolutional one."""

    def less(table: Table, activation: str, moment: Callable[[Table], Table]) -> Values:
        numbers = [
            [read(moment(table.need(network=name, activation=activation, recipe="adam"))) for name in names]
            for names, read in ((DENSE, read_dense), (CONVOLUTIONAL, read_convolutional))
        ]
        smallest, largest = combined(min, *numbers[0]), combined(max, *numbers[1])
        scale = abs(interval(smallest)[0]) if relative else 1.0
        return {seed: value / scale for seed, value in differences(*shared(smallest, largest)).items()}

    def check(table: Table) -> dict[str, Part]:
        found: dict[str, Part] = {}
        for activation in ACTIVATIONS:
            late, middle = (less(table, activation, when) for when in (Table.last, halfway))
            found[activation] = part(late, note, trend=mean_of(differences(late, middle)))
        return found

    return check


def falls(before: tuple[str, str], after: tuple[str, str], note: str) -> Check:
    """Return a check of how much NC falls from one measure and site to another in the convolutional networks."""

    def check(table: Table) -> dict[str, Part]:
        found: dict[str, Part] = {}
        for activation, name in product(ACTIVATIONS, CONVOLUTIONAL):
            rows = table.need(network=name, activation=activation, recipe="adam").last()
            one, other = (rows.per_seed(measure=measure, site=site) for measure, site in (before, after))
            found[f"{activation}, {name}"] = part(differences(one, other), note)
        return found

    return check


def figure(table: Table) -> Figure:
    """Draw the paper's rows (a) to (c), with one column per network; a row of panels has one axis."""
    drawn, axes = panels(3, len(NETWORKS), width=2.4, height=2.1, sharex="col", sharey="row")
    for column, name in enumerate(NETWORKS):
        part_ = table.where(network=name, recipe="adam")
        axes[0][column].set(title=name)
        axes[-1][column].set(xlabel="epoch")
        if not part_:
            axes[0][column].text(0.5, 0.5, "not run", transform=axes[0][column].transAxes, ha="center")
            continue
        relu = part_.where(activation="relu")
        for color, quartile in zip(COLORS, ("upper_quartile", "median", "lower_quartile"), strict=False):
            label = quartile.replace("_", " ")
            draw(axes[0][column], relu.curve("epoch", measure=f"wc_{quartile}"), label, color=color)
        for line, activation in enumerate(ACTIVATIONS, 1):
            _correlation_and_gap(axes[line][column], part_.where(activation=activation), penultimate(name))
    for line, label in enumerate(("(a) WC quartiles", "(b) NC and gap, ReLU", "(c) NC and gap, tanh")):
        axes[line][0].set_ylabel(label)
    legend(drawn)
    return drawn


def _correlation_and_gap(axis: Axes, rows: Table, layer: str) -> None:
    """Draw NC in orange and the accuracy gap in blue, as the paper does; the loss gap is dotted."""
    draw(axis, rows.curve("epoch", measure="nc", site=layer), "NC", color="#e8890c")
    for (score, read), style in zip(GAPS.items(), ("-", ":"), strict=True):
        measured = rows.need(measure=[score, f"test_{score}"])
        gaps = {epoch: read(at) for epoch, at in measured.groups("epoch")}
        draw(axis, gaps, f"{score} gap", color="#1f5fbf", linestyle=style)
    axis.set(ylim=(0, None))


def at_start_and_end(table: Table) -> str:
    """Tabulate NC, weight correlation and gaps of every network before and after training."""
    columns: dict[str, Read] = {"NC": of("nc"), "mean |cosine|": of("wc"), "mean cosine": of("wc_signed"), **GAPS}
    lines = []
    for (recipe, name), activation in product(product(RECIPES, NETWORKS), ACTIVATIONS):
        rows = table.where(network=name, activation=activation, recipe=recipe)
        if rows:
            cells = [
                " → ".join(figures(interval(read(at))[0]) for at in (rows.where(epoch=0), rows.last()))
                for read in columns.values()
            ]
            lines.append([name, activation, recipe, *cells])
    return markdown_table(["network", "activation", "trained by", *columns], lines)


def by_optimizer(make: Callable[..., Check]) -> Readings:
    """Return a check under both optimizers; ``make`` takes the recipe."""
    return Readings("the optimizer", {told: make(recipe=recipe) for told, recipe in OPTIMIZERS.items()})


def by_gap(make: Callable[[Read, str, str], Check], recipes: dict[str, str] = OPTIMIZERS) -> Readings:
    """Return a check for the gap of accuracy and of loss, under each recipe; ``make`` takes gap, note and recipe."""
    return Readings(
        "the gap (of accuracy or loss) and the optimizer" if len(recipes) > 1 else "the gap, of accuracy or loss",
        {
            f"{score}, {told}" if len(recipes) > 1 else score: make(read, f"{score} gap", recipe)
            for score, read in GAPS.items()
            for told, recipe in recipes.items()
        },
    )


def _growing_gap(networks: tuple[str, ...]) -> Callable[[Read, str, str], Check]:
    return lambda read, note, recipe: growth(
        networks, read, f"{note}, as a share of {networks[0]}'s", recipe=recipe, relative=True
    )


ADAM, FEW = {"Adam": "adam"}, {"few images": "few"}
ACT, POOL, DROP = (f"{kind}{len(CHANNELS)}" for kind in ("act", "pool", "drop"))
CHECKS: dict[str, Check | Readings] = {
    "NC as printed": by_optimizer(as_printed),
    "NC is stable": by_optimizer(stable),
    "WC, dense": Readings(
        "the reading of weight correlation",
        {
            "absolute": growth(DENSE, of("wc_median"), "median |cosine|"),
            "as printed, signed": growth(DENSE, of("wc_signed"), "mean cosine"),
        },
    ),
    "NC, dense": by_optimizer(partial(growth, DENSE, of("nc"), "NC")),
    "NC, dense, at initialization": growth(DENSE, of("nc"), "NC before training", at="first"),
    "gap, dense": by_gap(_growing_gap(DENSE)),
    "NC, dense, few images": growth(DENSE, of("nc"), "NC", recipe="few"),
    "gap, dense, few images": by_gap(_growing_gap(DENSE), FEW),
    "NC and gap": by_gap(lambda read, note, recipe: goes_with(of("nc"), read, f"NC and {note}", recipe=recipe)),
    "WC and gap": by_gap(lambda read, note, recipe: goes_with(of("wc"), read, f"WC and {note}", recipe=recipe)),
    "WC, convolutional": Readings(
        "the reading of weight correlation",
        {
            "a kernel is one vector": growth(CONVOLUTIONAL, of("wc_median"), "median |cosine|"),
            PER_CHANNEL: growth(CONVOLUTIONAL, of(f"wc_median {PER_CHANNEL}"), "median |cosine|"),
        },
    ),
    "NC, convolutional": growth(CONVOLUTIONAL, of("nc"), "NC"),
    "gap, convolutional": by_gap(_growing_gap(CONVOLUTIONAL), ADAM),
    "convolutions, NC": convolutions_have_less(of("nc"), of("nc"), "smallest NC of N3 to N5 less largest of N6, N7"),
    "convolutions, WC": Readings(
        "the reading of weight correlation",
        {
            told: convolutions_have_less(of("wc"), of(measure), "smallest WC of N3 to N5 less largest of N6, N7")
            for told, measure in (("a kernel is one vector", "wc"), (PER_CHANNEL, f"wc {PER_CHANNEL}"))
        },
    ),
    "convolutions, gap": by_gap(
        lambda read, note, recipe: convolutions_have_less(
            read, read, f"smallest {note} of N3 to N5 less largest of N6, N7, as a share", relative=True
        ),
        ADAM,
    ),
    "pooling lowers NC": falls(("nc", ACT), ("nc", POOL), "NC before less behind the last pooling"),
    "dropout lowers NC": falls(("entering", DROP), ("dropped", DROP), "NC before less behind the last masks"),
}


def n_seeds(point: Settings) -> int:
    """Return 30 repetitions of dense networks, 15 with SGD on all images, 3 of convolutional networks."""
    # Dense networks are trained stacked, at little cost; a convolutional one takes an hour.
    return 3 if point["network"] in CONVOLUTIONAL else 15 if point["recipe"] == "sgd" else 30


SMOKE = {"data": "digits", "n_train": 300, "epochs": 2}
ALL = {"data": "mnist", "n_train": 60_000}

FIG7 = Experiment(
    name="jin2022.fig7",
    title="Weight correlation, neuronal correlation and generalization gap of five networks over training",
    grid={
        "smoke": (*points(NETWORKS, "adam", **SMOKE), *points(DENSE, "sgd", **SMOKE), *points(DENSE, "few", **SMOKE)),
        "quick": (
            *points(DENSE, "adam", **ALL, epochs=40),
            *points(DENSE, "few", data="mnist", n_train=5000, epochs=200),
            *points(CONVOLUTIONAL, "adam", data="cifar10", n_train=2000, n_test=2000, epochs=20),
        ),
        "medium": (
            *points(DENSE, "adam", **ALL, epochs=60),
            *points(DENSE, "sgd", **ALL, epochs=60),
            *points(DENSE, "few", data="mnist", n_train=5000, epochs=200),
            *points(CONVOLUTIONAL, "adam", data="cifar10", n_train=50_000, epochs=10),
        ),
        "paper": (
            *points(DENSE, "adam", **ALL, epochs=10_000),
            *points(DENSE, "sgd", **ALL, epochs=10_000),
            *points(DENSE, "few", data="mnist", n_train=5000, epochs=10_000),
            *points(CONVOLUTIONAL, "adam", data="cifar10", n_train=50_000, epochs=10_000),
        ),
    },
    seeds={"smoke": 2, "quick": lambda point: min(n_seeds(point), 10), "medium": n_seeds, "paper": 5},
    run=run,
    version=2,
    figures={"fig7": figure},
    claims=claims_of(__package__, "fig7", CHECKS),
    minutes={"smoke": 0.5, "quick": 20, "medium": 240, "paper": 500_000},
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig7"),
    tables={"Before and after training": at_start_and_end},
)
