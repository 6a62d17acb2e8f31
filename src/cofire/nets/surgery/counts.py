"""The sizes that modules keep as numbers beside their weights, such as ``in_features``."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

Count = int | tuple[int, ...]
Shapes = Mapping[str, tuple[int, ...]]

AXES: Mapping[str, tuple[tuple[str, int], ...]] = {
    "in_features": (("weight", 1), ("weight", 0)),
    "out_features": (("weight", 0), ("weight", 1)),
    "nx": (("weight", 0),),  # the Conv1D of transformers, whose weight is (in, out)
    "nf": (("weight", 1),),
    "in1_features": (("weight", 1),),
    "in2_features": (("weight", 2),),
    "embedding_dim": (("weight", 1),),
    "num_features": (("running_mean", 0), ("weight", 0)),
    "num_channels": (("weight", 0),),
    "num_parameters": (("weight", 0),),
    "input_size": (("weight_ih_l0", 1), ("weight_ih", 1)),
    "hidden_size": (("weight_hh_l0", 1), ("weight_hh", 1)),
}
"""Which axis of which tensor each number counts; the second place is for classes that store a weight the other way."""

CHANNELS = ("in_channels", "out_channels", "groups")


STANDS_FOR_WEIGHT = ("weight", "weight_v", "weight_orig", *(f"parametrizations.weight.original{k}" for k in ("", "1")))
"""Parameters that have the shape of a weight; parametrizations and old weight norm compute it from others."""


def weight_of(module: nn.Module) -> str | None:
    """Return the name of the parameter that has the shape of a module's weight."""
    own = dict(module.named_parameters(remove_duplicate=False))
    return next((name for name in STANDS_FOR_WEIGHT if name in own), None)


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a module's own parameters and buffers, and of its weight where that is computed."""
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    weight = weight_of(module)
    computed = {} if weight is None else {"weight": tuple(module.get_parameter(weight).shape)}
    return computed | {name: tuple(tensor.shape) for name, tensor in own}


def recounted(module: nn.Module, before: Shapes, groups: int | None = None) -> dict[str, Count]:
    """Return the numbers of a module that its tensors no longer agree with, with their new values.

    Args:
        module: of any class; numbers that did not count its tensors before stay.
        before: shapes of its tensors when the numbers were right.
        groups: how many groups a convolution has now, which shapes alone do not always show.

    Example:
        >>> layer = nn.Linear(4, 3)
        >>> layer.weight = nn.Parameter(layer.weight[:2])
        >>> recounted(layer, {"weight": (3, 4), "bias": (3,)})
        {'out_features': 2}
    """
    own, after = vars(module), shapes(module)
    found: dict[str, Count] = {}
    for name, places in AXES.items():
        counted = [(one, axis) for one, axis in places if before.get(one, ())[axis : axis + 1] == (own.get(name),)]
        for one, axis in counted[:1]:
            found[name] = after[one][axis]
    if "weight" in before and all(name in own for name in CHANNELS):
        found |= _channels(module, before["weight"], after["weight"], groups)
    if own.get("normalized_shape", ()) == before.get("weight"):
        found["normalized_shape"] = after["weight"]
    return {name: value for name, value in found.items() if value != own[name]}


def _channels(
    module: nn.Module, before: tuple[int, ...], after: tuple[int, ...], groups: int | None
) -> dict[str, Count]:
    if groups is None:
        groups = int(getattr(module, "groups", 1))
        per_group = before[0] // groups
        if groups > 1 and before[1] == 1 and after[0] % per_group == 0:
            groups = after[0] // per_group  # depthwise: each channel is a group, so removed channels are groups
    first, second = after[:2]
    if getattr(module, "transposed", False):
        return {"in_channels": first, "out_channels": second * groups, "groups": groups}
    return {"in_channels": second * groups, "out_channels": first, "groups": groups}


def is_no_larger(value: object, old: object) -> bool:
    """Return whether a value can take the place of such a number in a smaller network."""
    if isinstance(old, tuple | list) and isinstance(value, list | tuple):
        return len(value) == len(old) and all(map(is_no_larger, value, old))
    return type(value) is int and type(old) is int and 0 < value <= old


def like(old: Any, new: Any) -> Any:
    """Return a number, or numbers as the tuple, list or size that they stand in for."""
    if not isinstance(old, tuple | list):
        return new
    return torch.Size(new) if isinstance(old, torch.Size) else list(new) if isinstance(old, list) else tuple(new)
