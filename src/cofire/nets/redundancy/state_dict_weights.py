"""Read the weights in a bare state dict by their names and shapes, and say what was assumed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...stats._base.definitions import are_switched_off
from ..tensor_kinds import odd_kind, unusable
from .effective_weights import effective_weights
from .file_layout import FileLayout
from .parameter_names import (
    bias_of,
    fused_parts,
    is_fused,
    layer_of,
    looks_like_matrix,
    looks_like_weight,
    n_biases,
    no_weights,
)
from .readings import Reading, Readings, Seen, tied
from .stacked_weights import is_stack, read_stack

DEPTHWISE = "taken as depthwise: each filter reads a channel of its own, so that none copies another"
UNTOLD = "a matrix without a bias, which may be stored as (units, inputs) or (inputs, units)"
TABLE_OR_LAYER = "a table of embeddings or a layer, which its shape and its neighbors do not tell"
UNITS_FIRST = "taken as (units, inputs), as nn.Linear stores it"


def read_state_dict(weights: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> Readings:
    """Return the incoming weights in a bare state dict, read by their names, their shapes and their neighbors.

    A state dict does not say what its tensors are for. What is assumed stands in each reading's notes, and what can't
    be told is left out with the reason.

    Args:
        weights: tensors by name.
        config: what a ``config.json`` says of them.

    Example:
        >>> import torch
        >>> state = {"stem.weight": torch.ones(8, 3, 3, 3), "dw.weight": torch.ones(8, 1, 3, 3)}
        >>> found = read_state_dict(state)
        >>> [reading.layer for reading in found.found], list(found.left_out)
        (['stem'], ['dw.weight'])
    """
    left_out = {name: reason for name, tensor in weights.items() if (reason := odd_kind(tensor))}
    effective = effective_weights({name: tensor for name, tensor in weights.items() if name not in left_out})
    layout = FileLayout(effective.weights, config or {})
    seen: Seen = {}
    found: list[Reading] = []
    for name, tensor in layout.weights.items():
        readings = unusable(tensor) or no_weights(name) or tied(seen, name, tensor) or _read(name, layout)
        if isinstance(readings, str):
            left_out[name] = readings
            continue
        note = effective.notes.get(name)
        for one in readings:
            biases = n_biases(name, tensor, one.weight, layout.weights)
            found.append(replace(one, notes=(*one.notes, *([note] if note else [])), n_biases=biases))
    return Readings(tuple(found), left_out, layout.order_is_known)


def _read(name: str, layout: FileLayout) -> list[Reading] | str:
    """Return the readings of a weight, or why it has none."""
    tensor, bias = layout.weights[name], bias_of(name, layout.weights)
    if bias is not None and bias.shape == tensor.shape:
        return "a scale, as its bias is of the same shape"
    if is_stack(name, layout):
        return read_stack(name, layout)
    if tensor.ndim > 2:
        return _convolution(name, layout) if looks_like_weight(name) else "no layer's weight by its name"
    shown = layout.embedding(name)
    if shown == "":
        return TABLE_OR_LAYER
    if shown:
        note = f"read as an embedding by {shown}: its units are the features"
        return [Reading(layer_of(name), tensor.detach(), unit_axis=1, notes=(note,))]
    if not looks_like_weight(name):
        if not looks_like_matrix(name):
            return "no layer's weight by its name"
        if name not in layout.turned and _bias_length(name, layout) != len(tensor):
            return UNTOLD
    return list(_matrix(name, layout))


def _matrix(name: str, layout: FileLayout) -> Iterator[Reading]:
    tensor, layer = layout.weights[name].detach(), layer_of(name)
    units_first = tensor.T if name in layout.turned else tensor
    notes = (layout.turned[name],) if name in layout.turned else ()
    if not notes and (tensor.shape[0] == tensor.shape[1] or _bias_length(name, layout) != len(tensor)):
        notes = (UNITS_FIRST,)
    parts = fused_parts(name, units_first, layout.weights)
    if is_fused(name) and len(parts) == 1:
        notes = (*notes, "its projections can't be told apart by its shape, and are read as one layer")
    for part, weight in parts.items():
        switched_off, by_norm = _switched_off(name, layout) if len(parts) == 1 else ((), ())
        yield Reading(
            ".".join(filter(None, (layer, part))), weight, notes=(*notes, *by_norm), switched_off=switched_off
        )


def _convolution(name: str, layout: FileLayout) -> list[Reading] | str:
    tensor = layout.weights[name].detach()
    notes: tuple[str, ...] = (layout.turned[name],) if name in layout.turned else ()
    if tensor.shape[1] == 1 and len(tensor) > 1 and name not in layout.turned:
        if not layout.reads_one_channel(name):
            return DEPTHWISE
        groups, notes = 1, (*notes, "taken as a layer that reads one channel, not as depthwise")
    else:
        groups, assumed = layout.groups(name)
        notes = (*notes, *([assumed] if assumed else []))
    switched_off, by_norm = _switched_off(name, layout)
    units_first = tensor.transpose(0, 1) if name in layout.turned else tensor
    return [Reading(layer_of(name), units_first, groups=groups, notes=(*notes, *by_norm), switched_off=switched_off)]


def _bias_length(name: str, layout: FileLayout) -> int:
    bias = bias_of(name, layout.weights)
    return len(bias) if bias is not None and bias.ndim == 1 else 0


def _switched_off(name: str, layout: FileLayout) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the units that the batch norm behind a weight has switched off, and a sentence on them."""
    norm = layout.norms.get(name)
    if norm is None:
        return (), ()
    variance = layout.weights[f"{norm}.running_var"]
    scale = layout.weights.get(f"{norm}.weight", torch.ones_like(variance))
    if scale.shape != variance.shape or len(variance) != layout.units(name):
        return (), ()
    off = tuple(are_switched_off(scale.detach(), variance.detach()).nonzero()[:, 0].tolist())
    return off, (
        "units that its batch norm has switched off count as dead; the norm is known by its name",
    ) if off else ()
