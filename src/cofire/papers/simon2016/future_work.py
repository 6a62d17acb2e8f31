"""The paper's future work: the penalty on convolutions, and a learning rate that follows its drop.

A convolution's channels are the units, its positions the samples. The penalty is as the paper prints it, with a
weight of 0.1: the author's code divides it by the number of samples, which for positions leaves next to nothing.
Trained alike: without a penalty, with it, and with it while the learning rate falls with it (`PenaltyLR`).
Perceptrons are SMALL on 10,000 images of MNIST, convolutional networks have 16, 32 and 64 channels and learn 5000
pictures of CIFAR-10; SGD at .05 with momentum .8, batches of 50, torch's initialization.
"""

from collections.abc import Iterator
from contextlib import nullcontext

from torch import nn
from torch.nn import functional

from ...nets.penalties import CorrelationPenalty, PenaltyLR
from ...record import Row
from ..framework.claim_table import Table
from ..framework.estimates import Values, differences
from ..framework.experiment import Check, Experiment, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Part, part
from ..training.datasets import Dataset, load
from ..training.loop import Settings, batches, scored
from ..training.models import draw_weights, mlp, n_features
from .simon_networks import BATCH_SIZE, SIZES

PLAIN, PENALIZED, FOLLOWING = "no penalty", "penalty", "penalty, rate follows it"
KINDS = (PLAIN, PENALIZED, FOLLOWING)
CHANNELS = (16, 32, 64)
WEIGHT, EARLY = 0.1, 2


def convolutional(data: Dataset, *, seed: int) -> nn.Sequential:
    """Build three 3×3 convolutions, each with leaky ReLU and pooling, and a linear output.

    Example:
        >>> from cofire.papers.training.datasets import digits
        >>> len(convolutional(digits(), seed=0))
        11
    """
    net, n_in = nn.Sequential(), data.train_x.shape[1]
    for number, n_out in enumerate(CHANNELS, 1):
        net.add_module(f"conv{number}", nn.Conv2d(n_in, n_out, 3, padding=1))
        net.add_module(f"act{number}", nn.LeakyReLU())
        net.add_module(f"pool{number}", nn.MaxPool2d(2, ceil_mode=True))
        n_in = n_out
    net.add_module("flatten", nn.Flatten())
    net.add_module("output", nn.Linear(n_features(net, data.train_x.shape[1:]), data.n_classes))
    draw_weights(net, "leaky_relu", seed=seed, init="torch")
    return net


def run(task: Task) -> Iterator[Row]:
    """Train a network for each seed; record its test accuracy and learning rate after every epoch."""
    data = load(task["data"]).standardized().first(task["n_train"], task["n_test"])
    for seed in task.seeds:
        if task["layers"] == "convolutions":
            model = convolutional(data, seed=seed)
        else:
            widths = [data.train_x[0].numel(), *SIZES["SMALL"], data.n_classes]
            model = mlp(widths, activation="leaky_relu", seed=seed, init="torch")
        settings = Settings.of(
            task.values, optimizer="sgd", learning_rate=0.05, momentum=0.8, weight_decay=1e-4, seed=seed,
            batch_size=BATCH_SIZE,
        )  # fmt: skip
        yield row("test_accuracy", scored(model, data.test_x, data.test_y)[1], seed=seed)
        yield from _learn(model, data, settings, task["kind"])


def _learn(model: nn.Sequential, data: Dataset, settings: Settings, kind: str) -> Iterator[Row]:
    optimizer = settings.make_optimizer(model.parameters())
    layers = [name for name, _ in model.named_children() if name.startswith(("conv", "hidden"))]
    penalized = kind != PLAIN
    with CorrelationPenalty(model, layers, weight=WEIGHT) if penalized else nullcontext() as penalty:
        scheduler = PenaltyLR(optimizer, penalty, floor=0.5 * len(layers)) if penalty and kind == FOLLOWING else None
        per_epoch = settings.steps_per_epoch(len(data.train_x))
        for step, (x, y) in batches(data.train_x, data.train_y, settings):
            model.train()
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            (loss + penalty() if penalty else loss).backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            if step % per_epoch == 0:
                accuracy = scored(model, data.test_x, data.test_y)[1]
                rate = optimizer.param_groups[0]["lr"]
                for name, value in (("test_accuracy", accuracy), ("learning_rate", rate)):
                    yield row(name, value, seed=settings.seed, epoch=step // per_epoch)


def error(table: Table, layers: str, kind: str, *, epoch: int | None = None) -> Values:
    """Return the test error in percent after an epoch, by default the last."""
    rows = table.need(layers=layers, kind=kind, measure="test_accuracy")
    rows = rows.last() if epoch is None else rows.need(epoch=epoch)
    return {seed: 100 * (1 - value) for seed, value in rows.per_seed().items()}


def better(layers: str, kind: str, than: str, *, epoch: int | None = None) -> Check:
    """Return a check of how much lower the error of one kind is than another's."""
    when = "at the end" if epoch is None else f"after {epoch} epochs"

    def check(table: Table) -> Part:
        values = (error(table, layers, one, epoch=epoch) for one in (than, kind))
        return part(differences(*values), f"test error {when}, {than} less {kind}, points")

    return check


CHECKS: dict[str, Check] = {
    "faster on convolutions": better("convolutions", PENALIZED, PLAIN, epoch=EARLY),
    "better on convolutions": better("convolutions", PENALIZED, PLAIN),
    "following rate, perceptrons": better("dense", FOLLOWING, PENALIZED),
    "following rate, convolutions": better("convolutions", FOLLOWING, PENALIZED),
}


def figure(table: Table) -> Figure:
    """Draw test error and learning rate over epochs, with a column for each kind of layer."""
    names = table.need(measure="test_accuracy").values("layers")
    drawn, axes = panels(2, len(names), sharex="col")
    for column, layers in enumerate(names):
        for color, kind in zip(COLORS, KINDS, strict=False):
            rows = table.where(layers=layers, kind=kind)
            curve = rows.curve("epoch", measure="test_accuracy")
            errors = {at: {seed: 100 * (1 - value) for seed, value in seeds.items()} for at, seeds in curve.items()}
            draw(axes[0][column], errors, kind, color=color)
            draw(axes[1][column], rows.curve("epoch", measure="learning_rate"), "", color=color)
        axes[0][column].set(title=layers, yscale="log")
        axes[1][column].set(xlabel="epoch", yscale="log")
    axes[0][0].set_ylabel("test error, %")
    axes[1][0].set_ylabel("learning rate")
    legend(drawn)
    return drawn


_QUICK = {"kind": KINDS, "epochs": 10}

FUTURE = Experiment(
    name="simon2016.future",
    title="The penalty on convolutions, and a learning rate that follows it",
    grid={
        "smoke": grid(layers=["dense", "convolutions"], kind=KINDS, data="digits", n_train=300, n_test=200, epochs=3),
        "quick": (
            *grid(layers="dense", data="mnist", n_train=10_000, n_test=10_000, **_QUICK),
            *grid(layers="convolutions", data="cifar10", n_train=5000, n_test=2000, **_QUICK),
        ),
        "paper": (
            *grid(layers="dense", data="mnist", n_train=50_000, n_test=10_000, kind=KINDS, epochs=100),
            *grid(layers="convolutions", data="cifar10", n_train=50_000, n_test=10_000, kind=KINDS, epochs=100),
        ),
    },
    seeds={"smoke": 2, "quick": 5, "paper": 5},
    run=run,
    figures={"future": figure},
    claims=claims_of(__package__, "future", CHECKS),
    minutes={"smoke": 0.2, "quick": 5, "paper": 2000},
    notes=notes_of(__doc__),
    version=2,
    **texts_of(__package__, "future"),
    together=False,
)
