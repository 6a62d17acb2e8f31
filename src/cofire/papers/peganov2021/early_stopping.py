"""Early stopping: at the onset of decorrelation, compared with patience with the validation loss.

Ours, not the paper's. Every network is trained to the end, and each rule is asked afterwards what it would have done.
Patience keeps the network of the least validation loss and ends five epochs after it; the other rule keeps the
network of the epoch at whose end all hidden layers were told to be decorrelating, by a watch that looks ten times an
epoch. Quick learns 5000 images; their validation loss turns up well within 40 epochs.
"""

from collections.abc import Iterator, Mapping, Sequence

from ...record import PhaseWatch, Row, correlation
from ..framework.claim_table import Table
from ..framework.estimates import differences, interval
from ..framework.experiment import Experiment, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Figure, draw, legend_below, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Part, part
from ..training.datasets import Dataset, load
from ..training.loop import Settings
from ..training.models import mlp
from ..training.stacked_training import Watch, fit
from .correlation_course import QUANTITY

DECORRELATION, PATIENCE, NEVER = "decorrelation", "patience", "never"
BATCH = 50


def run(task: Task) -> Iterator[Row]:
    """Train to the end; record when each rule would have stopped, and the test accuracy at that point."""
    whole = load(task["data"])
    data = whole.held_out(task["n_held_out"]).first(task["n_train"])
    # Scored in place of the training images: the validation images, on which the rules decide.
    judges = Dataset("judges", data.test_x, data.test_y, whole.test_x, whole.test_y, data.n_classes)
    widths = [data.train_x[0].numel(), *task["hidden"], data.n_classes]
    networks = [mlp(widths, seed=seed) for seed in task.seeds]
    settings = Settings.of(task.values, batch_size=BATCH)
    an_epoch = settings.steps_per_epoch(len(data.train_x))
    watch = Watch(
        [correlation(sites="hidden*")],
        probe=judges.train_x[: task["probe"]],
        every=max(1, an_epoch // task["looks"]),
        scored=judges,
        scores_every=an_epoch,
    )
    rows = fit(networks, data, settings, seeds=task.seeds, watch=watch)
    for seed in task.seeds:
        yield from _of_seed([one for one in rows if one.seed == seed], task, an_epoch)


def _of_seed(rows: Sequence[Row], task: Task, an_epoch: int) -> Iterator[Row]:
    course = {
        name: {one.step // an_epoch: one.value for one in rows if one.measure == name}
        for name in ("loss", "test_accuracy")
    }
    seed = rows[0].seed or 0
    for epoch, value in course["test_accuracy"].items():
        yield row("test_accuracy", value, seed=seed, epoch=epoch)
    turned = min(task["epochs"], -(-decorrelating_from(rows, task["epochs"] * an_epoch) // an_epoch))
    best, gave_up = patient(course["loss"], task["patience"])
    taken = {DECORRELATION: (turned, turned), PATIENCE: (best, gave_up), NEVER: (task["epochs"], task["epochs"])}
    for rule, (kept, trained) in taken.items():
        yield row("accuracy_kept", course["test_accuracy"][kept], seed=seed, rule=rule)
        yield row("epochs_trained", trained, seed=seed, rule=rule)


def decorrelating_from(rows: Sequence[Row], last: int) -> int:
    """Return the step at which a watch would report that all layers are decorrelating, or ``last`` if it never does."""
    watch = PhaseWatch(QUANTITY)
    for step in sorted({one.step for one in rows}):
        watch([one for one in rows if one.step == step])
        if watch.decorrelating:
            return step
    return last


def patient(losses: Mapping[int, float], patience: int) -> tuple[int, int]:
    """Return the epoch with the lowest loss, and the one that ends training, after ``patience`` epochs without a lower.

    Example:
        >>> patient({0: 3.0, 1: 1.0, 2: 2.0, 3: 1.5, 4: 0.5}, patience=2)
        (1, 3)
    """
    best = 0
    for epoch, loss in losses.items():
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return best, epoch
    return best, max(losses)


def figure(table: Table) -> Figure:
    """Draw test accuracy over epochs for each data set, and each rule's mean stopping time."""
    names = table.need(measure="test_accuracy").values("data")
    drawn, axes = panels(1, len(names))
    for axis, name in zip(axes[0], names, strict=True):
        part = table.where(data=name)
        draw(axis, part.curve("epoch", measure="test_accuracy"), "test accuracy", color="black")
        for color, rule in zip(COLORS, (DECORRELATION, PATIENCE), strict=False):
            mean, _, _ = interval(part.per_seed(measure="epochs_trained", rule=rule))
            kept, _, _ = interval(part.per_seed(measure="accuracy_kept", rule=rule))
            axis.axvline(mean, color=color, label=f"{rule}: {mean:.1f} epochs, {kept:.1%}")
        axis.set(title=name, xlabel="epoch")
        legend_below(axis)
    axes[0][0].set_ylabel("test accuracy")
    return drawn


def compared(table: Table, measure: str, one: str, other: str, note: str) -> dict[str, Part]:
    """Return a measure under one rule minus that under another, on each data set."""
    return {
        name: part(differences(rows.per_seed(rule=one), rows.per_seed(rule=other)), note)
        for name, rows in table.need(measure=measure).groups("data")
    }


CHECKS = {
    "as accurate": lambda table: compared(
        table, "accuracy_kept", DECORRELATION, PATIENCE, "test accuracy, stopped by decorrelation less by patience"
    ),
    "sooner": lambda table: compared(
        table, "epochs_trained", PATIENCE, DECORRELATION, "epochs of patience less those of decorrelation"
    ),
}

_BOTH = {"data": ["mnist", "cifar10"], "n_held_out": 5000, "probe": 1000, "epochs": 40, "patience": 5, "looks": 10}

STOPPING = Experiment(
    name="peganov2021.stopping",
    title="Stopping where decorrelation sets in, against patience with the validation loss",
    grid={
        "smoke": grid(
            data=["digits"], n_train=400, n_held_out=300, probe=200, hidden=[[30, 20]], epochs=6, patience=2, looks=4
        ),
        "quick": grid(**_BOTH, n_train=5000, hidden=[[200, 100]]),
        "paper": grid(**_BOTH, n_train=40_000, hidden=[[1500, 1000, 500]]),
    },
    seeds={"smoke": 2, "quick": 5, "paper": 10},
    run=run,
    figures={"stopping": figure},
    claims=claims_of(__package__, "early_stopping", CHECKS),
    minutes={"smoke": 0.1, "quick": 2, "paper": 400},
    notes=notes_of(__doc__),
    **texts_of(__package__, "early_stopping"),
)
