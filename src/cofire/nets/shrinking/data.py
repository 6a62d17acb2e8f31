"""Divide data into samples to fit, to choose by, and to report on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..loading.batches import as_batches, batch_length

LEAST_BATCHES = 10
"""Data come in at least so many batches, where there are as many samples: some of them choose the ridges."""


def in_memory(data: Any) -> list[Any]:
    """Return all batches, cut so that there are at least ten.

    Raises:
        ValueError: for data that cannot be used.
    """
    batches = list(as_batches(data))
    n = sum(map(batch_length, batches))
    if not n:
        raise ValueError("the data hold no sample")
    if len(batches) >= LEAST_BATCHES:
        return batches
    size = max(1, n // LEAST_BATCHES)
    return [part for batch in batches for part in _chunks(batch, size)]


def _chunks(batch: Any, size: int) -> list[Any]:
    n = batch_length(batch)
    return [picked(batch, torch.arange(start, min(n, start + size))) for start in range(0, n, size)]


def divided(batches: Sequence[Any], *, of: int, at: int = 0) -> tuple[list[Any], list[Any]]:
    """Return the samples whose number leaves the rest ``at`` when divided by ``of``, and the others.

    Samples are dealt out in turn, so that data sorted by class, say, are divided evenly.

    Example:
        >>> first, others = divided([torch.arange(4), torch.arange(4, 7)], of=3)
        >>> torch.cat(first).tolist(), torch.cat(others).tolist()
        ([0, 3, 6], [1, 2, 4, 5])
    """
    first, others, before = [], [], 0
    for batch in batches:
        number = torch.arange(before, before + batch_length(batch))
        mine = number % of == at
        for chosen, into in ((mine, first), (~mine, others)):
            if bool(chosen.any()):
                into.append(picked(batch, chosen.nonzero()[:, 0]))
        before += len(number)
    return first, others


def picked(batch: Any, indices: Tensor) -> Any:
    """Return some samples of a batch; tensors of another length, such as class weights, stay as they are."""
    n = batch_length(batch)

    def pick(part: Any) -> Any:
        if isinstance(part, Tensor):
            return part[indices.to(part.device)] if part.ndim and len(part) == n else part
        if isinstance(part, Mapping):
            return {name: pick(value) for name, value in part.items()}
        return type(part)(map(pick, part)) if type(part) in (list, tuple) else part

    return pick(batch)


def n_samples(batches: Iterable[Any]) -> int:
    """Return how many samples batches hold."""
    return sum(map(batch_length, batches))
