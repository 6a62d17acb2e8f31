"""Figure 3: correlation before and after the activation function, and their difference ε, through training.

The paper leaves open optimizer, learning rate, batch size and probe: here Adam at 0.001, batches of 100, and the
first 2000 test images. It trains for 10,000 epochs. Medium trains for 400: a number that still moves between epoch 200
and 400 by more than what matters refutes nothing.
"""

from collections.abc import Callable, Mapping
from functools import partial

from ...record import Row, correlation, epsilon, weight_correlation
from ..framework.claim_table import Table
from ..framework.estimates import Values, combined, differences
from ..framework.experiment import Check, Experiment, claims_of, notes_of, texts_of
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Part, drift, part
from .jin_networks import dataset, trained

LAYERS = ("hidden2", "hidden3")
ACTIVATIONS = ("relu", "tanh")


def run(task: Task) -> list[Row]:
    """Record ρ(T), ρ(U), ε and the weight correlation of the layers over epochs."""
    sites = list(LAYERS)
    measures = [
        correlation(sites=sites),
        correlation(sites=sites, stage="pre"),
        epsilon(sites=sites),
        weight_correlation(sites=sites),
    ]
    return trained(task, dataset(task), measures)


def figure(table: Table) -> Figure:
    """Draw the paper's four panels."""
    drawn, axes = panels(2, 2, sharex=True, sharey=True)
    for line, activation in enumerate(ACTIVATIONS):
        for place, layer in enumerate(LAYERS):
            axis, part = axes[line][place], table.where(activation=activation)
            draw(axis, part.curve("epoch", measure="nc", site=layer), "ρ(T)", color=COLORS[0])
            draw(axis, part.curve("epoch", measure="nc", site=f"{layer}:pre"), "ρ(U)", color=COLORS[1])
            draw(axis, part.curve("epoch", measure="epsilon", site=layer), "ε", color=COLORS[2])
            axis.set(title=f"{activation}, layer {layer[-1]}", xlabel="epoch", ylim=(0, None))
    legend(drawn)
    return drawn


Number = Callable[[Table, str], Values]
"""Rows of one network at one epoch, and a layer → the number for each repetition."""


def relative(rows: Table, layer: str) -> Values:
    """Divide ε by ρ(U)."""
    before = rows.per_seed(measure="nc", site=f"{layer}:pre")
    return combined(lambda change, rho: change / rho, rows.per_seed(measure="epsilon", site=layer), before)


def weights_less_rho(rows: Table, layer: str) -> Values:
    """Return the distance of the weight correlation from ρ(U), divided by ρ(U)."""
    weights, rho = rows.per_seed(measure="wc", site=layer), rows.per_seed(measure="nc", site=f"{layer}:pre")
    return combined(lambda w, r: abs(w - r) / r, weights, rho)


def each(number: Number, note: str) -> Check:
    """Return a check of a number after training, for each activation function and layer."""

    def check(table: Table) -> dict[str, Part]:
        parts: dict[str, Part] = {}
        for activation in ACTIVATIONS:
            rows = table.need(activation=activation)
            for layer in LAYERS:
                moved = drift(lambda at, layer=layer: number(at, layer), rows)
                parts[f"{activation}, {layer}"] = part(number(rows.last(), layer), note, sample=activation, trend=moved)
        return parts

    return check


def smaller_for_tanh(table: Table) -> dict[str, Part]:
    """Return ε / ρ(U) of the ReLU network minus that of the tanh network, for each layer."""

    def less(rows: Table, layer: str) -> Values:
        return differences(*(relative(rows.need(activation=name), layer) for name in ACTIVATIONS))

    return {
        layer: part(
            less(table.last(), layer),
            "ε/ρ(U), ReLU less tanh",
            sample="networks",
            trend=drift(partial(less, layer=layer), table),
        )
        for layer in LAYERS
    }


def unrest(curve: Mapping[int, Mapping[int, float]]) -> Values:
    """Return the largest distance of a number from its last value over the last nine tenths of training.

    Example:
        >>> unrest({0: {7: 0.9}, 1: {7: 0.5}, 10: {7: 0.25}})
        {7: 0.25}
    """
    last = max(curve)
    late = [values for epoch, values in curve.items() if epoch >= last / 10]
    return combined(lambda *course: max(abs(value - course[-1]) for value in course), *late)


def stable(table: Table) -> dict[str, Part]:
    """Return how far NC of each layer strays from its last value."""
    return {
        f"{activation}, {layer}": part(
            unrest(table.need(activation=activation).curve("epoch", measure="nc", site=layer)),
            "largest distance of NC from its last value, over nine tenths of training",
            sample=activation,
        )
        for activation in ACTIVATIONS
        for layer in LAYERS
    }


CHECKS: dict[str, Check] = {
    "ε is small": each(relative, "ε / ρ(U)"),
    "ε, tanh": smaller_for_tanh,
    "ρ(U) from weights alone": each(weights_less_rho, "|WC − ρ(U)| / ρ(U)"),
    "NC is stable": stable,
}

_COMMON = {"network": "N5", "activation": ACTIVATIONS, "optimizer": "adam", "learning_rate": 1e-3}

FIG3 = Experiment(
    name="jin2022.fig3",
    title="Correlation before (U) and after (T) the activation function, layers 2 and 3 of four with 30 units",
    grid={
        "smoke": grid(**_COMMON, data="digits", n_train=500, epochs=3, batch_size=50),
        "quick": grid(**_COMMON, data="mnist", n_train=60_000, epochs=40, batch_size=100),
        "medium": grid(**_COMMON, data="mnist", n_train=60_000, epochs=400, batch_size=100),
        "paper": grid(**_COMMON, data="mnist", n_train=60_000, epochs=10_000, batch_size=100),
    },
    seeds={"smoke": 2, "quick": 5, "medium": 5, "paper": 5},
    run=run,
    figures={"fig3": figure},
    claims=claims_of(__package__, "fig3", CHECKS),
    minutes={"smoke": 0.1, "quick": 1, "medium": 10, "paper": 250},
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig3"),
)
