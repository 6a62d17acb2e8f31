"""Which tensors can hold weights to be measured, and why others cannot."""

import torch
from torch import Tensor, nn

PLAIN = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
EIGHT_BITS = {torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz}


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
