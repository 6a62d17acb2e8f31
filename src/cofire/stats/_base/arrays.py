"""Checks and conversions that every statistic begins with: torch tensors and numpy arrays in, tensors out."""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = "Tensor | NDArray[np.generic]"

EXACT_IN_FLOAT32 = {torch.bool, torch.uint8, torch.int8, torch.int16, torch.float16, torch.bfloat16, torch.float32}


def as_tensor(x: Array, name: str = "x") -> Tensor:
    """Return the same numbers as a detached real tensor; it shares memory with ``x`` where possible.

    Raises:
        ValueError: for anything but a dense array of real numbers.
    """
    tensor = x.detach() if isinstance(x, Tensor) else _from_numpy(x, name)
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device and holds no numbers; give a tensor that does")
    if tensor.is_complex() or tensor.is_quantized or tensor.layout != torch.strided or _is_narrow_float(tensor.dtype):
        kind = f"{tensor.dtype}, layout {tensor.layout}"
        raise ValueError(f"{name} must be a dense array of real numbers, got {kind}; convert it first")
    # torch does not subtract booleans, so whether a unit fires becomes 0 and 1, in the same memory
    return tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor


def as_samples(x: Array, name: str = "x") -> Tensor:
    """Return ``x`` as a tensor of shape (n_samples, n_units).

    Raises:
        ValueError: if it is not a matrix of real numbers with at least one unit.
    """
    tensor = as_tensor(x, name)
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise ValueError(
            f"{name} must have shape (n_samples, n_units) with at least one unit, got {tuple(tensor.shape)}; "
            "flatten batch and position axes into samples, for example x.flatten(0, -2)"
        )
    return tensor


def working_dtype(stored: torch.dtype, compute: torch.dtype) -> torch.dtype:
    """Return the narrower of float32 and float64 that holds both types without loss."""
    return compute if stored in EXACT_IN_FLOAT32 else torch.float64


def check_compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type of products, which must be float32 or float64: narrower types lose the result.

    Raises:
        ValueError: for any other type.
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"compute_dtype must be torch.float32 or torch.float64, got {dtype}")
    return dtype


def _is_narrow_float(dtype: torch.dtype) -> bool:
    """Return whether a type has eight bits or fewer; torch stores these but does not compute with them."""
    return dtype.is_floating_point and dtype.itemsize < 2


def _from_numpy(x: object, name: str) -> Tensor:
    if np.ma.is_masked(x):
        raise ValueError(f"{name} has masked values; leave out the rows that contain them")
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of real numbers, got dtype {array.dtype}; convert it first")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.float64 if array.dtype.itemsize == 8 else np.int64)
    array = array.astype(array.dtype.newbyteorder("="), copy=not array.flags.writeable)
    return torch.from_numpy(np.ascontiguousarray(array))
