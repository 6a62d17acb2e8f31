"""Figure 5: the weight correlation of untrained layers against the number of units before and in the layer."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch

from ...record.runs.rows import Row
from ...stats.weights.weight_correlation import weight_correlation
from ..framework.claim_table import Table
from ..framework.experiment import Claim, Experiment, row
from ..framework.plots import COLORS, draw, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Verdict, all_of, combined, decide, differences
from ..training.models import INITIALIZERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIXED = 100
COUNTS = [10, 20, 50, 100, 200, 500, 1000]
# A layer a hundred times as wide would have a quarter more correlation; less is not what the figure shows.
LEAST_SLOPE = 0.05
LEAST_CHANGE = 0.01


def run(task: Task) -> Iterator[Row]:
    """Weight correlation, absolute and signed, with ``n_inputs`` varied and with ``n_units`` varied."""
    which = list(INITIALIZERS).index(task["init"])
    for seed in task.seeds:
        generator = torch.Generator().manual_seed(seed * len(INITIALIZERS) + which)
        for varied in ("n_inputs", "n_units"):
            for count in task["counts"]:
                shape = {"n_inputs": FIXED, "n_units": FIXED, varied: count}
                weight = torch.empty(shape["n_units"], shape["n_inputs"])
                INITIALIZERS[task["init"]](weight, generator)
                for absolute in (True, False):
                    measure = "wc" if absolute else "wc_signed"
                    yield row(measure, weight_correlation(weight, absolute).item(), seed=seed, varied=varied, **shape)


def figure(table: Table) -> "Figure":
    """The paper's two panels, and below them the same for the signed mean."""
    drawn, axes = panels(2, 2, sharex=True)
    for line, (measure, label) in enumerate((("wc", "mean |cosine|"), ("wc_signed", "mean cosine"))):
        for place, (varied, name) in enumerate((("n_inputs", "units of layer l − 1"), ("n_units", "units of layer l"))):
            axis = axes[line][place]
            for color, init in zip(COLORS, table.values("init"), strict=False):
                draw(axis, table.curve(varied, init=init, varied=varied, measure=measure), init, color=color)
            axis.set(xscale="log", xlabel=name, ylabel=label, title=f"({'ab'[place]}) {('absolute', 'signed')[line]}")
    legend(drawn)
    return drawn


def slopes(table: Table, varied: str) -> dict[str, dict[int, float]]:
    """For each initializer and seed, the slope of log WC against the logarithm of what is varied."""
    return {
        init: combined(lambda *values, at=tuple(curve): _slope(at, values), *curve.values())
        for init, part in table.need(varied=varied, measure="wc").groups("init")
        for curve in [part.curve(varied)]
    }


def _slope(at: tuple[float, ...], values: tuple[float, ...]) -> float:
    x = torch.tensor(at, dtype=torch.float64).log()
    y = torch.tensor(values, dtype=torch.float64).log()
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


def changes(table: Table, varied: str) -> dict[str, dict[int, float]]:
    """For each initializer and seed, the signed WC at the largest count less that at the smallest."""
    found: dict[str, dict[int, float]] = {}
    for init, part in table.need(varied=varied, measure="wc_signed").groups("init"):
        curve = part.curve(varied)
        found[init] = differences(curve[max(curve)], curve[min(curve)])
    return found


def _each(effects: Mapping[str, dict[int, float]], note: str, **bounds: float) -> Verdict:
    return all_of({name: decide(values, note=note, **bounds) for name, values in effects.items()})


def expected(table: Table) -> Verdict:
    """WC over √(2/(π m)), at the largest m; the mean of n(n − 1)/2 cosines scatters little."""
    largest = table.need(varied="n_inputs", measure="wc").last("n_inputs")
    scale = math.sqrt(2 / (math.pi * max(largest.column("n_inputs"))))
    ratios = {init: combined(lambda value: value / scale, part.per_seed()) for init, part in largest.groups("init")}
    return _each(ratios, "WC / √(2/(π m))", above=0.98, below=1.02)


CLAIMS = (
    Claim(
        "falls with m",
        "Weight correlation falls with the number m of units of layer l − 1",
        "Fig. 5 (a): negatively correlated with m",
        lambda table: _each(slopes(table, "n_inputs"), "slope of log WC, log m", below=-LEAST_SLOPE),
    ),
    Claim(
        "grows with n",
        "Weight correlation grows with the number n of units of layer l",
        "Fig. 5 (b): positively correlated with n",
        lambda table: _each(slopes(table, "n_units"), "slope of log WC, log n", above=LEAST_SLOPE),
    ),
    Claim(
        "falls with m, signed",
        "The same read as Eq. 11 prints it, without the absolute value",
        "Eq. 11 and Fig. 5 (a)",
        lambda table: _each(changes(table, "n_inputs"), "signed WC, largest less smallest m", below=-LEAST_CHANGE),
    ),
    Claim(
        "grows with n, signed",
        "The same read as Eq. 11 prints it, without the absolute value",
        "Eq. 11 and Fig. 5 (b)",
        lambda table: _each(changes(table, "n_units"), "signed WC, largest less smallest n", above=LEAST_CHANGE),
    ),
    Claim(
        "expected value",
        "Independent weights of mean 0 have a weight correlation of √(2/(π m)), whatever n",
        "theory; not in the paper",
        expected,
    ),
)

FIG5 = Experiment(
    name="jin2022.fig5",
    title="Weight correlation of untrained layers against their width, for four initializations",
    grid={
        "smoke": grid(init=list(INITIALIZERS), counts=[[10, 50, 200]]),
        "quick": grid(init=list(INITIALIZERS), counts=[COUNTS]),
        "paper": grid(init=list(INITIALIZERS), counts=[COUNTS]),
    },
    seeds={"smoke": 3, "quick": 30, "paper": 30},
    run=run,
    figures={"fig5": figure},
    claims=CLAIMS,
    minutes={"smoke": 0.1, "quick": 0.1, "paper": 0.2},
    notes=(
        f"The paper does not say what the other layer's width is; here it is {FIXED}. 'uniform' is U(−0.05, 0.05), "
        "the paper's 'random'. Any weights that are independent with mean 0 have the same expected correlation, which "
        "knows m and not n, so (b) can only be flat; with all-positive weights it would be near 0.75 and flat too."
    ),
)
