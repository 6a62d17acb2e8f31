"""Run a model on data: batches cut from a tensor, or those of a loader."""

from collections.abc import Iterable, Iterator, Mapping
from operator import length_hint
from traceback import walk_tb
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...stats._base.wording import with_article

BATCH = 512


def as_batches(data: Any) -> Iterable[Any]:
    """Return a tensor or array of inputs cut into batches; a collection of batches as it is.

    Raises:
        ValueError: if it is neither, is empty, or can be iterated over only once.

    Example:
        >>> [len(batch) for batch in as_batches(torch.zeros(1000, 3))]
        [512, 488]
    """
    if isinstance(data, np.ndarray):
        data = torch.from_numpy(data)
    if isinstance(data, Tensor):
        if data.ndim == 0 or not len(data):
            raise ValueError(f"the data must hold samples, got a tensor of shape {tuple(data.shape)}")
        return data.split(BATCH)
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
        raise ValueError(f"data must be a tensor of inputs or a collection of batches, got {type(data).__qualname__}")
    # Checked by type: calling iter() on a loader to see whether it returns itself would draw random numbers.
    if isinstance(data, Iterator):
        raise ValueError("the data can be iterated over only once; pass a loader, or a list of its batches")
    return data


def arguments(model: nn.Module, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments to call a model with, on its device: copies, since a model may change what it is given.

    A tensor is the input, the first element of a tuple or list likewise; a mapping holds keyword arguments.
    """
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    if isinstance(batch, Mapping):
        return (), {name: _on(device, value) for name, value in batch.items()}
    return (_on(device, batch[0] if isinstance(batch, list | tuple) else batch),), {}


def forward(model: nn.Module, batch: Any) -> Any:
    """Return the model's output for a batch, see :func:`arguments`.

    Raises:
        ValueError: if the model cannot take the batch, as torch finds. What the model's own code raises passes through.
    """
    args, kwargs = arguments(model, batch)
    try:
        return model(*args, **kwargs)
    except (RuntimeError, TypeError, IndexError) as error:
        if not _by_torch(error):
            raise
        first = batch[0] if isinstance(batch, list | tuple) and batch else batch
        what = f"a batch that is {with_article(type(batch).__name__)}"
        if isinstance(first, Tensor):
            what = f"a batch of shape {tuple(first.shape)}, {str(first.dtype).removeprefix('torch.')}"
        reason = str(error).strip().split("\n")[0]
        if isinstance(error, TypeError) and isinstance(batch, list | tuple):
            reason += (
                "; of a tuple the first element is the input: give several as a dict, by the names of the arguments"
            )
        raise ValueError(f"the model cannot take {what}: {reason}") from error


def _by_torch(error: Exception) -> bool:
    """Return whether torch raised an error, in one of its layers or as it called the model."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith("torch.")


def _on(device: torch.device, value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, copy=True)
    if type(value) in (list, tuple):
        return type(value)(_on(device, one) for one in value)
    return {name: _on(device, one) for name, one in value.items()} if type(value) is dict else value


class FirstSamples:
    """The first samples of a collection of batches, with the last batch cut to fit; every pass starts anew.

    Args:
        batches: tensors, tuples whose first element is the input, or keyword inputs.
        n_samples: how many samples, at least 1.

    Example:
        >>> [len(batch) for batch in FirstSamples(torch.zeros(1000, 3).split(400), n_samples=500)]
        [400, 100]
    """

    def __init__(self, batches: Iterable[Any], *, n_samples: int) -> None:
        self._batches, self._n_samples = batches, n_samples
        self._longest = 1  # batch so far, which tells how many make up the samples

    def __length_hint__(self) -> int:
        return min(length_hint(self._batches), -(-self._n_samples // self._longest))

    def __iter__(self) -> Iterator[Any]:
        left = self._n_samples
        for batch in self._batches:
            length = batch_length(batch)
            self._longest = max(self._longest, length)
            yield batch if length <= left else _cut(batch, length, left)
            left -= length
            if left <= 0:
                return


def batch_length(batch: Any) -> int:
    """Return how many samples a batch holds, which is the length of the first tensor in it.

    Raises:
        ValueError: if there is no tensor with an axis.
    """
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, list | tuple) else (batch,)
    first = next((part for part in parts if isinstance(part, Tensor) and part.ndim), None)
    if first is None:
        raise ValueError(f"a batch must be a tensor, or a tuple or mapping of tensors; got {type(batch).__qualname__}")
    return len(first)


def _cut(batch: Any, length: int, kept: int) -> Any:
    if isinstance(batch, Mapping):
        return {name: _cut(part, length, kept) for name, part in batch.items()}
    if isinstance(batch, list | tuple):
        return [_cut(part, length, kept) for part in batch]
    # Tensors of another length, such as class weights, are not per sample.
    return batch[:kept] if isinstance(batch, Tensor) and batch.ndim and len(batch) == length else batch
