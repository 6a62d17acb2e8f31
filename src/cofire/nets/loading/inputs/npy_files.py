"""Read inputs from a folder of arrays, batch by batch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..batches import BATCH


class Arrays:
    """Batches of inputs from ``.npy`` files, in the order of their names; every pass reads the files again.

    Each file holds samples along its first axis; the other axes agree between files. Integers become int64 (token ids,
    say), all other numbers float32. Files with pickled objects are refused.

    Args:
        place: a folder with ``.npy`` files, or one such file.
        size: samples in a batch, at most; a batch ends where its file does.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ValueError: if it holds no array, or arrays that do not fit together.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/inputs.npy", np.zeros((600, 3)))
        ...     [tuple(batch.shape) for batch in Arrays(folder)]
        [(512, 3), (88, 3)]
    """

    def __init__(self, place: str | Path, size: int = BATCH) -> None:
        place = Path(place)
        if not place.exists():
            raise FileNotFoundError(f"{place}: there is no such file or folder")
        self._paths = sorted(place.glob("*.npy")) if place.is_dir() else [place]
        if not self._paths:
            raise ValueError(f"{place} holds no .npy file; save inputs there with numpy.save, samples first")
        shapes = {path: _opened(path).shape for path in self._paths}
        first = shapes[self._paths[0]]
        for path, shape in shapes.items():
            if shape[1:] != first[1:]:
                raise ValueError(
                    f"{path} has samples of shape {shape[1:]}, but {self._paths[0].name} of {first[1:]}; "
                    "keep only inputs in the folder, and labels elsewhere"
                )
        self._size = size
        self._n_batches = sum(-(-shape[0] // size) for shape in shapes.values())
        self.n_samples = sum(shape[0] for shape in shapes.values())
        if not self.n_samples:
            raise ValueError(f"{place} holds no samples: its arrays have length 0")

    def __iter__(self) -> Iterator[Tensor]:
        for path in self._paths:
            array = _opened(path)
            for start in range(0, len(array), self._size):
                yield torch.from_numpy(as_input(array[start : start + self._size]))

    def __len__(self) -> int:
        return self._n_batches


def as_input(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return a copy of a type that models take: whole numbers as int64, all other real ones as float32.

    Raises:
        ValueError: if the array holds anything else, or is a single number.
    """
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise ValueError(f"expected real numbers, samples first; got {array.dtype} of shape {array.shape}")
    # A copy, as the file may be mapped read-only and have another byte order than torch takes.
    return array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)


def _opened(path: Path) -> NDArray[np.generic]:
    """Map an array from its file, and check it."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, OverflowError) as error:
        raise ValueError(f"{path} is damaged, or not a .npy array of numbers; write it with numpy.save") from error
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{path} must hold an array of real numbers, samples first; got {array.dtype} of shape {array.shape}"
        )
    return array
