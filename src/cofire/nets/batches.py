"""Running a model over data: batches of a tensor, or those of a loader."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

BATCH = 512


def as_batches(data: Any) -> Iterable[Any]:
    """A tensor of inputs cut into batches; a collection of batches as it is.

    Raises:
        ValueError: if it is neither, is empty, or can be gone through only once.

    Example:
        >>> [len(batch) for batch in as_batches(torch.zeros(1000, 3))]
        [512, 488]
    """
    if isinstance(data, Tensor):
        if data.ndim == 0 or not len(data):
            raise ValueError(f"the data must hold samples, got a tensor of shape {tuple(data.shape)}")
        return data.split(BATCH)
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
        raise ValueError(f"data is a tensor of inputs or a collection of batches, got {type(data).__qualname__}")
    if iter(data) is data:
        raise ValueError("the data can be gone through only once; pass a loader, or a list of its batches")
    return data


def forward(model: nn.Module, batch: Any) -> Any:
    """The model's output for a batch: a tensor, a tuple of which the first is the input, or keyword inputs."""
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    if isinstance(batch, Mapping):
        return model(**{name: _on(device, value) for name, value in batch.items()})
    return model(_on(device, batch[0] if isinstance(batch, list | tuple) else batch))


def _on(device: torch.device, value: Any) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value
