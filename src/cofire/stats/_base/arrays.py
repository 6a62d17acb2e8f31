"""What every statistic does first: take a torch tensor or a numpy array and say plainly what is wrong with it."""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = "Tensor | NDArray[np.generic]"

EXACT_IN_FLOAT32 = {torch.bool, torch.uint8, torch.int8, torch.int16, torch.float16, torch.bfloat16, torch.float32}


def as_tensor(x: Array, name: str = "x") -> Tensor:
    """The same numbers as a detached real tensor; shares memory where it can and never changes ``x``."""
    tensor = x.detach() if isinstance(x, Tensor) else _from_numpy(x, name)
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device and holds no numbers; give a tensor that does")
    if tensor.is_complex() or tensor.is_quantized or tensor.layout != torch.strided or _is_narrow_float(tensor.dtype):
        kind = f"{tensor.dtype}, layout {tensor.layout}"
        raise ValueError(f"{name} must be a dense array of real numbers, got {kind}; convert it first")
    # torch refuses to subtract booleans: whether a unit fires is taken as 0 and 1, in the same memory
    return tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor


def as_samples(x: Array, name: str = "x") -> Tensor:
    """``x`` as a tensor of shape (n_samples, n_units)."""
    tensor = as_tensor(x, name)
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise ValueError(
            f"{name} must have shape (n_samples, n_units) with at least one unit, got {tuple(tensor.shape)}; "
            "flatten batch and position axes into samples, for example x.flatten(0, -2)"
        )
    return tensor


def working_dtype(stored: torch.dtype, compute: torch.dtype) -> torch.dtype:
    """The narrowest of float32 and float64 that holds both without loss."""
    return compute if stored in EXACT_IN_FLOAT32 else torch.float64


def check_compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Products run in float32 or float64; anything less loses the answer."""
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"compute_dtype must be torch.float32 or torch.float64, got {dtype}")
    return dtype


def _is_narrow_float(dtype: torch.dtype) -> bool:
    """Eight bits and fewer, with which torch does not calculate."""
    return dtype.is_floating_point and dtype.itemsize < 2


def _from_numpy(x: object, name: str) -> Tensor:
    if np.ma.is_masked(x):
        raise ValueError(f"{name} is an array of which some values are masked; leave out the rows that have them")
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of real numbers, got dtype {array.dtype}; convert it first")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.float64 if array.dtype.itemsize == 8 else np.int64)
    array = array.astype(array.dtype.newbyteorder("="), copy=not array.flags.writeable)
    return torch.from_numpy(np.ascontiguousarray(array))
