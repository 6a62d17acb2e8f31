"""Readers of the data sets' two file formats: idx (MNIST) and pickled batches (CIFAR-10)."""

import gzip
import io
import math
import pickle
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...stats._base.wording import plural

_UNSIGNED_BYTE = 0x08
_IMAGE_BYTES = 3 * 32 * 32


def read_idx(content: bytes, where: str) -> NDArray[np.uint8]:
    """Read an array of unsigned bytes from an idx file, gzipped or not.

    Args:
        content: the file's bytes.
        where: the file's name, for error messages.

    Raises:
        ValueError: if the bytes are not exactly one such array.

    Example:
        >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), "example").tolist()
        [7, 8, 9]
    """
    content = _unzipped(content, where)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE or content[3] == 0:
        raise ValueError(
            f"{where} is not an idx file of unsigned bytes: it begins with {content[:4].hex() or 'nothing'}"
        )
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise ValueError(f"{where} ends within its header: {len(content)} bytes")
    shape = struct.unpack(f">{content[3]}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise ValueError(f"{where} declares shape {shape}, {math.prod(shape)} bytes, but holds {len(content) - header}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _unzipped(content: bytes, where: str) -> bytes:
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{where} is damaged: {error}") from error


def read_cifar_batch(content: bytes, where: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read images (n, 3, 32, 32) and labels (n,) from one pickled CIFAR-10 batch without executing any of it.

    Args:
        content: the file's bytes.
        where: the file's name, for error messages.

    Raises:
        ValueError: if it is not such a batch, or refers to anything but arrays.
    """
    try:
        batch = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    # A broken pickle can raise nearly any exception.
    except Exception as error:
        raise ValueError(f"{where} is not a CIFAR-10 batch: {error}") from error
    return _checked_batch(batch, where)


def _checked_batch(batch: Any, where: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if not isinstance(batch, dict) or not {b"data", b"labels"} <= batch.keys():
        raise ValueError(f"{where} is not a CIFAR-10 batch: it lacks 'data' or 'labels'")
    images, labels = batch[b"data"], batch[b"labels"]
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (_IMAGE_BYTES,):
        raise ValueError(f"{where}: 'data' must hold bytes in shape (n, {_IMAGE_BYTES})")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 10 for label in labels):
        raise ValueError(f"{where}: 'labels' must be a list of numbers from 0 to 9")
    if len(labels) != len(images):
        raise ValueError(f"{where} has {plural(len(images), 'image')} and {plural(len(labels), 'label')}")
    return images.reshape(-1, 3, 32, 32), np.asarray(labels, np.int64)


# The function that rebuilds an array, taken from an array: its module's name differs between versions of numpy.
_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler of arrays, bytes, strings, numbers, lists and dicts that rejects every other name."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Look up a name in the pickle."""
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it refers to {module_name}.{global_name}, which is not allowed") from None
