"""How the units lie in a weight, and why other tensors hold none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

PLAIN = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
EIGHT_BITS = {torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz}


@dataclass(frozen=True, eq=False)
class Reading:
    """A weight, and how its units lie in it.

    Attributes:
        layer: its name, with the gate or projection behind it where a layer has several.
        weight: as it is stored.
        unit_axis: the axis of the units, 0 or 1.
        groups: of a convolution.
        notes: sentences on what was assumed.
        switched_off: units that never vary, whatever their weights, because of the batch norm behind them.
    """

    layer: str
    weight: Tensor
    unit_axis: int = 0
    groups: int = 1
    notes: tuple[str, ...] = ()
    switched_off: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Readings:
    """The weights found.

    Attributes:
        found: in the order of the model or file.
        left_out: other tensors by name, with the reason.
        in_order: whether that order is the network's; a file sorted by name does not show it.
    """

    found: tuple[Reading, ...]
    left_out: Mapping[str, str]
    in_order: bool = True


Seen: TypeAlias = dict[tuple[int, int], str]
"""Names of weights by where they lie in memory, so that a tied one is measured once."""


def odd_kind(tensor: Tensor) -> str | None:
    """Return why not even the shape of a tensor can be relied on: it is no plain one; None if it is."""
    if type(tensor) not in (Tensor, nn.Parameter):
        return f"stored as {type(tensor).__name__}"
    if tensor.is_meta:
        return "without numbers: it is on the meta device"
    if tensor.is_nested:
        return "nested: its parts differ in shape"
    if tensor.is_quantized or tensor.layout != torch.strided:
        return f"stored as {str(tensor.dtype if tensor.is_quantized else tensor.layout).removeprefix('torch.')}"
    return None


def unusable(tensor: Tensor) -> str | None:
    """Return why no unit's weights can be read from a tensor; None if they can."""
    odd = odd_kind(tensor)
    if odd is not None:
        return odd
    if not tensor.is_floating_point():
        return "holds complex numbers" if tensor.is_complex() else "holds whole numbers, no weights"
    if tensor.dtype not in PLAIN | EIGHT_BITS:
        return f"stored as {str(tensor.dtype).removeprefix('torch.')}"
    if tensor.ndim < 2:
        return "a bias, scale or statistic, no weights"
    return None if tensor.numel() else f"is empty, of shape {tuple(tensor.shape)}"


def tied(seen: Seen, name: str, tensor: Tensor) -> str | None:
    """Note a weight; return a reason if the same memory came before under another name."""
    # Empty tensors all lie at address 0.
    first = seen.setdefault((tensor.data_ptr(), tensor.numel()), name) if tensor.numel() else name
    return None if first == name else f"the same tensor as {first}"


def plain(tensor: Tensor) -> Tensor:
    """Return eight-bit floats as float32 and all others unchanged."""
    tensor = tensor.detach()
    return tensor if tensor.dtype in PLAIN else tensor.float()
