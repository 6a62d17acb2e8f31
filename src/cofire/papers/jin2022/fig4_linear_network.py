"""Figure 4: entropy and correlation of the layers of a linear network, in their own space and in the projected one.

Entropies are of 500 test images; after training, of 250 and 1000 too. An invertible layer changes differential entropy
by log |det W|, so the paper's truth, equal entropies, is not one; both are judged. With eigen features (b2) cannot
fail: the dimensions are eigenvectors, orthogonal by construction. The rows of the kernel matrix, which the paper takes
to save the decomposition, are shown beside it. Kernel widths are chosen by Eq. 9 with the labels.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor

from ...nets import capture
from ...record import Measure, Row
from ...stats import HighDimensionWarning
from ...stats.correlation.summary import neuronal_correlation
from ...stats.information.entropy import entropy_binned, entropy_gaussian, entropy_independence_bound, entropy_knn
from ...stats.kernels.embedding import choose_bandwidth, entropy_embedded, feature_matrix
from ...stats.kernels.gram import gram_matrix, kernel_width_scan
from ...stats.kernels.kde import entropy_kde
from ..framework.claim_table import Table
from ..framework.estimates import Values, combined, differences
from ..framework.experiment import Check, Experiment, Readings, claims_of, notes_of, row, texts_of
from ..framework.plots import COLORS, Axes, Figure, draw, legend, legend_below, panels
from ..framework.tasks import Task, grid
from ..framework.verdicts import Part, drift, part
from .jin_networks import HIDDEN, PROBE, dataset, networks_of, trained

LAYERS = tuple(f"hidden{number}" for number in range(1, len(HIDDEN["N1"]) + 1))
SAMPLES, OTHER_SAMPLES = 500, (250, 1000)


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


def run(task: Task) -> Iterator[Row]:
    """Record every layer's entropies, correlation in both spaces, and log |det| of its weights, over epochs."""
    data = dataset(task)
    labels = data.test_y[:PROBE]
    models = networks_of(task, data)
    measures = [
        Measure(lambda x: in_both_spaces(x, labels), sites=list(LAYERS), name="spaces"),
        # Only square matrices have a determinant, so the first layer's is left out.
        Measure(
            lambda weight: float(torch.linalg.slogdet(weight.double()).logabsdet),
            sites=list(LAYERS[1:]),
            stage="weights",
            name="log_det",
        ),
    ]
    yield from trained(task, data, measures, models=models)
    probe = data.test_x[:PROBE]
    for seed, model in zip(task.seeds, models, strict=True):
        with torch.no_grad(), capture(model, list(LAYERS)) as activations:
            model(probe)
        for count in OTHER_SAMPLES:
            for layer in LAYERS:
                for name, value in in_both_spaces(activations[layer], labels, samples=count).items():
                    yield row(name, value, seed=seed, epoch=task["epochs"], site=layer, samples=count)


def in_both_spaces(x: Tensor, labels: Tensor, *, samples: int = SAMPLES) -> dict[str, float]:
    """Compute entropies by every method, in nats, and NC in the layer's space and among the features' dimensions."""
    some = torch.linspace(0, len(x) - 1, min(samples, len(x)), device="cpu").long()
    x, labels = x[some].double(), labels[some]
    width = choose_bandwidth(x, labels).bandwidth
    gram = gram_matrix(x, width)
    return {
        **{name: float(method(x)) for name, method in ORIGINAL.items()},
        **{name: float(method(x, width)) for name, method in PROJECTED.items()},
        "nc": neuronal_correlation(x).mean_abs,
        "nc_projected": neuronal_correlation(feature_matrix(gram, "eigen")).mean_abs,
        "nc_gram": neuronal_correlation(feature_matrix(gram, "gram")).mean_abs,
    }


def offsets(table: Table) -> dict[str, Values]:
    """Return each layer's entropy minus that of the first: the sum of log |det| of the layers between."""
    found: dict[str, Values] = {LAYERS[0]: dict.fromkeys(table.per_seed(measure="log_det", site=LAYERS[1]), 0.0)}
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
    table = usual(table)
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
    axes[0][2].sharey(axes[0][1])
    for color, layer in zip(COLORS, LAYERS, strict=False):
        curve = table.curve("epoch", measure="nc_gram", site=layer)
        draw(axes[0][2], curve, "the same, rows of the kernel matrix", color=color, linestyle=":")
    legend(drawn, axes[0][0])
    axes[0][2].annotate("dotted: rows of the kernel matrix", (0.05, 0.9), xycoords="axes fraction", fontsize=7)
    _ranges(axes[1][1], table, lambda part: None, "(d) range over layers")
    _ranges(axes[1][2], table, offsets, "(d) less what log |det| adds")
    return drawn


def _ranges(axis: Axes, table: Table, truth: Callable[[Table], Mapping[str, Values] | None], title: str) -> None:
    for color, method in zip(COLORS, (METHODS[0], METHODS[1], *PROJECTED), strict=False):
        curve = {epoch: range_over_layers(part, method, truth(part)) for epoch, part in table.groups("epoch")}
        draw(axis, curve, method, color=color)
    axis.set(title=title, xlabel="epoch", yscale="log")
    legend_below(axis)


def usual(table: Table) -> Table:
    """Return the rows without those of other numbers of samples."""
    return Table(one for one in table if "samples" not in one)


def smaller_range(projected: str, *, allow: bool = False) -> Check:
    """Return a check of the range of the independence bound less a projected method's, after training.

    Args:
        projected: one of `PROJECTED`.
        allow: whether to compare with a truth that allows for log |det|.
    """

    def gain(rows: Table, truth: Mapping[str, Values] | None) -> Values:
        return differences(*(range_over_layers(rows, name, truth) for name in (METHODS[0], projected)))

    def check(table: Table) -> dict[str, Part]:
        note = "range over layers in nats, original less projected"
        own = usual(table)
        truth = offsets(own.last()) if allow else None
        moving = drift(lambda rows: gain(rows, offsets(rows) if allow else None), own)
        parts = {f"{SAMPLES} samples": part(gain(own.last(), truth), note, sample="networks", trend=moving)}
        for count in OTHER_SAMPLES:
            rows = table.where(samples=count)
            if rows:
                parts[f"{count} samples"] = part(gain(rows, truth), note, sample="networks", trend=moving)
        return parts

    return check


def extreme_nc(measure: str, choose: Callable[..., float], note: str) -> Check:
    """Return a check of the smallest or the largest NC over layers, after training."""

    def over_layers(rows: Table) -> Values:
        return combined(choose, *(rows.per_seed(measure=measure, site=layer) for layer in LAYERS))

    def check(table: Table) -> Part:
        own = usual(table).need(measure=measure)
        return part(over_layers(own.last()), note, trend=drift(over_layers, own))

    return check


WAYS = {"mean embedding": EMBEDDING, "dimensions added up (Eq. 6)": PER_DIMENSION}
CHECKS: dict[str, Check | Readings] = {
    "correlated": extreme_nc("nc", min, "smallest NC over layers"),
    "decoupled": Readings(
        "the features",
        {
            "eigenvectors": extreme_nc("nc_projected", max, "largest NC over layers"),
            "rows of the kernel matrix": extreme_nc("nc_gram", max, "largest NC over layers"),
        },
    ),
    "smaller range": Readings("the estimator", {told: smaller_range(name) for told, name in WAYS.items()}),
    "smaller range, right truth": Readings(
        "the estimator", {told: smaller_range(name, allow=True) for told, name in WAYS.items()}
    ),
}

_COMMON = {"network": "N1", "activation": "identity", "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 100}

FIG4 = Experiment(
    name="jin2022.fig4",
    title="Entropy and correlation of the layers of a linear network, in the original and in the projected space",
    grid={
        "smoke": grid(**_COMMON, data="digits", n_train=300, epochs=2),
        "quick": grid(**_COMMON, data="mnist", n_train=60_000, epochs=20),
        "medium": grid(**_COMMON, data="mnist", n_train=60_000, epochs=400),
        "paper": grid(**_COMMON, data="mnist", n_train=60_000, epochs=10_000),
    },
    seeds={"smoke": 2, "quick": 5, "medium": 5, "paper": 5},
    run=run,
    version=3,
    figures={"fig4": figure},
    claims=claims_of(__package__, "fig4", CHECKS),
    minutes={"smoke": 0.5, "quick": 3, "medium": 20, "paper": 500},
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig4"),
)
