"""Padding masks: which samples of a batch count."""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, nn

from ..layer_names import near

Mask = Tensor | str | Callable[[tuple[Any, ...], Mapping[str, Any]], Tensor | None]
"""A tensor, the name of an argument of the model's forward, or a callable (args, kwargs)."""

ReadMask = Callable[[tuple[Any, ...], Mapping[str, Any]], Tensor | None]


def reader(mask: Mask, model: nn.Module) -> ReadMask:
    """Return a function of the model's arguments that gives the mask, True for keep, however the mask was given.

    Raises:
        ValueError: if it is neither a tensor, nor an argument of the model, nor callable.
    """
    if isinstance(mask, Tensor):
        kept = _as_bool(mask)
        return lambda args, kwargs: kept
    if isinstance(mask, str):
        return _argument(mask, model)
    if callable(mask):
        return lambda args, kwargs: _as_bool(mask(args, kwargs))
    raise ValueError(
        "a mask must be a tensor, the name of an argument or a callable (args, kwargs) -> tensor; "
        f"got {type(mask).__name__}"
    )


def mask_of_tokens(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Return the mask that a tokenizer makes: ``attention_mask``, if it lies beside ``input_ids`` of its shape.

    A mask of sounds counts what the model's first layers see, not what its later ones put out.
    """
    mask, ids = kwargs.get("attention_mask"), kwargs.get("input_ids")
    if not (isinstance(mask, Tensor) and isinstance(ids, Tensor)) or mask.is_floating_point():
        return None
    return mask if mask.shape == ids.shape else None


def _as_bool(mask: Tensor | None) -> Tensor | None:
    if mask is None:
        return None
    # Floating-point masks are refused: 0 means keep where they are added to attention's scores, and drop elsewhere.
    if not isinstance(mask, Tensor) or mask.is_floating_point() or mask.is_complex():
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(
            f"a mask must be a bool or integer tensor, True for keep; got {got}: write mask > 0 or mask == 0"
        )
    return mask.bool()


def _argument(name: str, model: nn.Module) -> ReadMask:
    parameters = signature(model.forward).parameters
    takes_any = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    if name not in parameters and not takes_any:
        raise ValueError(f"the model's forward has no argument {name!r}; {near(name, list(parameters))}")
    position = list(parameters).index(name) if name in parameters else None
    ignores = name.endswith("padding_mask")  # PyTorch's key_padding_mask and its like are True for ignore

    def read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
        given = kwargs.get(name, args[position] if position is not None and position < len(args) else None)
        return given == 0 if ignores and given is not None else _as_bool(given)

    return read


def keep(samples: Tensor, mask: Tensor, *, time_first: bool) -> Tensor | None:
    """Return which samples of (*sample_shape, n_units) count; None if the mask does not fit.

    The mask is (batch, time). Samples of shape (batch,) all count, as no padding is left in them. Samples of shape
    (batch * time,) follow the mask's order; (batch, time, ...) repeat it. A sequence cut to its longest sample
    (``pad_packed_sequence``) takes the beginning of the mask if only padding is cut away.
    """
    shape = samples.shape[:-1]
    if shape in ((), mask.shape[:1]) and mask.ndim > 1:
        return torch.ones(shape, dtype=torch.bool, device=samples.device)
    if mask.ndim > 1 and shape == (mask.numel(),):
        return mask.flatten().to(samples.device)
    if mask.ndim > 1 and time_first:
        mask = mask.transpose(0, 1)
    mask = _cut(mask, shape, time_axis=0 if time_first else 1)
    if shape[: mask.ndim] != mask.shape:
        return None
    return mask.reshape(*mask.shape, *(1,) * (len(shape) - mask.ndim)).expand(shape).to(samples.device)


def _cut(mask: Tensor, shape: tuple[int, ...], *, time_axis: int) -> Tensor:
    if mask.ndim < 2 or len(shape) < 2 or shape[time_axis] >= mask.shape[time_axis]:
        return mask
    beyond = mask.narrow(time_axis, shape[time_axis], mask.shape[time_axis] - shape[time_axis])
    return mask if bool(beyond.any()) else mask.narrow(time_axis, 0, shape[time_axis])


def is_time_first(module: nn.Module, model: nn.Module, *, shape: tuple[int, ...], mask: Tensor) -> bool:
    """Return whether a layer's output is (time, batch, ...) rather than (batch, time, ...).

    The layer's own ``batch_first`` decides; without one, the shapes. If batch and time are equally long, the shapes
    say nothing: then the output is time first if every layer of the model with a ``batch_first`` has it False.
    """
    own = _batch_first(module)
    if own is not None:
        return not own and len(shape) > 1
    if mask.ndim < 2 or shape[:2] != (mask.shape[1], mask.shape[0]):
        return False
    return mask.shape[0] != mask.shape[1] or {_batch_first(one) for one in model.modules()} - {None} == {False}


def _batch_first(module: nn.Module) -> bool | None:
    if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
        return module.self_attn.batch_first
    return module.batch_first if isinstance(module, nn.RNNBase | nn.MultiheadAttention) else None
