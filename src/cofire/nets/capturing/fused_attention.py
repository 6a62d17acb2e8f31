"""The fused kernels of attention, which PyTorch uses in eval mode without gradients, unless the module has hooks.

With hooks the same module computes layer by layer: its output differs in the last digits, and by zeros at the padding.
So that capturing changes nothing, the module runs once more without hooks, and the model continues with that output.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..torch_private import forward_hooks, function_modes, without_forward_hooks, without_torch_functions
from .activation_functions import Follower
from .hooks import Hook

# Exactly these types: a subclass may override forward, and with it the choice of kernel.
FUSED = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)


def fused_modules(model: nn.Module) -> list[nn.Module]:
    """Return the outermost modules of a model that have a fused kernel and no hook of the user."""
    if type(model) in FUSED and all(map(_is_ours, _hooks_inside(model))):
        return [model]
    return [found for child in model.children() for found in fused_modules(child)]


def fused_output(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: object) -> Any:
    """Return the output of one of the `fused_modules` as if nothing were captured; None if ``output`` is that.

    This is a forward hook: torch replaces the module's output by what it returns, unless that is None.

    The conditions are those under which PyTorch itself would use the fused kernel.
    """
    if module.training or not torch.backends.mha.get_fastpath_enabled() or torch.is_autocast_enabled():
        return None
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in module.parameters()):
        return None
    # A hook or function mode of the user rules the fused kernel out by itself.
    if not all(map(_is_ours, (*function_modes(), *_hooks_inside(module)))):
        return None
    with without_forward_hooks(*module.modules()), without_torch_functions():
        return module.forward(*args, **kwargs)


def _is_ours(watcher: object) -> bool:
    return isinstance(watcher, Hook | Follower)


def _hooks_inside(module: nn.Module) -> list[Any]:
    return [hook for part in module.modules() for hook in forward_hooks(part)]
