"""Find the weights to measure, and say how each is read and why other tensors are left out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..layer_names import clean, unwrap
from ..layers.layer_weights import known_layers, unit_weights
from ..wiring.structure import Layer
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


UNREAD = "makes no units in the pass that was followed"

Seen: TypeAlias = dict[tuple[int, int], str]
"""Names of weights by where they lie in memory, so that a tied one is measured once."""


def read_model(model: nn.Module, layers: Iterable[Layer] | None = None) -> Readings:
    """Return the incoming weights of a model's layers, each read as the model uses it.

    Args:
        model: the model.
        layers: as its wiring gives them; by default what is known of it so far.

    Raises:
        ValueError: if a lazy layer has not been run yet, so that it has no weights.
    """
    model = unwrap(model)
    lazy = [name for name, tensor in model.named_parameters() if is_lazy(tensor)]
    if lazy:
        raise ValueError(f"{lazy[0]!r} has no values before it has run once; run the model on a batch first")
    layers = list(known_layers(model) if layers is None else layers)
    weights, left_out = unit_weights(model, layers)
    found = [
        Reading(one.name, _plain(one.read(model)), groups=one.blocks, notes=_assumptions(one.layer)) for one in weights
    ]
    used = {clean(name) for layer in layers for name in layer.parameters}
    others = {clean(name): tensor for name, tensor in model.named_parameters() if clean(name) not in used}
    unread = {name: _unusable(tensor) or UNREAD for name, tensor in others.items()}
    return Readings(tuple(found), {**left_out, **unread})


def _assumptions(layer: Layer) -> tuple[str, ...]:
    return (f"read by its type, as {layer.assumed.removeprefix('assumed: ')}",) if layer.assumed else ()


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
