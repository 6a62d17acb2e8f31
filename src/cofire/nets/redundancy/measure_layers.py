"""How redundant each layer of a network is: by its activations on data, and by its weights alone."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...stats._base.definitions import COPY, UNEXPLAINED
from ...stats.correlation.moments import Moments
from ...stats.redundancy.activation_redundancy import redundancy
from ...stats.redundancy.weight_redundancy import weight_redundancy
from ..capturing.capture import Asked
from ..layers.kinds import with_units
from ..layers.layer_names import unwrap
from ..layers.sites import Site
from ..layers.wrappers import without_wrappers
from ..loading.batches import as_batches
from ..loading.eval_mode import evaluating
from .find_weights import Reading, Readings, read_model, read_state_dict
from .layer_redundancy import LayerRedundancy, Picture, RedundancyReport
from .streaming import Progress, State, Steps, groups_of, spaced, states_of, widths_of

MOST_VECTORS = 16384
EXACT_SPECTRUM = 256
MAP_UNITS = 256


def redundancy_report(
    model: nn.Module,
    data: Any,
    pattern: Asked = with_units,
    *,
    threshold: float = COPY,
    significance: float = 0.01,
    unexplained: float = UNEXPLAINED,
    progress: Progress = lambda done, total: None,
) -> RedundancyReport:
    """How redundant each layer of a model is on data, and by its weights.

    The model runs in evaluation mode and is left as it was. Moments of as many layers are held at once as 1 GiB has
    room for; the data are gone through once for each such set. A layer of more than 4,096 units is measured at 4,096 of
    them, evenly spaced.

    Args:
        model: the network.
        data: a tensor of inputs, or a collection of batches: of a tuple the first element goes to the model, a mapping
            as keyword arguments.
        pattern: the layers, as for :func:`cofire.sites`; by default all with units of their own. Weights are
            measured of all layers.
        threshold: abs(rho) from which on units count as duplicates.
        significance: chance allowed that independent units of a layer show any duplicate.
        unexplained: share of variance that the recommended width may leave.
        progress: called with the steps done and the steps in all.

    Raises:
        ValueError: if there is no batch, the model can not take one, or the pattern matches nothing.

    Bias:
        Samples are taken as independent: positions of one image are not, and make floors and intervals too small.

    Example:
        >>> model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> with torch.no_grad():
        ...     _ = model[0].weight[3].copy_(2 * model[0].weight[1]), model[0].bias[3].copy_(2 * model[0].bias[1])
        >>> report = redundancy_report(model, torch.randn(2000, 6))
        >>> [cluster.units for cluster in report.layers[0].clusters], report.layers[0].n_copies
        ([(1, 3)], 1)
    """
    model = unwrap(model)
    batches = as_batches(data)
    options = {"threshold": threshold, "significance": significance}
    with evaluating(model):
        widths, left_out = widths_of(model, batches, pattern)
        groups = groups_of(widths)
        step = Steps(progress, len(groups), len(widths))
        found = [
            _by_activations(site, state, step.n_inputs, unexplained=unexplained, **options)
            for group in groups
            for site, state in step.measured(states_of(model, step.batches(batches), group))
        ]
    readings = read_model(model)
    by_weights = [_by_weights(reading, device=None, **options) for reading in readings.found]
    return RedundancyReport(
        tuple(_joined(found, by_weights)), {**left_out, **readings.left_out}, threshold, unexplained
    )


def weight_redundancy_report(
    weights: Mapping[str, Tensor] | nn.Module,
    *,
    threshold: float = COPY,
    significance: float = 0.01,
    device: torch.device | str | None = None,
    progress: Progress = lambda done, total: None,
) -> RedundancyReport:
    """How redundant each layer is by its weights alone; no data needed.

    A weight of more than 16,384 units (an output layer over a vocabulary, say) is measured at that many, evenly spaced.
    The effective rank by entropy is estimated where the shorter side is above 256.

    Args:
        weights: a state dict, whose tensors are read by their names and shapes, or a model, whose layers tell.
        threshold: abs(cosine) from which on units count as duplicates.
        significance: chance allowed that random weights of a layer show any duplicate.
        device: where to compute, one weight at a time; by default where each lies.
        progress: called with the weights done and the weights in all.

    Raises:
        ValueError: if there is no weight to measure.

    Example:
        >>> report = weight_redundancy_report({"fc.weight": torch.eye(4), "fc.bias": torch.zeros(4)})
        >>> report.layers[0].weights.mean_abs, dict(report.left_out)
        (0.0, {'fc.bias': 'a bias, scale or statistic, no weights'})
    """
    readings = read_model(weights) if isinstance(weights, nn.Module) else read_state_dict(without_wrappers(weights)[0])
    _refuse_nothing(readings)
    found = []
    for index, reading in enumerate(readings.found):
        progress(index, len(readings.found))
        found.append(_by_weights(reading, threshold=threshold, significance=significance, device=device))
    progress(len(found), len(found))
    return RedundancyReport(tuple(found), readings.left_out, threshold)


def _refuse_nothing(readings: Readings) -> None:
    if not readings.found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(readings.left_out.items())[:3])
        raise ValueError(f"there is no weight of a layer to measure{f' ({reasons})' if reasons else ''}")


def _by_activations(site: Site, state: State, n_inputs: int, **options: float) -> LayerRedundancy:
    moments = state.moments
    sampled = moments.n_units if moments.n_units < state.n_units else None
    return LayerRedundancy(
        layer=str(site),
        n_units=state.n_units,
        n_samples=moments.count,
        n_inputs=n_inputs,
        activations=redundancy(moments, **options),
        picture=_picture(moments),
        sampled=sampled,
        notes=_about_sample(sampled, state.n_units),
    )


def _picture(moments: Moments) -> Picture:
    units = spaced(torch.arange(moments.n_units), MAP_UNITS, axis=0)
    correlation = moments.correlation()[units][:, units]
    return Picture(moments.histogram(bins=50).cpu(), units, correlation.to(torch.float16).cpu())


def _by_weights(reading: Reading, *, device: torch.device | str | None, **options: float) -> LayerRedundancy:
    weight = reading.weight if device is None else reading.weight.to(device)
    n_units = weight.shape[reading.unit_axis]
    kept = weight
    if n_units > MOST_VECTORS and reading.groups == 1:
        kept = spaced(weight, MOST_VECTORS, axis=reading.unit_axis)
    sampled = kept.shape[reading.unit_axis] if kept is not weight else None
    found = weight_redundancy(
        kept, unit_axis=reading.unit_axis, groups=reading.groups, exact_up_to=EXACT_SPECTRUM, **options
    )
    notes = (*reading.notes, *_about_sample(sampled, n_units))
    return LayerRedundancy(reading.layer, n_units, weights=found, sampled=sampled, notes=notes)


def _about_sample(sampled: int | None, n_units: int) -> tuple[str, ...]:
    if sampled is None:
        return ()
    return (f"{sampled:,} of its {n_units:,} units were measured, evenly spaced; a copy outside of them is not seen",)


def _joined(found: list[LayerRedundancy], by_weights: list[LayerRedundancy]) -> Iterator[LayerRedundancy]:
    """Each layer once: with the weights of its own where it has one weight, other weights behind."""
    weights = {layer.layer: layer for layer in by_weights}
    for layer in found:
        own = weights.pop(layer.layer.removesuffix(":pre").partition("#")[0], None)
        yield layer if own is None else _with_weights(layer, own)
    yield from weights.values()


def _with_weights(layer: LayerRedundancy, own: LayerRedundancy) -> LayerRedundancy:
    return replace(layer, weights=own.weights, notes=(*layer.notes, *own.notes))
