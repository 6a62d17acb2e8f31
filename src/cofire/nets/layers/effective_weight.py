"""The value of a parameter as its module computes with it, read without changing anything."""

import copy
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from ..torch_private import ALL_HOOKS, cached_parametrization, forward_hooks
from ..wiring.fake_copy import random_states_kept
from .quantized import dequantized


def effective_weight(module: nn.Module, name: str) -> Tensor | None:
    """Return the value that a module's next forward pass uses for a parameter; None if it has no such tensor.

    A plain parameter is returned itself, one that FSDP2 has sharded over processes in one piece: then all processes
    must call this. A quantized one is returned as the numbers that it stands for; None if they are not known. A
    property that leads to a parameter of another module inside, as LoRA's layers have it, counts there, not here.

    What is computed anew at each use is computed here in the same way, with its gradient: that is the case for
    parametrizations, and for ``weight_norm``, ``spectral_norm`` and pruning of ``torch.nn.utils``. The latter also
    leave a tensor at the module, but it may be older than the last step of the optimizer, so it is not read. Inside
    ``parametrize.cached()`` the cached value is returned if there is one.

    The computation runs on a copy. Whatever it changes of buffers, attributes and random states is undone, such as a
    step of spectral norm's power iteration, and a random parametrization draws what the next forward pass will draw.
    Hooks on a parametrization don't run. What it changes outside of itself, such as a global variable, stays.

    Raises:
        ValueError: if the parameter is lazy and has no value yet.

    Example:
        >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3))
        >>> before = layer.parametrizations.weight[0]._u.clone()
        >>> weight = effective_weight(layer, "weight")
        >>> torch.equal(layer.parametrizations.weight[0]._u, before), torch.equal(layer.weight, weight)
        (True, True)
    """
    parameters = dict(module.named_parameters(recurse=False, remove_duplicate=False))
    if isinstance(parameters.get(name), UninitializedParameter):
        raise ValueError(
            f"{name!r} of this {type(module).__name__} has no value before its first run; run the model on a batch"
        )
    value = parameters[name] if name in parameters else _no_parameter(module, name)
    return dequantized(module, whole(value)) if isinstance(value, Tensor) else None


def _no_parameter(module: nn.Module, name: str) -> Any:
    """Return the value of what a module uses as a parameter, but computes or gets from elsewhere."""
    if is_parametrized(module, name):
        cached = cached_parametrization(module, name)
        return _computed(module, name) if cached is None else cached
    if _hooks(module):
        return _computed(module, name)
    kept = {**vars(module), **dict(module.named_buffers(recurse=False, remove_duplicate=False))}
    if name in kept:
        value = kept[name]
        freed = type(value) is Tensor and value.layout == torch.strided and not value.untyped_storage().size()
        return None if freed else value  # FSDP 1 frees the memory of views of its parameter between passes
    with random_states_kept(module):  # a property of the user's class
        value = getattr(module, name, None)
    return None if any(value is one for one in module.parameters()) else value


def whole(weight: Tensor) -> Tensor:
    """Return a weight that FSDP2 has sharded over processes in one piece, with its gradient; others unchanged.

    All processes must call it.
    """
    full = getattr(weight, "full_tensor", None)
    return weight if full is None else full()


def _computed(module: nn.Module, name: str) -> Any:
    """Return what a copy of the module computes for a parameter."""
    made = _Copies().of(module)
    with random_states_kept(module):
        for hook in _hooks(made):
            hook(made, ())
        if is_parametrized(made, name):
            return cast(nn.ModuleDict, made.parametrizations)[name]()
        return getattr(made, name, None)


def _hooks(module: nn.Module) -> list[Any]:
    """Return the hooks that compute the module's parameters before each forward."""
    return [hook for hook in forward_hooks(module) if isinstance(hook, WeightNorm | SpectralNorm | BasePruningMethod)]


class _Copies:
    """Copies a module with the modules inside it, so that using the copy changes nothing of the original.

    Tensors are cloned with their gradient. ``copy.deepcopy`` would cut the gradient of parameters, refuse tensors that
    were computed, and follow references to other models.
    """

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}
        self._inside: set[int] = set()

    def of(self, module: nn.Module) -> nn.Module:
        """Return a copy of a module."""
        self._inside = {id(one) for one in module.modules()}
        return self._copied(module)

    def _copied(self, value: Any) -> Any:
        if id(value) not in self._made:
            self._made[id(value)] = value  # for what holds itself
            self._made[id(value)] = self._new(value)
        return self._made[id(value)]

    def _new(self, value: Any) -> Any:
        if isinstance(value, nn.Module):
            return self._new_module(value) if id(value) in self._inside else value
        if isinstance(value, Tensor):
            return value if isinstance(value, UninitializedParameter) else whole(value).clone()
        if isinstance(value, torch.Generator):
            return value.clone_state()
        if isinstance(value, tuple):
            made = map(self._copied, value)
            return cast(Any, value)._make(made) if hasattr(value, "_make") else tuple(made)
        if isinstance(value, MethodType):
            return MethodType(value.__func__, self._copied(value.__self__))
        return self._new_object(value)

    def _new_module(self, module: nn.Module) -> nn.Module:
        made = self._made[id(module)] = object.__new__(type(module))  # FSDP2's classes make others in __new__
        state = {key: self._copied(value) for key, value in vars(module).items() if key not in ALL_HOOKS}
        hooks = {key: type(hooks)() for key, hooks in vars(module).items() if key in ALL_HOOKS}
        vars(made).update(state, **hooks)
        for hook in _hooks(module):
            made.register_forward_pre_hook(hook)
        return made

    def _new_object(self, value: Any) -> Any:
        try:
            made = self._made[id(value)] = copy.copy(value)
            if made is value:  # it can't change, like a number or a function
                return value
            if isinstance(value, list):
                made[:] = map(self._copied, value)
            elif isinstance(value, dict):
                made.update((key, self._copied(one)) for key, one in value.items())
            elif hasattr(value, "__dict__"):
                vars(made).update({key: self._copied(one) for key, one in vars(value).items()})
            elif not isinstance(value, set):
                return copy.deepcopy(value)  # such as a generator of numpy's
        except Exception:  # the user's object can't be copied; then it is shared
            return value
        return made
