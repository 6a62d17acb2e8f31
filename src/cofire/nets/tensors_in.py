"""Find the tensors in what a model takes or returns, however deep they lie in containers and objects."""

from collections import deque
from collections.abc import Generator, Iterator, KeysView, Mapping, Set, ValuesView
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from types import CellType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HOLD_NONE = (
    *(bool, int, float, complex, str, bytes, bytearray, range, slice, type, type(None), Enum, ModuleType, np.generic),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Generator, nn.Module),
)
"""Classes in which no tensor lies; those of a module are its own, not what it was given or made."""

MOST = 100_000  # parts: what has more counts as one that can't be looked into


@dataclass
class Found:
    """What lies in a value.

    Attributes:
        tensors: in order, each once.
        hidden: name of the class of a part that can't be looked into, such as an iterator; empty if there is none.
    """

    tensors: list[Tensor] = field(default_factory=list)
    hidden: str = ""


def look_into(value: Any, *, caches: bool = True) -> Found:
    """Return the tensors in a value; nothing is consumed, called or computed.

    Looked into are containers, objects of any class by their attributes and slots, what functions, methods and
    suspended generators hold.

    Args:
        value: any.
        caches: whether to look into objects of classes whose name ends in "Cache", as those of transformers. They hold
            what a model keeps for its own next call.

    Example:
        >>> from types import SimpleNamespace
        >>> found = look_into({"a": SimpleNamespace(b=[torch.ones(2)])})
        >>> found.tensors, found.hidden
        ([tensor([1., 1.])], '')
        >>> look_into(iter([torch.ones(2)])).hidden
        'list_iterator'
    """
    found = Found()
    for one in walk(value, caches=caches):
        if isinstance(one, Tensor):
            found.tensors.append(one)
        else:
            found.hidden = found.hidden or type(one).__qualname__
    return found


def walk(value: Any, *, caches: bool = True) -> Iterator[Any]:
    """Yield the tensors in a value, and the parts that can't be looked into, in order."""
    waiting, seen = [value], dict[int, Any]()  # which are kept alive, so that no id is used again
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, Tensor):
            yield one
            continue
        try:
            parts = parts_of(one) if caches or not type(one).__name__.endswith("Cache") else []
        except Exception:  # the code of the object's class is not ours
            parts = None
        if parts is None or len(seen) > MOST:
            yield one
        else:
            waiting += reversed(parts)


def parts_of(value: Any) -> list[Any] | None:
    """Return what a value holds; None if that is not known."""
    if isinstance(value, HOLD_NONE):
        return []
    parts = _items(value)
    if isinstance(value, FunctionType):
        return [*(value.__closure__ or ()), *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, GeneratorType | Generator):
        frame = getattr(value, "gi_frame", None)
        return [] if frame is None else list(frame.f_locals.values())
    if isinstance(value, CellType):
        return _contents(value)
    if isinstance(value, Iterator) and parts is None and not _is_plain(value):
        return None
    attributes = attributes_of(value)
    return None if parts is None and attributes is None else [*(parts or []), *(attributes or {}).values()]


def _contents(cell: CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # it is empty
        return []


def _items(value: Any) -> list[Any] | None:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | deque | Set | KeysView | ValuesView):
        return list(value)
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype == object else []
    return [value.func, *value.args, *value.keywords.values()] if isinstance(value, partial) else None


def _is_plain(value: Any) -> bool:
    """Return whether an object's class is written in Python, so that all that it holds lies in its attributes."""
    return all(one.__module__ not in ("builtins", "itertools", "_collections") for one in type(value).__mro__[:-1])


def attributes_of(value: Any) -> dict[str, Any] | None:
    """Return the attributes that an object stores, those in slots included; None if it can have none."""
    slots = [
        f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
        for kind in type(value).__mro__
        for name in _names(vars(kind).get("__slots__", ()))
        if name not in ("__dict__", "__weakref__")
    ]
    stored = getattr(value, "__dict__", None)
    if stored is None and not slots and not any("__slots__" in vars(kind) for kind in type(value).__mro__[:-1]):
        return None
    return dict(stored or {}) | {name: getattr(value, name) for name in slots if hasattr(value, name)}


def _names(slots: Any) -> list[str]:
    return [slots] if isinstance(slots, str) else list(slots)
