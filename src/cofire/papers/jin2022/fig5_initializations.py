"""Figure 5: the weight correlation of untrained layers against the number of units before and in the layer.

The paper does not say what the other layer's width is; here it is 100. 'uniform' is U(−0.05, 0.05), the paper's
'random'. Any weights that are independent with mean 0 have the same expected correlation, which knows m and not n, so
(b) can only be flat; with all-positive weights it would be near 0.75 and flat too.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from statistics import fmean, linear_regression

import torch

from ...record.runs.rows import Row
from ...stats.weights.structure import structure_coefficient
from ...stats.weights.weight_correlation import weight_correlation
from ..framework.claim_table import Table
from ..framework.estimates import Values, combined, differences
from ..framework.experiment import Check, Experiment, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.ranking import tau_b
from ..framework.tasks import Task, grid
from ..framework.verdicts import Part, part
from ..training.models import INITIALIZERS

FIXED = 100
COUNTS = [10, 20, 50, 100, 200, 500, 1000]


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
    for init, rows in table.need(varied=varied, measure="wc").groups("init"):
        curve = rows.curve(varied)
        at = [math.log(count) for count in curve]
        found[init] = combined(
            lambda *values, at=at: linear_regression(at, [math.log(value) for value in values]).slope, *curve.values()
        )
    return found


def changes(table: Table, varied: str) -> dict[str, dict[int, float]]:
    """Return, for each initializer and seed, the signed WC at the largest count minus that at the smallest."""
    found: dict[str, dict[int, float]] = {}
    for init, rows in table.need(varied=varied, measure="wc_signed").groups("init"):
        curve = rows.curve(varied)
        found[init] = differences(curve[max(curve)], curve[min(curve)])
    return found


def association(table: Table) -> dict[str, Part]:
    """Return Kendall's τ of Γ = m / n and WC over all layers, for each initializer."""
    found: dict[str, Part] = {}
    for init, rows in table.need(measure="wc").groups("init"):
        shapes = sorted({(one["n_inputs"], one["n_units"]) for one in rows})
        coefficients = [structure_coefficient(m, n) for m, n in shapes]
        layers = [rows.where(n_inputs=m, n_units=n) for m, n in shapes]
        # One shape is in both series; its two values are averaged.
        values = [{seed: fmean(part.column("value")) for seed, part in layer.groups("seed")} for layer in layers]
        tau = combined(lambda *wc, of=coefficients: tau_b(of, wc), *values)
        found[init] = part(tau, f"Kendall's τ of Γ and WC over {len(shapes)} layers")
    return found


def expected(table: Table) -> dict[str, Part]:
    """Return WC at the largest m over √(2/(π m)); as a mean of n(n − 1)/2 cosines it scatters little."""
    largest = table.need(varied="n_inputs", measure="wc").last("n_inputs")
    scale = math.sqrt(2 / (math.pi * max(largest.column("n_inputs"))))
    return {
        init: part(combined(lambda value: value / scale, rows.per_seed()), "WC / √(2/(π m))")
        for init, rows in largest.groups("init")
    }


def each(values: Callable[[Table, str], Mapping[str, Values]], varied: str, note: str) -> Check:
    """Return a check of a number for each initializer."""
    return lambda table: {init: part(numbers, note) for init, numbers in values(table, varied).items()}


CHECKS: dict[str, Check] = {
    "falls with m": each(slopes, "n_inputs", "slope of log WC, log m"),
    "grows with n": each(slopes, "n_units", "slope of log WC, log n"),
    "falls with m, signed": each(changes, "n_inputs", "signed WC, largest less smallest m"),
    "grows with n, signed": each(changes, "n_units", "signed WC, largest less smallest n"),
    "Γ against WC": association,
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
    **texts_of(__package__, "fig5"),
)
