"""Find the tensor in what a module returns: the first real floating-point one, however deep."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ..stats._base.wording import with_article
from .torch_private import in_vmap


def first_floating(output: object) -> Tensor | None:
    """Return the first real floating-point tensor with an axis, however deep in tuples, dicts and dataclasses.

    Example:
        >>> import torch
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
