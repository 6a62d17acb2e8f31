"""What the pickles in torch's files call, built as descriptions: which storage a tensor lies in, and how."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from .inert_pickle import Calls, DamagedPickle, Global

DTYPES = {str(value).removeprefix("torch."): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
_STORED = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "UntypedStorage": torch.uint8,
    **{f"{name}Storage": DTYPES[name.lower()] for name in ("QInt8", "QInt32", "QUInt8", "QUInt4x2", "QUInt2x4")},
}
_MOST_EXPANDED = 1 << 20
"""Numbers that a tensor may have beyond those stored: an expanded one of 12 bytes can claim to have a terabyte."""


@dataclass(frozen=True)
class Storage:
    """A run of numbers in a file, which tensors are views of."""

    key: str
    dtype: torch.dtype
    n_bytes: int


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor that has not been read yet.

    Attributes:
        storage: where its numbers are; None if it cannot be read.
        dtype: of its numbers.
        offset: of the first number.
        size: its shape.
        stride: in numbers, by axis.
        reason: why it cannot be read, a clause such as "sparse".
    """

    storage: Storage | None = None
    dtype: torch.dtype = torch.float32
    offset: int = 0
    size: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    reason: str = ""


def storage_of(saved_id: Any) -> Storage | Global:
    """Return the storage that a pickle refers to; the class where old files refer to one with its source.

    Raises:
        DamagedPickle: if the reference is not as torch writes it.
    """
    match saved_id:
        case ("module", Global() as kind, *_):
            return kind
        case ("storage", Global(path=path), str() | int() as key, _, int(number), *view):
            dtype = _STORED.get(path.rpartition(".")[2])
            if dtype is not None and number >= 0 and view in ([], [None]):
                return Storage(str(key), dtype, number * dtype.itemsize)
    raise DamagedPickle("it refers to its numbers in an unknown way")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> StoredTensor:
    counts = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)
    if not (isinstance(storage, Storage) and counts and _are_whole((offset, *size, *stride))):
        raise DamagedPickle("it describes a tensor in an unknown way")
    return StoredTensor(storage, storage.dtype, offset, size, stride)


def _are_whole(numbers: tuple[Any, ...]) -> bool:
    return all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)


def _tensor_v2(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> StoredTensor:
    """Return a tensor; ``rest`` is whether it needs a gradient, its hooks, and marks such as a pending negation."""
    found = _tensor(storage, offset, size, stride)
    marks = rest[2] if len(rest) > 2 else None
    if isinstance(marks, dict) and any(marks.values()):
        return replace(found, reason="stored with a pending negation or conjugation")
    return found


def _tensor_v3(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> StoredTensor:
    """Return a tensor whose storage is bytes: the third of ``rest`` is the type of its numbers."""
    needs_gradient, hooks, dtype, *marks = rest
    known = DTYPES.get(dtype.path.removeprefix("torch.")) if isinstance(dtype, Global) else None
    if known is None:
        return StoredTensor(reason=f"of an unknown type of numbers ({getattr(dtype, 'path', dtype)})")
    return replace(_tensor_v2(storage, offset, size, stride, needs_gradient, hooks, *marks), dtype=known)


def _odd(reason: str) -> Callable[..., StoredTensor]:
    return lambda *arguments: StoredTensor(reason=reason)


def _first(data: Any = None, *rest: Any) -> Any:
    return data


def _from_type(function: Any, kind: Any, arguments: Any, *state: Any) -> Any:
    """Return a tensor that has attributes, or whose class is torch's; those of other classes can't be read."""
    known = _CALLS.get(function.path) if isinstance(function, Global) else None
    path = kind.path if isinstance(kind, Global) else "an unknown class"
    if known is None or path not in ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter"):
        return StoredTensor(reason=f"stored as {path}")
    return known(*arguments)


def _wrapper(kind: Any = None, *rest: Any) -> StoredTensor:
    return StoredTensor(reason=f"stored as {kind.path if isinstance(kind, Global) else 'an unknown class'}")


def _on_device(data: Any, dtype: Any, *rest: Any) -> Any:
    """Return a tensor of a device without storages of its own; its numbers lie in one on the CPU."""
    if isinstance(data, StoredTensor) and isinstance(dtype, Global) and dtype.path == str(data.dtype):
        return data
    return StoredTensor(reason="stored for another device")


def _dict(items: Any = (), *rest: Any) -> dict[str, Any]:
    pairs = items.items() if isinstance(items, dict) else items if isinstance(items, list) else ()
    return {key: value for key, value in pairs if isinstance(key, str)}


_CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch.nn.parameter.Parameter": _first,
    "torch._utils._rebuild_sparse_tensor": _odd("sparse"),
    "torch._utils._rebuild_qtensor": _odd("quantized"),
    "torch._utils._rebuild_nested_tensor": _odd("nested: its parts differ in shape"),
    "torch._utils._rebuild_meta_tensor_no_storage": _odd("without numbers, as it was on the meta device"),
    "torch._utils._rebuild_wrapper_subclass": _wrapper,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _on_device,
    "torch._utils._rebuild_device_tensor_from_numpy": _odd("stored for another device"),
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch._tensor._rebuild_from_type": lambda function, kind, arguments, *state: _from_type(function, kind, arguments),
    "torch.Size": lambda size=(): tuple(size),
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "collections.defaultdict": lambda *arguments: {},
    "builtins.dict": _dict,
    "builtins.set": lambda items=(): list(items),
    "builtins.frozenset": lambda items=(): list(items),
}
CALLS: Calls = _CALLS
QUIET = ("torch.device", "torch.serialization._get_layout", "_codecs.encode", "builtins.bytearray", "builtins.complex")
"""What torch's own files call beyond that. No weight depends on it, so that there is nothing to say about it."""


def is_tensor(value: Any) -> bool:
    """Return whether a value of a pickle is a tensor, readable or not."""
    return isinstance(value, Tensor | StoredTensor)


class Unreadable(ValueError):
    """A tensor that is left out; the message is the reason."""


def tensor_of(stored: StoredTensor, read: Callable[[Storage], Tensor]) -> Tensor:
    """Return a tensor as a view of its storage.

    Args:
        stored: its description.
        read: returns a storage's bytes, one-dimensional uint8; the same memory each time.

    Raises:
        Unreadable: if it is not strided, expanded beyond all measure, or of a type that torch cannot show.
        DamagedPickle: if it reaches beyond its storage.
    """
    if stored.reason or stored.storage is None:
        raise Unreadable(stored.reason)
    itemsize = stored.dtype.itemsize
    n_stored, number = stored.storage.n_bytes // itemsize, prod(stored.size)
    reach = stored.offset + sum((n - 1) * step for n, step in zip(stored.size, stored.stride, strict=True))
    if number and reach >= n_stored:
        raise DamagedPickle(f"a tensor of shape {stored.size} reaches beyond the numbers that are stored")
    if number - n_stored > _MOST_EXPANDED:
        raise Unreadable(f"expanded to {number:,} numbers, of which {n_stored:,} are stored")
    if "q" in str(stored.dtype):
        raise Unreadable("quantized")
    if not number:
        return torch.empty_strided(stored.size, stored.stride, dtype=stored.dtype)
    flat = read(stored.storage)[: n_stored * itemsize].view(stored.dtype)
    return flat.as_strided(stored.size, stored.stride, stored.offset)
