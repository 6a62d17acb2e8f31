"""Figure B.2: the mean entropy of the two dense layers of a convolutional network on CIFAR-10 against their width."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import skip_init

from ...record import Row
from ..framework.claim_table import Table
from ..framework.experiment import Claim, Experiment, row
from ..framework.plots import COLORS, draw, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Verdict, all_of, decide
from ..training.datasets import Dataset, load
from ..training.loop import scores
from ..training.models import draw_weights
from ..training.stacked_training import Watch, fit
from .fig2_entropy_width import INSIGNIFICANT, change
from .zhang_networks import balanced_sample, measured, training_of, widest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DENSE = ("dense1", "dense2")
STRIDES = (1, 2, 1, 2, 1)


def all_convolutional(data: Dataset, channels: Sequence[int], width: int, *, seed: int) -> nn.Sequential:
    """Five convolutions of 3×3, of which the second and the fourth halve the picture; then two dense layers. ReLU.

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
    draw_weights(net, "relu", torch.Generator().manual_seed(seed))
    return net


def run(task: Task) -> Iterator[Row]:
    """Entropy and dependence of the dense layers' pre-activations before and after training, and the scores."""
    data = load(task["data"]).first(task["n_train"], task["n_test"])
    networks = [all_convolutional(data, task["channels"], task["width"], seed=seed) for seed in task.seeds]
    probe = balanced_sample(data)
    yield from measured(networks, task.seeds, probe, epoch=0, layers=DENSE)
    fit(networks, data, training_of(task), seeds=task.seeds, watch=Watch(scores_every=[0]))
    yield from measured(networks, task.seeds, probe, epoch=task["epochs"], layers=DENSE)
    for seed, network in zip(task.seeds, networks, strict=True):
        for name, value in vars(scores(network, data)).items():
            yield row(name, value, seed=seed, epoch=task["epochs"])


def figure(table: Table) -> "Figure":
    """Mean entropy against width: before training dashed, after it whole."""
    drawn, axes = panels(1, 1, width=4.5, height=3)
    axis = axes[0][0]
    for color, layer in zip(COLORS, DENSE, strict=False):
        part = table.need(measure="entropy", site=layer)
        for epoch, style in zip(part.values("epoch"), ("--", "-"), strict=True):
            label = f"{layer}, {'before' if style == '--' else 'after'} training"
            draw(axis, part.curve("width", epoch=epoch), label, color=color, linestyle=style)
    axis.set(xscale="log", xlabel="width", ylabel="mean entropy of a unit, nats")
    legend(drawn)
    return drawn


def changes(table: Table) -> Verdict:
    """The size of ΔH at the largest width, for each dense layer."""
    width = widest(table, "relu")
    parts = {layer: change(table, layer, width=width, activation="relu") for layer in DENSE}
    sizes = {layer: {seed: abs(value) for seed, value in found.items()} for layer, found in parts.items()}
    note = "|ΔH| at the largest width, nats"
    return all_of({layer: decide(found, above=INSIGNIFICANT, note=note) for layer, found in sizes.items()})


CLAIMS = (
    Claim(
        "assumption fails",
        "In the dense layers of a convolutional network the entropy does change, however wide they are",
        "Fig. B.2: the assumption seems not to apply",
        changes,
    ),
)

_ALL = {"activation": "relu", "batch_size": 50, "learning_rate": 0.05}
_QUICK = [32, 32, 64, 64, 64]
_PAPER = [96, 96, 192, 192, 192]

FIGB2 = Experiment(
    name="zhang2018.figB2",
    version=2,
    title="Mean entropy of a unit in the dense layers of a convolutional network against their width, on CIFAR-10",
    grid={
        "smoke": grid(
            width=[20, 5], **_ALL, data="digits", channels=[[4, 4, 6, 6, 6]], n_train=400, n_test=100, epochs=3
        ),
        "quick": grid(
            width=[1000, 200, 50, 10], **_ALL, data="cifar10", channels=[_QUICK], n_train=3000, n_test=1000, epochs=10
        ),
        "paper": grid(
            width=[1000, 700, 500, 300, 200, 100, 50, 20, 10, 5],
            **{**_ALL, "learning_rate": 0.001},
            data="cifar10",
            channels=[_PAPER],
            n_train=50_000,
            n_test=10_000,
            epochs=300,
        ),
    },
    seeds={"smoke": 2, "quick": 3, "paper": 5},
    run=run,
    figures={"figB2": figure},
    claims=CLAIMS,
    minutes={"smoke": 0.1, "quick": 3, "paper": 100_000},
    notes=(
        "The paper says that five convolutions stand before two dense layers, and no more: strides 1, 2, 1, 2, 1 as in "
        "the all-convolutional net. Quick has a third of its channels and learns 3000 pictures for 10 epochs at a rate "
        "of 0.05; |ΔH| only grows with more. Pre-activations of 1000 training pictures, as in figure 2; changing is "
        f"read as by more than {INSIGNIFICANT:g} nats."
    ),
    together=False,
)
