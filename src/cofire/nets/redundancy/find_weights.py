"""Find the weights to measure, and say how each is read and why other tensors are left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..layers.layer_names import clean, first_names, named_layers, unwrap
from ..layers.layer_weights import n_groups, unit_weights
from ..layers.quantized import stored_as
from .parameter_names import embeds, fused_parts, is_bias, layer_of, looks_like_weight, turned_by_bias

PLAIN = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


@dataclass(frozen=True, eq=False)
class Reading:
    """A weight, and how its units lie in it.

    Attributes:
        layer: its name, with the gate or projection behind it where a layer has several.
        weight: as it is stored.
        unit_axis: the axis of the units, 0 or 1.
        groups: of a convolution.
        notes: sentences on what was assumed.
    """

    layer: str
    weight: Tensor
    unit_axis: int = 0
    groups: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Readings:
    """The weights found, in the model's order; ``left_out``: other tensors by name, with the reason."""

    found: tuple[Reading, ...]
    left_out: Mapping[str, str]


UNREAD = "no layer that cofire knows reads it"

Seen: TypeAlias = dict[tuple[int, int], str]
"""Names of weights by where they lie in memory, so that a tied one is measured once."""


def read_model(model: nn.Module) -> Readings:
    """Return the incoming weights of a model's layers, each read as its layer uses it.

    Raises:
        ValueError: if a lazy layer has not been run yet, so that it has no weights.
    """
    model = unwrap(model)
    seen: Seen = {}
    left_out, found = {}, []
    for name, module in _layers(model).items():
        for part, weight in unit_weights(module).items():
            layer = ".".join(filter(None, (name, part)))
            reason = _unusable(weight) or _tied(seen, layer, weight.detach())
            if reason:
                left_out[layer] = reason
            else:
                found.append(Reading(layer, _plain(weight), groups=n_groups(module), notes=_quantized(module)))
    used = {id(weight) for module in model.modules() for weight in _whole_weights(module)}
    others = {clean(name): tensor for name, tensor in model.named_parameters() if id(tensor) not in used}
    unread = {name: _computes(name) or _unusable(tensor) or UNREAD for name, tensor in others.items()}
    return Readings(tuple(found), {**left_out, **unread})


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return every module once, without the module inside attention that only holds one of its projections."""
    layers = named_layers(model)
    lazy = [name for name, module in layers.items() if any(map(is_lazy, module.parameters(recurse=False)))]
    if lazy:
        raise ValueError(f"{lazy[0]!r} has no weights before it has run once; run the model on a batch first")
    first = first_names(layers)
    inside = {name for name in layers if isinstance(layers.get(name.rpartition(".")[0]), nn.MultiheadAttention)}
    inside |= {name for name in layers if _computes(name)}
    return {name: module for name, module in layers.items() if first[name] == name and name not in inside - {""}}


def _quantized(module: nn.Module) -> tuple[str, ...]:
    kinds = {stored_as(weight) for weight in module.parameters(recurse=False) if weight.ndim > 1} - {None}
    return tuple(f"stored as {kind}, read as the numbers that it stands for" for kind in kinds)


def _computes(name: str) -> str | None:
    """Return what a parametrization's parameter is for; None for all others."""
    layer, inside, rest = f".{name}".partition(".parametrizations.")
    return f"the {rest.partition('.')[0]} of {layer[1:] or 'the model'} is computed from it" if inside else None


def _whole_weights(module: nn.Module) -> list[Tensor]:
    """Return the parameters out of which :func:`~cofire.nets.layers.layer_weights.unit_weights` takes its weights."""
    named = module.named_parameters(recurse=isinstance(module, nn.MultiheadAttention)) if unit_weights(module) else ()
    return [tensor for name, tensor in named if tensor.ndim > 1 and "bias" not in name]


def read_state_dict(weights: Mapping[str, Tensor]) -> Readings:
    """Return the incoming weights in a bare state dict, read by their names and shapes.

    A state dict does not say what its tensors are for. Weights are taken as (units, inputs, ...), convolutions as
    ungrouped; embeddings, torch's fused gates and projections, and layers that store (inputs, units) are known by
    their names and by the length of their bias.
    """
    seen: Seen = {}
    left_out: dict[str, str] = {}
    turned = turned_by_bias(weights)
    found: list[Reading] = []
    for name, tensor in weights.items():
        reason = _unusable(tensor) or _other(name, tensor) or _tied(seen, name, tensor)
        if reason:
            left_out[name] = reason
        else:
            found.extend(_readings(name, _plain(tensor), weights, name in turned))
    return Readings(tuple(found), left_out)


def _readings(name: str, tensor: Tensor, weights: Mapping[str, Tensor], turned: bool) -> Iterator[Reading]:
    layer = layer_of(name)
    if embeds(name) and tensor.ndim == 2 and f"{layer}.bias" not in weights:  # a table has no bias
        yield Reading(layer, tensor, unit_axis=1, notes=("read as an embedding: its units are the features",))
        return
    notes = ("its bias shows that it is stored as (inputs, units)",) if turned else ()
    if tensor.ndim > 2:
        notes += ("read as a convolution in one group",)
    units_first = tensor.transpose(0, 1) if turned else tensor
    for part, weight in fused_parts(name, units_first, weights).items():
        yield Reading(".".join(filter(None, (layer, part))), weight, notes=notes)


def _unusable(tensor: Tensor) -> str | None:
    """Return why no unit's weights can be read from a tensor; None if they can."""
    if tensor.is_quantized or tensor.layout != torch.strided:
        return f"stored as {str(tensor.dtype if tensor.is_quantized else tensor.layout).removeprefix('torch.')}"
    if not tensor.is_floating_point():
        return "holds complex numbers" if tensor.is_complex() else "holds whole numbers, no weights"
    if tensor.ndim < 2:
        return "a bias, scale or statistic, no weights"
    return None if tensor.numel() else f"is empty, of shape {tuple(tensor.shape)}"


def _other(name: str, tensor: Tensor) -> str | None:
    if is_bias(name):
        return "a bias or a mask by its name"
    if tensor.ndim > 2 and not looks_like_weight(name):
        return "no layer's weight by its name"
    return None


def _tied(seen: Seen, name: str, tensor: Tensor) -> str | None:
    """Note a weight; return a reason if the same memory came before under another name."""
    # Empty tensors all lie at address 0.
    first = seen.setdefault((tensor.data_ptr(), tensor.numel()), name) if tensor.numel() else name
    return None if first == name else f"the same tensor as {first}"


def _plain(tensor: Tensor) -> Tensor:
    """Return eight-bit floats as float32 and all others unchanged."""
    tensor = tensor.detach()
    return tensor if tensor.dtype in PLAIN else tensor.float()
