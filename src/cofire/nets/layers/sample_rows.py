"""Turn the output of a layer into one row per sample and one column per unit."""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

Copy = Callable[..., Tensor]
"""Copies an activation: (output, unit_axis, *, over=None) -> samples with the units last; see `units_last`."""


def units_last(output: Tensor, unit_axis: int, *, over: Tensor | None = None) -> Tensor:
    """Return a copy with the units on the last axis, outside autograd and inference mode.

    ``over`` is an earlier copy to overwrite if it fits: allocating memory costs more than copying.
    """
    with torch.inference_mode(False), torch.no_grad():
        moved = output.detach().movedim(unit_axis, -1)
        fits = over is not None and (over.shape, over.dtype, over.device) == (moved.shape, moved.dtype, moved.device)
        return over.copy_(moved) if over is not None and fits else moved.clone(memory_format=torch.contiguous_format)


def rows(samples: Tensor) -> Tensor:
    """Reshape (..., n_units) to (n_samples, n_units); a single vector is one sample."""
    return samples.reshape(prod(samples.shape[:-1]), samples.shape[-1])
