"""Figure 2: the spread of each layer's correlations as the penalty on correlation grows.

Correlations are those behind the leaky ReLU, on the 10,000 images held out. The penalty is the paper's, with the
weight that its text states. The author's code differs from the text: it divides the penalty by the batch size, which
makes it 50 times weaker, and it loses the momentum at every step. Both are run too, as is He's initialization: torch's
default makes small activations, and the penalty's gradient has 1/σ in it, which can throw a network out within a few
steps. Networks that diverged are counted and left out of the panels. Medium trains for 8 epochs. At paper scale the
networks that are printed, and those with the penalty of the code, train for 100 epochs; without momentum and from He's
initialization for 8.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import isfinite, nan

from ...nets import dropout_report
from ...record import Row
from ..framework.claim_table import Table
from ..framework.estimates import Values, differences, shared
from ..framework.experiment import Experiment, Readings, claims_of, notes_of, row, texts_of
from ..framework.plots import Figure, panels
from ..framework.tasks import Settings, Task, grid
from ..framework.verdicts import Part, Parts, part, share
from ..training.stacked_training import Watch
from .simon_networks import (
    AS_CODED,
    CHOICE,
    CODED,
    DROP,
    MILD,
    NORMED,
    READINGS,
    SIZES,
    STRONG,
    VANILLA,
    Reading,
    data_of,
    draw_spread,
    finite,
    networks_of,
    spread,
    trained,
)

HIDDEN = ("hidden1", "hidden2", "hidden3")
LAW = ("entering", "dropped", "paper_law", "pearson_law", "second_moment_dropped", "second_moment_law")
EPOCHS = 100


def run(task: Task) -> Iterator[Row]:
    """Record every epoch's scores, then the spread of every layer's correlations, or NaN if training diverged."""
    data = data_of(task)
    networks = networks_of(task, data)
    yield from trained(task, data, networks, Watch())
    for seed, network, whole in zip(task.seeds, networks, finite(networks), strict=True):
        yield row("diverged", float(not whole), seed=seed)
        if whole:
            yield from spread(network, data, HIDDEN, seed=seed)
        else:
            yield from (row("nc", nan, seed=seed, site=layer) for layer in HIDDEN)
        if task["kind"] == DROP:
            laws = dropout_report(network, data.test_x.split(1000), seed=seed).rows[0]
            for name in LAW:
                yield row(name, getattr(laws, name), seed=seed, site="drop1", n_samples=laws.n_samples)


def figure(table: Table, reading: Reading) -> Figure:
    """Draw the paper's nine panels under one reading; diverged networks have no bars."""
    drawn, axes = panels(len(reading.kinds), len(HIDDEN), width=2.6, height=1.9, sharex=True)
    for line, kind in enumerate(reading.kinds):
        rows = reading.rows(table, kind, "HUGE")
        for column, layer in enumerate(HIDDEN):
            axis, own = axes[line][column], rows.where(site=layer)
            name = f"HUGE-{kind.removesuffix(AS_CODED)}"
            axis.set_title(f"({'abcdefghi'[3 * line + column]}) {name}, layer {column + 1}", fontsize=8)
            if own.where(measure="share"):
                draw_spread(axis, own)
            else:
                axis.text(0.5, 0.5, "diverged", transform=axis.transAxes, ha="center")
    for axis in axes[-1]:
        axis.set_xlabel("|ρ|")
    return drawn


def lost(rows: Table, *, epoch: int | None = None) -> Values:
    """Return whether each repetition's weights were not finite after an epoch, by default the last."""
    if epoch is None:
        return rows.per_seed(measure="diverged")
    losses = rows.per_seed(measure="test_loss", epoch=epoch)
    return {seed: float(not isfinite(loss)) for seed, loss in losses.items()}


def diverged(
    table: Table, reading: Reading, kind: str, sizes: tuple[str, ...] = ("HUGE",), *, epoch: int | None = None
) -> str:
    """Say which networks of a kind had diverged by an epoch; an empty text if none had."""
    found = {size: share(lost(reading.rows(table, kind, size), epoch=epoch)) for size in sizes}
    told = [f"{size} in {one.count} of {one.n}" for size, one in found.items() if one.count]
    return f"{kind.removesuffix(AS_CODED)} diverged: {', '.join(told)}" if told else ""


def reduced(table: Table) -> str:
    """Say how many epochs were trained, if fewer than the paper's."""
    epochs = max(table.column("epochs"))
    return f"{epochs} of {EPOCHS} epochs" if epochs < EPOCHS else ""


def falls(table: Table, less: int, more: int, reading: Reading) -> Mapping[str, Part]:
    """Return the fall of the mean |ρ| from one kind to another in every layer of HUGE networks."""
    kinds = reading.kinds[less], reading.kinds[more]
    rows = [reading.rows(table, kind, "HUGE") for kind in kinds]
    if told := diverged(table, reading, kinds[1]):
        return {"": Part(diverged=told)}
    if told := diverged(table, reading, kinds[0]):
        return {"": Part(diverged=told, reference_diverged=True)}
    return {
        layer: part(
            differences(*shared(*(own.per_seed(measure="nc", site=layer) for own in rows))),
            "fall of the mean |ρ|",
            sample="networks",
            reduced=reduced(rows[0]),
        )
        for layer in HIDDEN
    }


def trains(table: Table, reading: Reading) -> Part:
    """Return the share of HUGE-CORRNET-1.0 whose weights stay finite."""
    lost = reading.rows(table, reading.kinds[2], "HUGE").per_seed(measure="diverged")
    return Part(share({seed: 1 - value for seed, value in lost.items()}), "share that does not diverge")


def read(check: Callable[..., Parts], *fixed: object) -> Readings:
    """Return a check under every reading of the paper; ``fixed`` are further arguments before the reading."""
    return Readings(CHOICE, {name: lambda table, one=one: check(table, *fixed, one) for name, one in READINGS.items()})


CHECKS = {
    "falls from VANILLANET to CORRNET-0.1": read(falls, 0, 1),
    "falls from CORRNET-0.1 to CORRNET-1.0": read(falls, 1, 2),
    "CORRNET-1.0 trains": read(trains),
}

ALL = tuple(reversed(SIZES))
PLAIN = {"init": "torch", "momentum": 0.8}


def points(sizes: tuple[str, ...], *, short: int, **settings: object) -> tuple[Settings, ...]:
    """Return every size with every kind; variants of the paper's settings for ``short`` epochs."""
    variants = {**settings, "epochs": short}
    return (
        *grid(size=sizes, kind=(VANILLA, MILD, STRONG, NORMED, *CODED[1:]), **PLAIN, **settings),
        *grid(size="HUGE", kind=DROP, **PLAIN, **settings),
        *grid(size=sizes, kind=(VANILLA, MILD, STRONG), init="normal", momentum=0.8, **variants),
        *grid(size=sizes, kind=CODED, init="torch", momentum=0.0, **variants),
    )


def n_repetitions(point: Settings) -> int:
    """Return 5, or 6 for the networks whose divergence is judged: of 5, not even all would show it."""
    return 6 if point["size"] == "HUGE" and str(point["kind"]).startswith(STRONG) else 5


FIG2 = Experiment(
    name="simon2016.fig2",
    title="How the correlations of each layer are spread as the penalty's weight grows",
    grid={
        "smoke": points(("HUGE", "TINY"), data="digits", n_train=400, epochs=3, short=3),
        "quick": points(ALL, data="mnist", n_train=10_000, epochs=4, short=4),
        "medium": points(ALL, data="mnist", n_train=50_000, epochs=8, short=8),
        "paper": points(ALL, data="mnist", n_train=50_000, epochs=EPOCHS, short=8),
    },
    seeds={"smoke": 2, "quick": n_repetitions, "medium": n_repetitions, "paper": n_repetitions},
    run=run,
    version=2,
    figures={
        "fig2": partial(figure, reading=READINGS["as printed"]),
        "code": partial(figure, reading=READINGS["penalty as in the author's code"]),
        "he": partial(figure, reading=READINGS["He's initialization"]),
    },
    claims=claims_of(__package__, "fig2", CHECKS),
    minutes={"smoke": 0.6, "quick": 4, "medium": 25, "paper": 240},
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig2"),
    task_name="simon2016.networks",
)
