"""Figure 5: the weight correlation of untrained layers against the number of units before and in the layer.

The paper does not say what the other layer's width is; here it is 100. 'uniform' is U(−0.05, 0.05), the paper's
'random'. Any weights that are independent with mean 0 have the same expected correlation, which knows m and not n, so
(b) can only be flat; with all-positive weights it would be near 0.75 and flat too.
"""

import math
from collections.abc import Iterator
from statistics import linear_regression

import torch

from ...record.runs.rows import Row
from ...stats.weights.weight_correlation import weight_correlation
from ..framework.claim_table import Table
from ..framework.experiment import Experiment, claims_of, notes_of, row
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Verdict, combined, decide_each, differences
from ..training.models import INITIALIZERS

FIXED = 100
COUNTS = [10, 20, 50, 100, 200, 500, 1000]
# With this slope, a layer a hundred times as wide has a quarter more correlation; the figure shows no less.
LEAST_SLOPE = 0.05
LEAST_CHANGE = 0.01


def run(task: Task) -> Iterator[Row]:
    """Record weight correlation, absolute and signed, as ``n_inputs`` varies and as ``n_units`` varies."""
    which = list(INITIALIZERS).index(task["init"])
    for seed in task.seeds:
        generator = torch.Generator().manual_seed(seed * len(INITIALIZERS) + which)
        for varied in ("n_inputs", "n_units"):
            for count in task["counts"]:
                shape = {"n_inputs": FIXED, "n_units": FIXED, varied: count}
                weight = torch.empty(shape["n_units"], shape["n_inputs"])
                INITIALIZERS[task["init"]](weight, generator=generator)
                for measure, absolute in (("wc", True), ("wc_signed", False)):
                    yield row(measure, weight_correlation(weight, absolute).item(), seed=seed, varied=varied, **shape)


def figure(table: Table) -> Figure:
    """Draw the paper's two panels, and below them the same for the signed mean."""
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
    """Return, for each initializer and seed, the slope of log WC against the logarithm of the varied count."""
    found: dict[str, dict[int, float]] = {}
    for init, part in table.need(varied=varied, measure="wc").groups("init"):
        curve = part.curve(varied)
        at = [math.log(count) for count in curve]
        found[init] = combined(
            lambda *values, at=at: linear_regression(at, [math.log(value) for value in values]).slope, *curve.values()
        )
    return found


def changes(table: Table, varied: str) -> dict[str, dict[int, float]]:
    """Return, for each initializer and seed, the signed WC at the largest count minus that at the smallest."""
    found: dict[str, dict[int, float]] = {}
    for init, part in table.need(varied=varied, measure="wc_signed").groups("init"):
        curve = part.curve(varied)
        found[init] = differences(curve[max(curve)], curve[min(curve)])
    return found


def expected(table: Table) -> Verdict:
    """Judge whether WC at the largest m is √(2/(π m)); as a mean of n(n − 1)/2 cosines it scatters little."""
    largest = table.need(varied="n_inputs", measure="wc").last("n_inputs")
    scale = math.sqrt(2 / (math.pi * max(largest.column("n_inputs"))))
    ratios = {init: combined(lambda value: value / scale, part.per_seed()) for init, part in largest.groups("init")}
    return decide_each(ratios, above=0.98, below=1.02, note="WC / √(2/(π m))")


CHECKS = {
    "falls with m": lambda table: decide_each(
        slopes(table, "n_inputs"), below=-LEAST_SLOPE, note="slope of log WC, log m"
    ),
    "grows with n": lambda table: decide_each(
        slopes(table, "n_units"), above=LEAST_SLOPE, note="slope of log WC, log n"
    ),
    "falls with m, signed": lambda table: decide_each(
        changes(table, "n_inputs"), below=-LEAST_CHANGE, note="signed WC, largest less smallest m"
    ),
    "grows with n, signed": lambda table: decide_each(
        changes(table, "n_units"), above=LEAST_CHANGE, note="signed WC, largest less smallest n"
    ),
    "expected value": expected,
}

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
    claims=claims_of(__package__, "fig5", CHECKS),
    minutes={"smoke": 0.1, "quick": 0.1, "paper": 0.2},
    notes=notes_of(__doc__),
)
