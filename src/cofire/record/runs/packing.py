"""Numbers, texts and arrays as SQLite holds them."""

import io
import math
import operator
from typing import Any

import numpy as np


def whole(value: Any) -> int:
    """Return a whole number as Python's own, which SQLite would store as bytes if it were numpy's or torch's.

    Raises:
        TypeError: if it is none.
        ValueError: if it is too large for SQLite.
    """
    number = operator.index(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError("SQLite stores whole numbers of at most 64 bits")
    return number


def text(value: Any) -> str:
    """Return text as Python's own.

    Raises:
        TypeError: if it is none.
        ValueError: if it holds half of a surrogate pair, which is no text.
    """
    if not isinstance(value, str):
        raise TypeError(f"names are text, got {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{value!r} is no valid text: it can't be written in UTF-8; give another name") from error
    return str(value)


def to_bytes(value: Any) -> bytes:
    """Return an array in the format of ``.npy`` files.

    Raises:
        ValueError: if it holds anything but numbers.
    """
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise ValueError(f"an array must hold numbers or text of one type, got objects: {array!r:.80}")
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def from_bytes(content: bytes) -> np.ndarray:
    """Return the array in bytes that `to_bytes` made.

    Raises:
        ValueError: if they are anything else. Nothing is unpickled, and no more memory taken than there are bytes.
    """
    file = io.BytesIO(content)
    try:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        start = file.tell()
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - start:
            raise ValueError(f"it has {len(content) - start} bytes for shape {shape} of {dtype}")
        flat = np.frombuffer(content, dtype, offset=start) if len(content) > start else np.empty(0, dtype)
        return flat.reshape(shape, order="F" if fortran else "C").copy()
    except Exception as error:  # numpy raises whatever its parser of headers does
        raise ValueError(f"it is no array as numpy saves it ({error})") from error
