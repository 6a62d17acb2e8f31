"""Measure how redundant each layer of a network is, by its activations on data and by its weights."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...stats._base.definitions import COPY, UNEXPLAINED
from ...stats.redundancy.activation_redundancy import redundancy
from ...stats.redundancy.weight_redundancy import weight_redundancy
from ..layer_names import unwrap
from ..layers.layer_weights import known_layers
from ..layers.outputs import is_output_layer
from ..layers.sites import Asked, Site, Sites
from ..layers.wrappers import without_wrappers
from ..loading.batches import as_batches
from ..loading.eval_mode import evaluating
from .find_weights import read_model
from .layer_redundancy import LayerRedundancy, Picture, RedundancyReport
from .parameter_names import makes_outputs
from .readings import Reading, plain
from .state_dict_weights import read_state_dict
from .streaming import Progress, State, measured, spaced, widths_of

MOST_VECTORS = 16384
# Above this side the effective rank by entropy is estimated: the exact spectrum takes cubic time.
EXACT_SPECTRUM = 256
MAP_UNITS = 256


def redundancy_report(
    model: nn.Module,
    data: Any,
    pattern: Asked = "*",
    *,
    threshold: float = COPY,
    significance: float = 0.01,
    unexplained: float = UNEXPLAINED,
    per_call: bool = False,
    progress: Progress = lambda done, total: None,
) -> RedundancyReport:
    """Measure how redundant each layer of a model is on data, and by its weights.

    The model runs in evaluation mode and is left as it was. Moments are held for as many layers at once as fit into
    1 GiB, and the data are read once for each such group. A layer of more than 4,096 units is measured at 4,096 of
    them, evenly spaced.

    Args:
        model: the network.
        data: a tensor of inputs, or a collection of batches. The first element of a tuple goes to the model, a mapping
            as keyword arguments. Padding counts for nothing where ``attention_mask`` beside ``input_ids`` marks it.
        pattern: the layers, as for :func:`cofire.nets.sites`; by default all that make units. Weights are measured in
            all layers.
        threshold: abs(rho) at and above which units count as duplicates.
        significance: accepted chance that independent units of a layer show any duplicate.
        unexplained: share of variance that the recommended width may leave.
        per_call: measure the calls of a layer within one pass apart; else they are pooled.
        progress: called with the steps done and the steps in all.

    Returns:
        The layers in the model's order, and what was left out with the reason.

    Raises:
        ValueError: if there is no batch, the model cannot take one, or the pattern matches nothing.

    Bias:
        Samples are taken as independent. Positions of one image are not: floors and intervals are then too small.

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
        widths, sites = widths_of(model, batches, pattern, per_call=per_call)
        found = [
            _by_activations(site, state, n_inputs, sites, unexplained=unexplained, **options)
            for site, state, n_inputs in measured(model, batches, widths, progress, per_call=per_call)
        ]
    known = known_layers(model)
    readings = read_model(model, known)
    by_weights = [_by_weights(reading, device=None, **options) for reading in readings.found]
    outputs = {name for layer in known if layer.is_output for name in (layer.name, layer.module)}
    layers = tuple(_marked(layer, outputs) for layer in _joined(found, by_weights))
    return RedundancyReport(layers, {**sites.left_out, **readings.left_out}, threshold, unexplained)


def weight_redundancy_report(
    weights: Mapping[str, Tensor] | nn.Module,
    *,
    config: Mapping[str, Any] | None = None,
    threshold: float = COPY,
    significance: float = 0.01,
    device: torch.device | str | None = None,
    progress: Progress = lambda done, total: None,
) -> RedundancyReport:
    """Measure how redundant each layer is by its weights alone, without data.

    A weight of more than 16,384 units (an output layer over a vocabulary, say) is measured at that many, evenly spaced.
    The effective rank by entropy is estimated where the shorter side is above 256.

    Args:
        weights: a state dict, whose tensors are read by their names, shapes and neighbors; or a model, whose layers
            say how.
        config: what a ``config.json`` says of a state dict.
        threshold: abs(cosine) at and above which units count as duplicates.
        significance: accepted chance that random weights of a layer show any duplicate.
        device: where to compute, one weight at a time; by default each where it is.
        progress: called with the weights done and the weights in all.

    Returns:
        The layers in the order of the weights, and what was left out with the reason.

    Raises:
        ValueError: if there is no weight to measure.

    Example:
        >>> report = weight_redundancy_report({"fc.weight": torch.eye(4), "fc.bias": torch.zeros(4)})
        >>> report.layers[0].weights.mean_abs, dict(report.left_out)
        (0.0, {'fc.bias': 'a bias, scale or statistic, no weights'})
    """
    if isinstance(weights, nn.Module):
        readings = read_model(weights)
    else:
        readings = read_state_dict(without_wrappers(weights)[0], config)
    if not readings.found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(readings.left_out.items())[:3])
        raise ValueError(f"there is no weight of a layer to measure{f' ({reasons})' if reasons else ''}")
    found = []
    for index, reading in enumerate(readings.found):
        progress(index, len(readings.found))
        found.append(_by_weights(reading, threshold=threshold, significance=significance, device=device))
    progress(len(found), len(found))
    if readings.in_order:
        layers = _with_output(found, [layer.layer for layer in found])
    else:
        layers = tuple(replace(layer, is_output=makes_outputs(layer.layer)) for layer in found)
    return RedundancyReport(layers, readings.left_out, threshold, in_order=readings.in_order)


def _by_activations(site: Site, state: State, n_inputs: int, sites: Sites, **options: float) -> LayerRedundancy:
    moments = state.moments
    units = spaced(torch.arange(moments.n_units), MAP_UNITS, axis=0)
    correlation = moments.correlation()[units][:, units].to(torch.float16).cpu()
    sampled = moments.n_units if moments.n_units < state.n_units else None
    return LayerRedundancy(
        layer=str(site),
        n_units=state.n_units,
        n_samples=moments.count,
        n_inputs=n_inputs,
        activations=redundancy(moments, **options),
        picture=Picture(moments.histogram(bins=50).cpu(), units, correlation),
        sampled=sampled,
        notes=(*_about_assumption(sites.assumed.get(site.layer)), *_about_sample(sampled, state.n_units)),
    )


def _by_weights(reading: Reading, *, device: torch.device | str | None, **options: float) -> LayerRedundancy:
    axis = reading.unit_axis
    weight = plain(reading.weight if device is None else reading.weight.to(device))
    n_units = weight.shape[axis]
    sampled = MOST_VECTORS if n_units > MOST_VECTORS and reading.groups == 1 else None
    kept = spaced(weight, sampled, axis=axis) if sampled else weight
    found = weight_redundancy(kept, unit_axis=axis, groups=reading.groups, exact_up_to=EXACT_SPECTRUM, **options)
    notes = (*reading.notes, *_about_sample(sampled, n_units))
    off = reading.switched_off if sampled is None else ()
    return LayerRedundancy(
        *(reading.layer, n_units),
        weights=found,
        sampled=sampled,
        notes=notes,
        switched_off=off,
        n_parameters=reading.weight.numel() + reading.n_biases,
    )


def _about_assumption(reason: str | None) -> tuple[str, ...]:
    return () if reason is None else (f"its units were taken from the module's type, {reason}",)


def _about_sample(sampled: int | None, n_units: int) -> tuple[str, ...]:
    if sampled is None:
        return ()
    return (f"{sampled:,} of its {n_units:,} units were measured, evenly spaced; copies among the others are not seen",)


def _joined(found: list[LayerRedundancy], by_weights: list[LayerRedundancy]) -> Iterator[LayerRedundancy]:
    """Yield each measured layer with its weight if it has exactly one, then the remaining weights."""
    weights = {layer.layer: layer for layer in by_weights}
    for layer in found:
        own = weights.pop(_without_call(layer.layer), None)
        if own is not None:
            notes = (*layer.notes, *own.notes)
            layer = replace(layer, weights=own.weights, n_parameters=own.n_parameters, notes=notes)
        yield layer
    yield from weights.values()


def _marked(layer: LayerRedundancy, outputs: set[str]) -> LayerRedundancy:
    return replace(layer, is_output=_without_call(layer.layer) in outputs)


def _with_output(layers: Iterable[LayerRedundancy], with_weights: list[str]) -> tuple[LayerRedundancy, ...]:
    """Mark the output layer."""
    return tuple(
        replace(layer, is_output=is_output_layer(_without_call(layer.layer), with_weights)) for layer in layers
    )


def _without_call(site: str) -> str:
    return site.removesuffix(":pre").partition("#")[0]
