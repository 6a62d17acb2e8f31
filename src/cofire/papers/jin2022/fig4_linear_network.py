"""Figure 4: entropy and correlation of the layers of a linear network, in their own space and in the projected one.

Entropies are of 500 test images. An invertible layer changes differential entropy by log |det W|, so the paper's
truth, equal entropies, is not one; both are judged. (b2) cannot fail: the dimensions are eigenvectors, orthogonal by
construction. 'Close to 0' is read as below 0.05. Kernel widths are chosen by Eq. 9 with the labels.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor

from ...record import Measure, Row
from ...stats import HighDimensionWarning
from ...stats.correlation.summary import neuronal_correlation
from ...stats.information.entropy import entropy_binned, entropy_gaussian, entropy_independence_bound, entropy_knn
from ...stats.kernels.embedding import choose_bandwidth, entropy_embedded, feature_matrix
from ...stats.kernels.gram import gram_matrix, kernel_width_scan
from ...stats.kernels.kde import entropy_kde
from ..framework.claim_table import Table
from ..framework.experiment import Experiment, claims_of, notes_of
from ..framework.plots import COLORS, Axes, Figure, draw, legend, legend_below, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Verdict, combined, decide, differences
from .jin_networks import HIDDEN, PROBE, dataset, trained

LAYERS = tuple(f"hidden{number}" for number in range(1, len(HIDDEN["N1"]) + 1))
SAMPLES = 500
NEARLY_0 = 0.05


def nearest_neighbors(x: Tensor) -> Tensor:
    """Estimate entropy by nearest neighbors, as a baseline; 20 units are more than the estimator is made for."""
    with catch_warnings():
        simplefilter("ignore", HighDimensionWarning)
        return entropy_knn(x, whiten=True)


ORIGINAL = {
    "independence bound": entropy_independence_bound,
    "kNN": nearest_neighbors,
    "KDE": entropy_kde,
    "binned": entropy_binned,
    "normal": entropy_gaussian,
}
"""Estimators in the layer's own space: the paper's account of existing methods, then baselines."""
PROJECTED = {
    # Not entropy_embedded: it returns −∞ for layers that are flat to within rounding, as deep linear ones become.
    "projected, mean embedding": lambda x, width: kernel_width_scan(x, [width]).leave_one_out[0],
    "projected, per dimension": lambda x, width: entropy_embedded(x, bandwidth=width, estimator="per_dimension"),
}
METHODS = (*ORIGINAL, *PROJECTED)
EMBEDDING, PER_DIMENSION = PROJECTED


def run(task: Task) -> list[Row]:
    """Record every layer's entropies, correlation in both spaces, and log |det| of its weights, over epochs."""
    data = dataset(task)
    labels = data.test_y[:PROBE]
    return trained(
        task,
        data,
        [
            Measure(lambda x: in_both_spaces(x, labels), sites=list(LAYERS), name="spaces"),
            # Only square matrices have a determinant, so the first layer's is left out.
            Measure(
                lambda weight: float(torch.linalg.slogdet(weight.double()).logabsdet),
                sites=list(LAYERS[1:]), stage="weights", name="log_det",
            ),
        ],
    )  # fmt: skip


def in_both_spaces(x: Tensor, labels: Tensor) -> dict[str, float]:
    """Compute entropies by every method, in nats, and NC in the layer's space and among the features' dimensions."""
    some = torch.linspace(0, len(x) - 1, min(SAMPLES, len(x)), device="cpu").long()
    x, labels = x[some].double(), labels[some]
    width = choose_bandwidth(x, labels).bandwidth
    features = feature_matrix(gram_matrix(x, width), "eigen")
    return {
        **{name: float(method(x)) for name, method in ORIGINAL.items()},
        **{name: float(method(x, width)) for name, method in PROJECTED.items()},
        "nc": neuronal_correlation(x).mean_abs,
        "nc_projected": neuronal_correlation(features).mean_abs,
    }


Values = dict[int, float]


def offsets(table: Table) -> dict[str, Values]:
    """Return each layer's entropy minus that of the first: the sum of log |det| of the layers between."""
    found = {LAYERS[0]: dict.fromkeys(table.per_seed(measure="log_det", site=LAYERS[1]), 0.0)}
    for before, layer in pairwise(LAYERS):
        found[layer] = combined(lambda a, b: a + b, found[before], table.per_seed(measure="log_det", site=layer))
    return found


def range_over_layers(table: Table, method: str, truth: Mapping[str, Values] | None = None) -> Values:
    """Return the largest minus the smallest estimate over layers, at one epoch.

    Args:
        table: the rows of one epoch.
        method: name of the estimator.
        truth: true offsets to subtract first, as from `offsets`; the paper takes all layers' entropies to be equal.
            The range of right estimates would then be 0.
    """
    values = [table.per_seed(measure=method, site=layer) for layer in LAYERS]
    if truth is not None:
        values = [differences(one, truth[layer]) for one, layer in zip(values, LAYERS, strict=True)]
    return combined(lambda *layers: max(layers) - min(layers), *values)


def figure(table: Table) -> Figure:
    """Draw the paper's panels (a), (b1), (b2), (c), (d), and (d) again with a truth that allows for log |det|."""
    drawn, axes = panels(2, 3)
    curves = (
        (axes[0][0], METHODS[0], "(a) entropy, original space"),
        (axes[0][1], "nc", "(b1) NC, original space"),
        (axes[0][2], "nc_projected", "(b2) NC, projected space"),
        (axes[1][0], EMBEDDING, "(c) entropy, projected space"),
    )
    for axis, measure, title in curves:
        for color, layer in zip(COLORS, LAYERS, strict=False):
            draw(axis, table.curve("epoch", measure=measure, site=layer), f"layer {layer[-1]}", color=color)
        axis.set(title=title, xlabel="epoch")
    legend(drawn, axes[0][0])
    _ranges(axes[1][1], table, lambda part: None, "(d) range over layers")
    _ranges(axes[1][2], table, offsets, "(d) less what log |det| adds")
    return drawn


def _ranges(axis: Axes, table: Table, truth: Callable[[Table], Mapping[str, Values] | None], title: str) -> None:
    for color, method in zip(COLORS, (METHODS[0], METHODS[1], *PROJECTED), strict=False):
        curve = {epoch: range_over_layers(part, method, truth(part)) for epoch, part in table.groups("epoch")}
        draw(axis, curve, method, color=color)
    axis.set(title=title, xlabel="epoch", yscale="log")
    legend_below(axis)


def smaller_range(table: Table, projected: str = EMBEDDING, *, allow: bool = False) -> Verdict:
    """Judge whether the range of the independence bound exceeds a projected method's, at the last epoch.

    Args:
        table: the rows.
        projected: one of `PROJECTED`.
        allow: whether to compare with a truth that allows for log |det|.
    """
    last = table.need(measure=METHODS).last()
    truth = offsets(table.last()) if allow else None
    ranges = (range_over_layers(last, name, truth) for name in (METHODS[0], projected))
    return decide(differences(*ranges), above=0, note="range over layers in nats, original less projected")


def _over_layers(table: Table, measure: str, choose: Callable[..., float]) -> Values:
    last = table.need(measure=measure).last()
    return combined(choose, *(last.per_seed(site=layer) for layer in LAYERS))


CHECKS = {
    "correlated": lambda table: decide(_over_layers(table, "nc", min), above=NEARLY_0, note="smallest NC over layers"),
    "decoupled": lambda table: decide(
        _over_layers(table, "nc_projected", max), below=NEARLY_0, note="largest NC over layers"
    ),
    "smaller range": smaller_range,
    "smaller range, Eq. 6": lambda table: smaller_range(table, PER_DIMENSION),
    "smaller range, right truth": lambda table: smaller_range(table, allow=True),
}

_COMMON = {"network": "N1", "activation": "identity", "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 100}

FIG4 = Experiment(
    name="jin2022.fig4",
    title="Entropy and correlation of the layers of a linear network, in the original and in the projected space",
    grid={
        "smoke": grid(**_COMMON, data="digits", n_train=300, epochs=2),
        "quick": grid(**_COMMON, data="mnist", n_train=60_000, epochs=20),
        "paper": grid(**_COMMON, data="mnist", n_train=60_000, epochs=10_000),
    },
    seeds={"smoke": 2, "quick": 5, "paper": 5},
    run=run,
    version=2,
    figures={"fig4": figure},
    claims=claims_of(__package__, "fig4", CHECKS),
    minutes={"smoke": 0.3, "quick": 1.2, "paper": 800},
    notes=notes_of(__doc__),
)
