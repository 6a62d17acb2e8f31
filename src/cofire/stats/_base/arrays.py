"""Checks and conversions that every statistic begins with: torch tensors and numpy arrays in, tensors out."""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = "Tensor | NDArray[np.generic]"

REAL = {
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
}  # fmt: skip
WIDER = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.float64}
"""Types that torch stores but hardly computes with, and those that take their place."""
EXACT_IN_FLOAT32 = {torch.bool, torch.uint8, torch.int8, torch.int16, torch.float16, torch.bfloat16, torch.float32}


def as_tensor(x: Array, name: str = "x") -> Tensor:
    """Return the same numbers as a detached real tensor; it shares memory with ``x`` where possible.

    Raises:
        ValueError: for anything but a dense array of real numbers.
    """
    tensor = x.detach() if isinstance(x, Tensor) else _from_numpy(x, name)
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device and holds no numbers; give a tensor that does")
    tensor = tensor.to(WIDER.get(tensor.dtype, tensor.dtype))
    if tensor.dtype not in REAL or tensor.is_nested or tensor.layout != torch.strided:
        kind = "a nested tensor" if tensor.is_nested else f"{tensor.dtype}, layout {tensor.layout}"
        raise ValueError(f"{name} must be a dense array of real numbers, got {kind}; convert it first")
    # torch does not subtract booleans, so whether a unit fires becomes 0 and 1, in the same memory
    return tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor


def as_points(x: Array, name: str = "x") -> Tensor:
    """Return ``x`` as a tensor of shape (n_samples, n_units); a single unit may come as (n_samples,).

    Raises:
        ValueError: if it is neither, not real, or has no unit.
    """
    tensor = as_tensor(x, name)
    points = tensor[:, None] if tensor.ndim == 1 else tensor
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(f"{name} must have shape (n_samples,) or (n_samples, n_units), got {tuple(tensor.shape)}")
    return points


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


def _from_numpy(x: object, name: str) -> Tensor:
    if np.ma.is_masked(x):
        raise ValueError(f"{name} has masked values; leave out the rows that contain them")
    try:
        array = np.asarray(x)
    except (TypeError, ValueError) as error:  # lists of unequal lengths, tensors with gradients in lists
        raise ValueError(f"{name} must be an array of real numbers, got {type(x).__name__}: {error}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of real numbers, got dtype {array.dtype}; convert it first")
    if array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):  # beyond float64 a number is infinite
            array = array.astype(np.float64)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.float64 if array.dtype.itemsize == 8 else np.int64)
    array = array.astype(array.dtype.newbyteorder("="), copy=not array.flags.writeable)
    return torch.from_numpy(np.ascontiguousarray(array) if array.ndim else array)  # numpy would add an axis
