"""Weights that a library stores in few bits, as the numbers that they stand for."""

import copy
from importlib import import_module
from typing import Any

from torch import Tensor, nn

LIBRARIES = ("torchao", "bitsandbytes")


def stored_as(weight: Tensor) -> str | None:
    """Return how one of `LIBRARIES` stores a weight, in words; None for plain tensors.

    Example:
        >>> import torch
        >>> stored_as(torch.ones(2, 3)) is None
        True
    """
    if type(weight) in (Tensor, nn.Parameter):
        return None
    library = type(weight).__module__.partition(".")[0]
    # bitsandbytes quantizes when it moves a parameter to its device; until then the parameter is a plain one.
    if library not in LIBRARIES or (library == "bitsandbytes" and weight.is_floating_point()):
        return None
    return f"{library}'s {type(weight).__name__}"


def dequantized(module: nn.Module, weight: Tensor) -> Tensor | None:
    """Return the numbers that a module's stored weight stands for; None if they are not known.

    Plain tensors are returned as they are, and so is what other libraries store.
    """
    if stored_as(weight) is None:
        return weight
    stored: Any = weight
    name = type(weight).__name__
    if name == "Params4bit":
        return None if stored.quant_state is None else _of_four_bits(stored.data, stored.quant_state)
    if name == "Int8Params":
        # The scale of each unit is the parameter's until the first forward pass, then its layer's.
        scale = stored.SCB if stored.SCB is not None else getattr(getattr(module, "state", None), "SCB", None)
        return None if scale is None else stored.data.as_subclass(Tensor) * (scale[:, None] / 127)
    if hasattr(stored, "get_original_weight"):  # torchao's NF4Tensor
        return stored.get_original_weight()
    return stored.dequantize()


def _of_four_bits(packed: Tensor, state: Any) -> Tensor | None:
    functional = import_module("bitsandbytes.functional")
    if getattr(state, "packing_format_for_cpu", False):
        # On the CPU, the first forward pass in eval mode packs the weight anew. Undoing that changes the state, so a
        # copy is given, which says that the blocks' scales are not quantized themselves: they no longer are.
        unpack = getattr(functional, "_convert_weight_packed_for_cpu_inverse", None)
        if unpack is None:
            return None
        state = copy.copy(state)
        state.absmax, state.original_nested = state.absmax.T.reshape(-1).float(), False
        packed, state = unpack(packed, state)
    return functional.dequantize_4bit(packed, state)
