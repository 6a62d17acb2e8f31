"""Inputs from .npz and .pt files, which hold several arrays or tensors."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..batches import BATCH
from .npy_files import as_input

PAIRS = (("x_test", "y_test"), ("x", "y"), ("inputs", "labels"), ("arr_0", "arr_1"))
"""Names under which a file keeps inputs and labels, the first of which counts."""


def read_npz(path: Path) -> Any:
    """Return a tensor, a pair (inputs, labels), or keyword inputs from a file that ``numpy.savez`` wrote.

    Raises:
        ValueError: if it is damaged, holds objects, or arrays whose part is unclear.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/a.npz", x_train=np.ones((9, 2)), x_test=np.ones((3, 2)), y_test=np.ones(3, int))
        ...     [tuple(part.shape) for part in read_npz(Path(folder, "a.npz"))]
        [(3, 2), (3,)]
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            names = file.files
            pair = next((pair for pair in PAIRS if pair[0] in names), None)
            wanted = [name for name in pair or names if name in names]
            arrays = {name: torch.from_numpy(as_input(file[name])) for name in wanted}
    except FileNotFoundError:
        raise
    except Exception as error:  # numpy and zipfile raise many types
        raise ValueError(f"{path} is damaged, or not .npz with arrays of real numbers: {error}") from error
    if not arrays:
        raise ValueError(f"{path} holds no array")
    if pair is not None or len(arrays) == 1:
        first, *others = arrays.values()
        return _checked((first, *others) if others else first, path)
    return _checked(arrays, path)


def read_pt(path: Path) -> Any:
    """Return what ``torch.save`` wrote: a tensor, a tuple (inputs, labels), keyword inputs, or a list of batches.

    Raises:
        ValueError: if it is damaged, holds anything but tensors in these, or tensors of several lengths.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises what pickle and zipfile do
        reason = str(error).strip().partition("\n")[0][:200]
        raise ValueError(f"{path} is damaged, or holds other things than tensors ({reason})") from error
    if isinstance(found, list):
        if not found:
            raise ValueError(f"{path} holds an empty list; save a list of batches")
        return [_checked(batch, path) for batch in found]
    return _checked(found, path)


def _checked(found: Any, path: Path) -> Any:
    """Return a batch as models take it; refuse what is none."""
    parts = list(found.values() if isinstance(found, Mapping) else found if isinstance(found, tuple) else (found,))
    if not parts or not all(isinstance(part, Tensor) and part.ndim for part in parts):
        raise ValueError(
            f"{path} must hold a tensor of inputs, a tuple (inputs, labels), a dict of keyword inputs, or a list of "
            f"such batches; got {type(found).__name__}"
        )
    lengths = sorted({len(part) for part in parts})
    if len(lengths) > 1 or not lengths[0]:
        what = "no samples" if not lengths[0] else f"{lengths[0]:,} and {lengths[1]:,} samples"
        names = f" ({', '.join(map(str, found))})" if isinstance(found, Mapping) else ""
        raise ValueError(f"{path} holds tensors of {what}{names}; inputs and labels have one length")
    if isinstance(found, Mapping):
        return {str(name): _input(part) for name, part in found.items()}
    return tuple(map(_input, found)) if isinstance(found, tuple) else _input(found)


def _input(tensor: Tensor) -> Tensor:
    """Return a tensor of a type that models take: whole numbers as int64, all others as float32."""
    whole = not (tensor.is_floating_point() or tensor.dtype is torch.bool)
    return tensor.detach().to(torch.int64 if whole else torch.float32)


class Split:
    """One batch of all samples cut into batches.

    Args:
        whole: a tensor, a tuple of tensors, or keyword inputs.
        size: samples in a batch; by default 512.
    """

    def __init__(self, whole: Any, size: int | None) -> None:
        self._whole, self._size = whole, size or BATCH

    def __iter__(self) -> Iterator[Any]:
        whole, size = self._whole, self._size
        if isinstance(whole, Tensor):
            yield from whole.split(size)
            return
        names = list(whole) if isinstance(whole, Mapping) else None
        parts: Iterable[Tensor] = whole.values() if isinstance(whole, Mapping) else whole
        for batch in zip(*(part.split(size) for part in parts), strict=True):
            yield dict(zip(names, batch, strict=True)) if names else batch

    def __len__(self) -> int:
        whole = self._whole
        first = (
            whole if isinstance(whole, Tensor) else next(iter(whole.values() if isinstance(whole, Mapping) else whole))
        )
        return -(-len(first) // self._size)
