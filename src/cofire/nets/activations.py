"""Which activation function is applied to a layer's output: followed at run time, from tensor to tensor."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode
from torch.utils._device import DeviceContext
from torch.utils.weak import WeakIdKeyDictionary

Applied = Callable[[Tensor], None]
"""Called with the activation's output, once."""

_Geometry = tuple[int | torch.SymInt, tuple[int, ...], tuple[int, ...]]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ACTIVATIONS = _names("""
    celu clamp clamp_min clip cos elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu
    log_sigmoid log_softmax logsigmoid mish prelu relu relu6 rrelu selu sigmoid silu sin softmax softmin
    softplus softshrink softsign special_expit special_log_softmax special_softmax tanh tanhshrink threshold
""")
"""Names of torch functions that are activation functions, less the underscore of the in-place ones."""

PASSED_THROUGH = _names("""
    batch_norm instance_norm group_norm layer_norm rms_norm local_response_norm
    dropout alpha_dropout feature_dropout feature_alpha_dropout dropout1d dropout2d dropout3d
    max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d lp_pool1d lp_pool2d lp_pool3d
    contiguous to float half bfloat16 double clone
""")
"""Normalization, dropout, pooling and casts keep a unit that unit: what acts behind them acts on it."""

_IN_PLACE_OPERATORS = _names("""
    __setitem__ __iadd__ __isub__ __imul__ __itruediv__ __idiv__ __ifloordiv__ __imod__ __ipow__ __iand__ __ior__
""")
_CHANNELS = {f"conv{kind}{d}d": -(d + 1) for d in (1, 2, 3) for kind in ("", "_transpose")}
_NORMS_OF_CHANNELS = _names("batch_norm instance_norm group_norm")
_MOVES_AXES = _names("""
    linear bilinear matmul __matmul__ __rmatmul__ mm bmm einsum addmm baddbmm embedding
    lstm gru rnn_tanh rnn_relu
    scaled_dot_product_attention multi_head_attention_forward transpose permute movedim swapaxes swapdims
    view reshape flatten unflatten t T mT
""")
"""After these the last axis holds the units again, as far as can be told."""


class Follower(TorchFunctionMode):
    """Sees every torch function that runs; calls back when an activation takes a followed tensor.

    A tensor is known again by its memory, so that the views that backward hooks make do not hide it. One
    that is changed in place by anything but an activation is no longer the layer's output: it is followed no
    more.
    """

    def __init__(self, *, tracks_axes: bool) -> None:
        self._followed = WeakIdKeyDictionary()
        self._unit_axes: WeakIdKeyDictionary | None = WeakIdKeyDictionary() if tracks_axes else None
        self._suspended = 0

    def join(self) -> None:
        """Put itself on the stack of modes, unless it is there.

        Below the contexts that are open, so that these end as they began, and above torch's default device,
        which insists on the lowest place.
        """
        if not self._on_the_stack:
            modes = [_pop_mode() for _ in _get_current_function_mode_stack()]
            others = [mode for mode in modes if not isinstance(mode, DeviceContext)]
            lowest = [mode for mode in modes if isinstance(mode, DeviceContext)]
            for mode in (*lowest, self, *reversed(others)):
                _push_mode(mode)

    def rest(self) -> None:
        """Leave until there is something to follow again; where axes are tracked it stays, to miss no function."""
        if self._unit_axes is None:
            self.leave()

    def leave(self) -> None:
        """Take itself off the stack of modes, from wherever in it."""
        if not self._on_the_stack:
            return
        above = []
        while (mode := _pop_mode()) is not self:
            above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)

    @property
    def _on_the_stack(self) -> bool:
        return any(mode is self for mode in _get_current_function_mode_stack())

    def clear(self) -> None:
        """Forget all tensors."""
        self._followed.clear()
        self._suspended = 0

    def follow(self, tensor: Tensor, applied: Iterable[Applied]) -> None:
        """Call ``applied`` with the output of the first activation function that takes this tensor."""
        here = self._followers(tensor).setdefault(_geometry(tensor), [])
        here.extend(one for one in applied if one not in here)

    def claimed(self, tensor: Tensor) -> list[Applied]:
        """Those who follow the tensor, taken off it."""
        return self._followers(tensor).pop(_geometry(tensor), [])

    def _followers(self, tensor: Tensor) -> dict[_Geometry, list[Applied]]:
        memory = tensor if tensor._base is None else tensor._base
        if memory not in self._followed:
            self._followed[memory] = {}
        return self._followed[memory]

    def suspend(self) -> None:
        """Look away: a module that is an activation function as a whole has begun."""
        self._suspended += 1

    def resume(self) -> None:
        """Look again."""
        self._suspended -= 1

    def unit_axis(self, tensor: Tensor) -> int:
        """The axis, from the end, on which the layers before have put the units."""
        return -1 if self._unit_axes is None else (self._unit_axes.get(tensor) or -1)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the function, and note what it did to followed tensors."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self._suspended:
            return func(*args, **kwargs)
        source = args[0] if args else kwargs.get("input")
        followers = self._leaving(name, source)
        output = func(*args, **kwargs)
        if followers:
            self._arriving(name, output, followers)
        if self._unit_axes is not None and isinstance(output, Tensor):
            self._note_axis(name, args, output, self._unit_axes)
        return output

    def _leaving(self, name: str, source: object) -> list[Applied]:
        """Who must hear of this function's output."""
        if not isinstance(source, Tensor):
            return []
        bare = name.strip("_")
        if bare in ACTIVATIONS:
            return self.claimed(source)
        if bare in PASSED_THROUGH:
            return list(self._followers(source).get(_geometry(source), []))
        if _changes_in_place(name):
            self._followers(source).clear()
        return []

    def _arriving(self, name: str, output: Any, followers: list[Applied]) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if name.strip("_") in ACTIVATIONS:
            for applied in followers:
                applied(first)
        else:
            self.follow(first, followers)

    def _note_axis(self, name: str, args: tuple[Any, ...], output: Tensor, axes: WeakIdKeyDictionary) -> None:
        if name in _CHANNELS:
            axes[output] = _CHANNELS[name]
        elif name in _NORMS_OF_CHANNELS:
            axes[output] = min(1 - output.ndim, -1)
        elif name not in _MOVES_AXES and output.ndim > 1:
            before = (axes.get(t) for t in _tensors(args) if t.ndim == output.ndim)
            axis = next((axis for axis in before if axis is not None), None)
            if axis is not None:
                axes[output] = axis


def _changes_in_place(name: str) -> bool:
    return name in _IN_PLACE_OPERATORS or (name.endswith("_") and not name.endswith("__"))


def _tensors(args: tuple[Any, ...]) -> Iterable[Tensor]:
    for arg in args:
        if isinstance(arg, Tensor):
            yield arg
        elif isinstance(arg, list | tuple):
            yield from (one for one in arg if isinstance(one, Tensor))


def _geometry(tensor: Tensor) -> _Geometry:
    return tensor.storage_offset(), tuple(tensor.shape), tensor.stride()
