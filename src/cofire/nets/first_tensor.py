"""Find the tensor in what a module returns: the first real floating-point one, however deep."""

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ..stats._base.wording import with_article
from .tensors_in import walk
from .torch_private import in_vmap


def first_floating(output: object) -> Tensor | None:
    """Return the first real floating-point tensor with an axis, however deep in containers and objects.

    Example:
        >>> import torch
        >>> first_floating({"ids": torch.tensor([1]), "hidden": (torch.ones(2, 3), None)}).shape
        torch.Size([2, 3])
    """
    return next((one for one in walk(output, caches=False) if isinstance(one, Tensor) and _is_plain(one)), None)


def _is_plain(tensor: Tensor) -> bool:
    odd = tensor.is_nested or tensor.is_sparse or in_vmap(tensor)
    return not odd and tensor.is_floating_point() and tensor.ndim > 0


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
