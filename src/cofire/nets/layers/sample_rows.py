"""Turn the output of a layer into one row per sample and one column per unit."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ...stats._base.wording import with_article
from ..torch_private import in_vmap

Copy = Callable[..., Tensor]
"""Copies an activation: (output, unit_axis, *, over=None) -> samples with the units last; see `units_last`."""


def first_floating(output: object) -> Tensor | None:
    """Return the first real floating-point tensor with an axis, however deep in tuples, dicts and dataclasses.

    Example:
        >>> first_floating({"ids": torch.tensor([1]), "hidden": (torch.ones(2, 3), None)}).shape
        torch.Size([2, 3])
    """
    if isinstance(output, Tensor):
        plain = not (output.is_nested or output.is_sparse or in_vmap(output))
        return output if plain and output.is_floating_point() and output.ndim > 0 else None
    return next((found for part in _parts(output) if (found := first_floating(part)) is not None), None)


def _parts(output: object) -> Iterable[object]:
    if isinstance(output, Mapping):
        return output.values()
    if is_dataclass(output) and not isinstance(output, type):
        return [getattr(output, one.name) for one in fields(output)]
    return output if isinstance(output, list | tuple) else ()


def is_packed(output: object) -> bool:
    """Return whether a recurrent layer's output is a packed sequence, which holds no padding."""
    return isinstance(output, PackedSequence) or (isinstance(output, tuple) and any(map(is_packed, output[:1])))


def describe(output: object) -> str:
    """Describe what was returned instead of a floating-point tensor, for a reason or an error."""
    if isinstance(output, Tensor):
        if in_vmap(output):
            return "one of many that torch.func.vmap computes at once; call the model on a batch instead"
        layout = "nested" if output.is_nested else "sparse" if output.is_sparse else f"of shape {tuple(output.shape)}"
        return f"a {output.dtype} tensor, {layout}"
    return f"{with_article(type(output).__name__)} without one"


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
