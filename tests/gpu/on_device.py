"""A watch over what leaves the device, and all numbers of a result."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

FEW = 4096  # elements that may come to the host: sums, counts and places, not samples


class StaysOnDevice(TorchDispatchMode):
    """Refuses to copy more than `FEW` elements at a time from the device to the host."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        sources = [one for one in args if isinstance(one, Tensor)]
        if (
            isinstance(out, Tensor)
            and out.device.type == "cpu"
            and out.numel() > FEW
            and any(one.is_cuda and one.numel() > FEW for one in sources)
        ):
            raise AssertionError(f"{func} copied {out.numel()} elements to the host")
        return out


@contextmanager
def stays_on_device() -> Iterator[None]:
    with StaysOnDevice():
        yield


def numbers(value: Any) -> list[Tensor]:
    """All numbers of a result, whatever holds them."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, bool | int | float):
        return [torch.tensor(float(value), dtype=torch.float64)]
    if is_dataclass(value):
        return [number for field in fields(value) for number in numbers(getattr(value, field.name))]
    if isinstance(value, dict):
        return [number for key in value for number in numbers(value[key])]
    if isinstance(value, tuple | list):
        return [number for part in value for number in numbers(part)]
    return []
