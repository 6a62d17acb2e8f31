"""Copies of networks that share nothing with the original, and what shares memory within one."""

from copy import deepcopy
from itertools import pairwise

from torch import Tensor, nn


def copied(model: nn.Module) -> nn.Module:
    """Return a copy that shares nothing with the model.

    Tensors that a hook has computed from parameters, as ``weight_norm`` and ``torch.nn.utils.prune`` do, are detached:
    torch cannot copy them, and the hook computes them again.
    """
    return deepcopy(model, computed(model))


def computed(model: nn.Module) -> dict[int, Tensor]:
    """Return copies of the tensors that hooks have computed from parameters, by the id of each."""
    held = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return {id(tensor): tensor.detach().clone() for tensor in held if not tensor.is_leaf}


def memory_shared(model: nn.Module) -> frozenset[str]:
    """Return the names of parameters whose memory overlaps that of others, as a transposed view of another does."""
    places = sorted((*_memory(one), name) for name, one in model.named_parameters())
    pairs = [(a, b) for (_, end, a), (start, stop, b) in pairwise(places) if start < end and stop]
    return frozenset(name for pair in pairs for name in pair)


def _memory(parameter: Tensor) -> tuple[int, int]:
    start = 0 if nn.parameter.is_lazy(parameter) else parameter.data_ptr()
    return start, start + parameter.nbytes if start else 0
