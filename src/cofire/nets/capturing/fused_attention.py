"""Attention's fused kernels, which PyTorch takes in eval mode without gradients, and only where nobody watches.

Watched, the same module computes layer by layer: what it puts out differs in the last digits, and by zeros at the
padding. So that watching changes nothing, the module runs once more unwatched, and that output is passed on.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import _get_current_function_mode_stack

from .activation_functions import Follower
from .hooks import Hook

FUSED = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


def fused_modules(model: nn.Module) -> list[nn.Module]:
    """The outermost modules of a model that have such a kernel and no hook of the user in the way."""
    if type(model) in FUSED and all(map(_watches, _hooks(model))):
        return [model]
    return [found for child in model.children() for found in fused_modules(child)]


def unwatched_output(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What one of the `fused_modules` puts out where nobody watches; None if it is the same anyway."""
    if module.training or not torch.backends.mha.get_fastpath_enabled() or torch.is_autocast_enabled():
        return None
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in module.parameters()):
        return None
    if not all(map(_watches, (*_get_current_function_mode_stack(), *_hooks(module)))):
        return None
    with _unwatched(module), torch._C.DisableTorchFunction():
        return module.forward(*args, **kwargs)


def _watches(one: object) -> bool:
    """Whether a hook or a mode is ours; one of the user rules the kernels out itself."""
    return isinstance(one, Hook | Follower)


def _hooks(module: nn.Module) -> Iterator[object]:
    for part in module.modules():
        for kind in _HOOKS:
            yield from getattr(part, kind).values()


@contextmanager
def _unwatched(module: nn.Module) -> Iterator[None]:
    """Without any forward hooks on the module and its parts."""
    saved = [(part, kind, getattr(part, kind)) for part in module.modules() for kind in _HOOKS]
    try:
        for part, kind, hooks in saved:
            setattr(part, kind, type(hooks)())
        yield
    finally:
        for part, kind, hooks in saved:
            setattr(part, kind, hooks)
