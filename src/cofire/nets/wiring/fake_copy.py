"""A copy of a model with fake parameters: it runs in no memory, and nothing of it touches the original."""

import copy
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ReferenceType

import torch
from torch import Tensor, nn

from ..torch_private import ALL_HOOKS, FakeTensor, FakeTensorMode, tree_leaves, tree_map


class LeakedError(RuntimeError):
    """A fake tensor outlived the run, held by something of the user's that could not be cleared."""


def fake_copy(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """Return a copy of a model whose tensors are fake; users' hooks are left off.

    Hooks of ``torch.nn.utils`` stay: old weight and spectral norm compute the weight there.
    """
    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensor in tree_leaves(list(vars(module).values())):
            if isinstance(tensor, Tensor) and id(tensor) not in memo:
                memo[id(tensor)] = _fake(tensor, mode)
    made = copy.deepcopy(model, memo)
    for module in made.modules():
        for kind in ALL_HOOKS:
            hooks = getattr(module, kind)
            for key in [key for key, hook in hooks.items() if not type(hook).__module__.startswith("torch.nn.utils")]:
                del hooks[key]
    return made


def _fake(tensor: Tensor, mode: FakeTensorMode) -> Tensor:
    made = tensor if isinstance(tensor, FakeTensor) else mode.from_tensor(tensor.detach(), static_shapes=True)
    return nn.Parameter(made, requires_grad=False) if isinstance(tensor, nn.Parameter) else made


def fake_arguments(arguments: Any, mode: FakeTensorMode) -> Any:
    """Return the arguments of a model with fake tensors in place of real ones."""
    return tree_map(lambda one: _fake(one, mode) if isinstance(one, Tensor) else one, arguments)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put back, after a block, random states, torch's switches and small buffers that were counted up.

    Fused kernels hide what they are made of, so they are switched off for the block.
    """
    # A copied model can reach its original through a closure. Fake mode computes on fakes then, but counters such as
    # ``num_batches_tracked`` are changed in place.
    counters = [(one, one.detach().clone()) for one in model.buffers() if one.numel() == 1 and not one.is_meta]
    fast, mkldnn = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        torch.backends.mkldnn.enabled = False
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.backends.mkldnn.enabled = mkldnn
        with torch.no_grad():
            for one, before in counters:
                if not torch.equal(one, before):
                    one.copy_(before)


def clear_leaks(made: list[ReferenceType[Tensor]]) -> None:
    """Clear the caches of the user's code that hold fake tensors, so that no later pass gets one.

    ``functools`` caches are emptied; keys of dicts and items of lists that hold one are taken away.

    Raises:
        LeakedError: if one is held in another way.
    """
    gc.collect()
    for reference in made:
        _release(reference)
    gc.collect()
    if left := sum(isinstance(reference(), FakeTensor) for reference in made):
        raise LeakedError(f"{left} fake tensors are still held by the model's code")


def _release(reference: ReferenceType[Tensor]) -> None:
    tensor = reference()
    if not isinstance(tensor, FakeTensor):
        return
    for holder in gc.get_referrers(tensor):
        if hasattr(holder, "cache_clear"):
            holder.cache_clear()
        elif isinstance(holder, dict):
            for key in [key for key, value in holder.items() if value is tensor]:
                del holder[key]
        elif isinstance(holder, list):
            holder[:] = [one for one in holder if one is not tensor]
