"""Figure 3: correlation before and after the activation function, and their difference ε, through training.

The paper leaves open optimizer, learning rate, batch size and probe: here Adam at 0.001, batches of 100, and the
first 2000 test images. Curves are flat after 10 to 20 epochs, so that 40 decide; the paper trains 10,000. 'Small' is
read as below 0.25 of ρ(U).
"""

from collections.abc import Callable

from ...record import Row, correlation, epsilon, weight_correlation
from ..framework.claim_table import Table
from ..framework.experiment import Experiment, claims_of, notes_of
from ..framework.plots import COLORS, Figure, draw, legend, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Verdict, combined, decide_each, differences
from .jin_networks import dataset, trained

LAYERS = ("hidden2", "hidden3")
ACTIVATIONS = ("relu", "tanh")
SMALL = 0.25  # what we take "small with respect to their own values" to mean


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


def last(table: Table, activation: str, layer: str, measure: str) -> dict[int, float]:
    """Return a measure at the last epoch for each seed; ``layer`` is a layer's name or ``<name>:pre``."""
    return table.need(activation=activation).last().per_seed(measure=measure, site=layer)


def relative(table: Table, activation: str, layer: str) -> dict[int, float]:
    """Divide ε by ρ(U)."""
    before = last(table, activation, f"{layer}:pre", "nc")
    return combined(lambda change, rho: change / rho, last(table, activation, layer, "epsilon"), before)


def _each(table: Table, number: Callable[[Table, str, str], dict[int, float]], note: str) -> Verdict:
    """Judge whether a number is small for each activation function and layer."""
    parts = {f"{one}, {layer}": number(table, one, layer) for one in ACTIVATIONS for layer in LAYERS}
    return decide_each(parts, below=SMALL, note=note)


def smaller_for_tanh(table: Table) -> Verdict:
    """Judge whether ε / ρ(U) is smaller for tanh than for ReLU, for each layer."""
    parts = {layer: differences(relative(table, "relu", layer), relative(table, "tanh", layer)) for layer in LAYERS}
    return decide_each(parts, above=0, note="ε/ρ(U), ReLU less tanh")


def weights_less_rho(table: Table, activation: str, layer: str) -> dict[int, float]:
    """Return the distance of the weight correlation from ρ(U), divided by ρ(U)."""
    weights, rho = last(table, activation, layer, "wc"), last(table, activation, f"{layer}:pre", "nc")
    return combined(lambda w, r: abs(w - r) / r, weights, rho)


CHECKS = {
    "ε is small": lambda table: _each(table, relative, "ε / ρ(U)"),
    "ε, tanh": smaller_for_tanh,
    "ρ(U) from weights alone": lambda table: _each(table, weights_less_rho, "|WC − ρ(U)| / ρ(U)"),
}

_COMMON = {"network": "N5", "activation": ACTIVATIONS, "optimizer": "adam", "learning_rate": 1e-3}

FIG3 = Experiment(
    name="jin2022.fig3",
    title="Correlation before (U) and after (T) the activation function, layers 2 and 3 of four with 30 units",
    grid={
        "smoke": grid(**_COMMON, data="digits", n_train=500, epochs=3, batch_size=50),
        "quick": grid(**_COMMON, data="mnist", n_train=60_000, epochs=40, batch_size=100),
        "paper": grid(**_COMMON, data="mnist", n_train=60_000, epochs=10_000, batch_size=100),
    },
    seeds={"smoke": 2, "quick": 5, "paper": 5},
    run=run,
    figures={"fig3": figure},
    claims=claims_of(__package__, "fig3", CHECKS),
    minutes={"smoke": 0.1, "quick": 1, "paper": 750},
    notes=notes_of(__doc__),
)
