"""The fused kernels of attention, which PyTorch uses in eval mode without gradients, unless the module has hooks.

With hooks the same module computes layer by layer: its output differs in the last digits, and by zeros at the padding.
So that capturing changes nothing, the module runs once more without hooks, and the model continues with that output.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..torch_private import forward_hooks, function_modes, without_forward_hooks, without_torch_functions
from .hooks import Hook

# Exactly these types: a subclass may override forward, and with it the choice of kernel.
FUSED = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)


def fused_modules(model: nn.Module) -> list[nn.Module]:
    """Return the outermost modules of a model that have a fused kernel and no hook of the user."""
    if type(model) in FUSED and all(map(_is_ours, _hooks_inside(model))):
        return [model]
    return [found for child in model.children() for found in fused_modules(child)]


class Fused:
    """Lets fused modules compute layer by layer while they are watched, and gives the output of the fused kernel."""

    def __init__(self) -> None:
        self._off: list[nn.Module] = []

    def begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Switch the fused kernels off, before one of the `fused_modules` runs that would use them.

        The hooks alone don't: an encoder would still pass nested tensors to its layers.
        """
        if _is_fused(module):
            self._off.append(module)
            torch.backends.mha.set_fastpath_enabled(False)

    def output(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: object) -> Any:
        """Return the output of one of the `fused_modules` as if nothing were captured; None if ``output`` is that.

        This is a forward hook: torch replaces the module's output by what it returns, unless that is None.
        """
        if module not in self._off:
            return None
        self.restore()
        with without_forward_hooks(*module.modules()), without_torch_functions():
            return module.forward(*args, **kwargs)

    def restore(self) -> None:
        """Switch the fused kernels on again, if they were switched off here."""
        if self._off:
            self._off.clear()
            torch.backends.mha.set_fastpath_enabled(True)


def _is_fused(module: nn.Module) -> bool:
    """Return whether a module would use its fused kernel without our hooks, by the conditions of PyTorch itself."""
    if module.training or not torch.backends.mha.get_fastpath_enabled() or torch.is_autocast_enabled():
        return False
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in module.parameters()):
        return False
    # A hook or function mode of the user rules the fused kernel out by itself.
    return all(map(_is_ours, (*function_modes(), *_hooks_inside(module))))


def _is_ours(watcher: object) -> bool:
    return isinstance(watcher, Hook)


def _hooks_inside(module: nn.Module) -> list[Any]:
    return [hook for part in module.modules() for hook in forward_hooks(part)]
