"""Batches that are made when they are needed: from a list of files, texts or rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..batches import BATCH

NUMBERS = 1 << 22
"""A batch holds about so many numbers at most, unless a size was asked for: 27 images of 224 x 224, 16 MiB."""


class InParts:
    """Batches of items that are read and prepared anew in every pass.

    Of more items than are wanted, evenly spaced ones are taken: files sorted by class would else be of one class.

    Args:
        items: what is read, in order.
        make: items → a batch.
        most: how many items at most.
        size: items in a batch; by default as many as hold about four million numbers, at most 512.

    Example:
        >>> import torch
        >>> list(InParts([1, 2, 3, 4, 5], torch.tensor, most=3, size=2))
        [tensor([1, 3]), tensor([5])]
    """

    def __init__(self, items: Sequence[Any], make: Callable[[Sequence[Any]], Any], *, most: int, size: int | None):
        n = min(most, len(items))
        self._items = [items[index * (len(items) - 1) // max(1, n - 1)] for index in range(n)]
        self._make, self._size = make, size

    def __iter__(self) -> Iterator[Any]:
        size = self._size_found()
        for start in range(0, len(self._items), size):
            yield self._make(self._items[start : start + size])

    def __len__(self) -> int:
        return -(-len(self._items) // self._size_found())

    def _size_found(self) -> int:
        if self._size is None:
            self._size = size_for(_numbers(self._make(self._items[:1])))
        return self._size


def size_for(numbers: int) -> int:
    """Return how many inputs of so many numbers each make a batch."""
    return max(1, min(BATCH, NUMBERS // max(1, numbers)))


def _numbers(batch: Any) -> int:
    if isinstance(batch, Tensor):
        return batch.numel()
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, list | tuple) else ()
    return sum(map(_numbers, parts))
