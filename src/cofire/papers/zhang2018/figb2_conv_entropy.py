"""Figure B.2: mean entropy of a convolutional network's two dense layers on CIFAR-10 against their width.

The paper says that five convolutions stand before two dense layers, and no more: strides 1, 2, 1, 2, 1 as in the
all-convolutional net. Quick has a third of its channels and learns 3000 pictures for 10 epochs at a rate of 0.05;
|ΔH| only grows with more. There is no scale medium: one epoch of one network of the paper's size would take about a
quarter of an hour on one core. Pre-activations of 1000 training pictures, as in figure 2.
"""

from collections.abc import Iterator, Sequence

from torch import nn
from torch.nn.utils import skip_init

from ...record import Row
from ..framework.claim_table import Table
from ..framework.experiment import Experiment, claims_of, notes_of, texts_of
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Part
from ..training.datasets import Dataset, load
from ..training.models import draw_weights
from .width_claims import size_of_change, slopes
from .zhang_networks import course

DENSE = ("dense1", "dense2")
STRIDES = (1, 2, 1, 2, 1)
CHANNELS = [96, 96, 192, 192, 192]


def all_convolutional(data: Dataset, channels: Sequence[int], width: int, *, seed: int) -> nn.Sequential:
    """Build five 3×3 convolutions, the second and fourth with stride 2, then two dense layers, all with ReLU.

    Example:
        >>> from cofire.papers.training.datasets import digits
        >>> net = all_convolutional(digits(), [2, 2, 3, 3, 3], 7, seed=0)
        >>> [name for name, _ in net.named_children() if not name.startswith(("conv", "act"))]
        ['flatten', 'dense1', 'dense2', 'output']
    """
    net, (n_in, height, side) = nn.Sequential(), data.train_x.shape[1:]
    for number, (n_out, stride) in enumerate(zip(channels, STRIDES, strict=True), 1):
        net.add_module(f"conv{number}", skip_init(nn.Conv2d, n_in, n_out, 3, stride=stride, padding=1))
        net.add_module(f"act{number}", nn.ReLU())
        n_in, height, side = n_out, -(-height // stride), -(-side // stride)
    net.add_module("flatten", nn.Flatten())
    for number, n_inputs in enumerate((n_in * height * side, width), len(STRIDES) + 1):
        net.add_module(f"dense{number - len(STRIDES)}", skip_init(nn.Linear, n_inputs, width))
        net.add_module(f"act{number}", nn.ReLU())
    net.add_module("output", skip_init(nn.Linear, width, data.n_classes))
    draw_weights(net, "relu", seed=seed)
    return net


def run(task: Task) -> Iterator[Row]:
    """Train; record the measures of the dense layers' pre-activations and the scores over epochs."""
    data = load(task["data"]).first(task["n_train"], task["n_test"])
    networks = [all_convolutional(data, task["channels"], task["width"], seed=seed) for seed in task.seeds]
    return course(task, data, networks, DENSE)


def figure(table: Table) -> Figure:
    """Draw mean entropy against width, dashed before training and solid after it."""
    drawn, axes = panels(1, 1, width=4.5, height=3)
    axis = axes[0][0]
    for color, layer in zip(COLORS, DENSE, strict=False):
        part = table.need(measure="entropy", site=layer)
        for epoch, style in zip(part.values("epoch")[:: len(part.values("epoch")) - 1], ("--", "-"), strict=True):
            label = f"{layer}, {'before' if style == '--' else 'after'} training"
            draw(axis, part.curve("width", epoch=epoch), label, color=color, linestyle=style)
    axis.set(xscale="log", xlabel="width", ylabel="mean entropy of a unit, nats")
    legend(drawn)
    return drawn


def changes(table: Table) -> dict[str, Part]:
    """Return |ΔH| at the largest width for each dense layer."""
    rows = table.where(width=max(table.need(activation="relu").values("width")))
    told = f"|ΔH|, {rows.values('width')[0]} units, nats"
    found: dict[str, Part] = {}
    for layer in DENSE:
        parts = size_of_change(rows, layer).parts(
            layer, told, sample="relu", below=False, reduced=fewer_channels(table)
        )
        found[layer] = parts[layer]  # without what the change will come to: it only grows
    return found


def keeps(table: Table) -> dict[str, Part]:
    """Return the slope of log|ΔH| over log width for each dense layer."""
    options = {"below": False, "reduced": fewer_channels(table)}
    return slopes(size_of_change, "|ΔH|", ("relu",), layers=DENSE, **options)(table)


def fewer_channels(table: Table) -> str:
    """Return why networks of this size cannot refute a claim, if they cannot."""
    counts = [row["channels"] for row in table if "channels" in row and list(row["channels"]) != CHANNELS]
    return f"the convolutions have {counts[0]} channels" if counts else ""


CHECKS = {"assumption fails": changes, "change does not fall": keeps}
CLAIMS = claims_of(__package__, "figb2", CHECKS)

_ALL = {"activation": "relu", "batch_size": 50}
_QUICK = {**_ALL, "data": "cifar10", "channels": [[32, 32, 64, 64, 64]], "learning_rate": 0.05}
_PAPER = {**_ALL, "data": "cifar10", "channels": [CHANNELS], "learning_rate": 0.001}

FIGB2 = Experiment(
    name="zhang2018.figB2",
    version=3,
    title="Mean entropy of a unit in the dense layers of a convolutional network against their width, on CIFAR-10",
    grid={
        "smoke": grid(
            width=[20, 5], **_ALL, data="digits", channels=[[4, 4, 6, 6, 6]], learning_rate=0.05,
            n_train=400, n_test=100, epochs=3,
        ),
        "quick": grid(width=[1000, 200, 50, 10], **_QUICK, n_train=3000, n_test=1000, epochs=10),
        "paper": grid(
            width=[1000, 700, 500, 300, 200, 100, 50, 20, 10, 5], **_PAPER, n_train=50_000, n_test=10_000, epochs=300,
        ),
    },
    seeds={"smoke": 2, "quick": 3, "paper": 5},
    run=run,
    figures={"figB2": figure},
    claims=CLAIMS,
    minutes={"smoke": 0.1, "quick": 3, "paper": 100_000},
    notes=notes_of(__doc__),
    **texts_of(__package__, "figb2"),
    together=False,
)  # fmt: skip
