"""Find the activation function applied to a layer's output by following tensors at run time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from ..torch_private import DeviceContext, function_modes, pop_function_mode, push_function_mode, view_base
from .written_out import EXPRESSIONS, Course, course_of, is_number, names, operands

Applied = Callable[[Tensor], None]
"""Called with the activation's output, once."""

_Geometry = tuple[int | torch.SymInt, tuple[int, ...], tuple[int, ...]]


ACTIVATIONS = names("""
    celu clamp clamp_min clip cos elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu
    log_sigmoid log_softmax logsigmoid mish prelu relu relu6 rrelu selu sigmoid silu sin softmax softmin
    softplus softshrink softsign special_expit special_log_softmax special_softmax tanh tanhshrink threshold
""")
"""Names of torch functions that are activation functions, less the underscore of the in-place ones."""

PASSED_THROUGH = names("""
    batch_norm instance_norm group_norm layer_norm rms_norm local_response_norm
    dropout alpha_dropout feature_dropout feature_alpha_dropout dropout1d dropout2d dropout3d
    max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d lp_pool1d lp_pool2d lp_pool3d
    contiguous to float half bfloat16 double clone
""")
"""Normalization, dropout, pooling and casts keep a unit that unit: what acts behind them acts on it."""

MIXING = names("glu log_softmax softmax softmin special_log_softmax special_softmax")
"""Those that compute each unit's value from several units."""
_FOLLOWED = ACTIVATIONS | PASSED_THROUGH | EXPRESSIONS
_IN_PLACE_OPERATORS = names("""
    __setitem__ __iadd__ __isub__ __imul__ __itruediv__ __idiv__ __ifloordiv__ __imod__ __ipow__ __iand__ __ior__
""")
_CHANNELS = {f"conv{kind}{d}d": -(d + 1) for d in (1, 2, 3) for kind in ("", "_transpose")}
_NORMS_OF_CHANNELS = names("batch_norm instance_norm group_norm")
_MOVES_AXES = names("""
    linear bilinear matmul __matmul__ __rmatmul__ mm bmm einsum addmm baddbmm embedding
    lstm gru rnn_tanh rnn_relu
    scaled_dot_product_attention multi_head_attention_forward transpose permute movedim swapaxes swapdims
    view reshape flatten unflatten t T mT
""")
"""After these the last axis holds the units again, as far as can be told."""


@dataclass
class _Origin:
    """A layer's output: who waits for what an activation function makes of it, and whether they still do."""

    applied: list[Applied]
    waited_for: bool = True


class _Followed(NamedTuple):
    """A tensor that is computed, unit by unit, from one layer's output and constants."""

    origin: _Origin
    course: Course


class Step(NamedTuple):
    """The course of a function's output (None if it mixes units), and whether it is the activation waited for."""

    origin: _Origin
    course: Course | None
    told: bool
    shape: torch.Size | None = None


class Follower(TorchFunctionMode):
    """Sees every torch function that runs; calls back when an activation takes a followed tensor.

    The first activation function counts. It may also be written out, as ``h * torch.sigmoid(h)`` is.

    A tensor is known again by its memory, so that the views that backward hooks make do not hide it. One
    that is changed in place by anything but an activation, or a step of one, is no longer the layer's output: it is
    followed no more.

    Attributes:
        suspended: how many modules are running that are activation functions as a whole. While it is not 0, functions
            pass unseen.
    """

    def __init__(self, *, tracks_axes: bool) -> None:
        self._followed = WeakIdKeyDictionary()
        self._unit_axes: WeakIdKeyDictionary | None = WeakIdKeyDictionary() if tracks_axes else None
        self.suspended = 0

    def join(self) -> None:
        """Put itself on the stack of modes, unless it is there.

        Below the contexts that are open, so that these end as they began, and above torch's default device,
        which insists on the lowest place.
        """
        if not self._on_the_stack:
            modes = [pop_function_mode() for _ in function_modes()]
            others = [mode for mode in modes if not isinstance(mode, DeviceContext)]
            lowest = [mode for mode in modes if isinstance(mode, DeviceContext)]
            for mode in (*lowest, self, *reversed(others)):
                push_function_mode(mode)

    def rest(self) -> None:
        """Leave until there is something to follow again; where axes are tracked it stays, to miss no function."""
        if self._unit_axes is None:
            self.leave()

    def leave(self) -> None:
        """Take itself off the stack of modes, from wherever in it."""
        if not self._on_the_stack:
            return
        above = []
        while (mode := pop_function_mode()) is not self:
            above.append(mode)
        for mode in reversed(above):
            push_function_mode(mode)

    @property
    def _on_the_stack(self) -> bool:
        return any(mode is self for mode in function_modes())

    def clear(self) -> None:
        """Forget all tensors."""
        self._followed.clear()
        self.suspended = 0

    def follow(self, tensor: Tensor, applied: Iterable[Applied]) -> None:
        """Call ``applied`` with the output of the first activation function that takes this tensor."""
        before = self._known(tensor)
        waits = before is not None and before.course is Course.SCALED and before.origin.waited_for
        already = before.origin.applied if before is not None and waits else []
        self._note(tensor, _Followed(_Origin(list(dict.fromkeys([*already, *applied]))), Course.SCALED))

    def activation_of(self, tensor: Tensor, *, mixes: bool = False) -> Step | None:
        """Return the step in which an activation function takes a tensor; None if that is not followed."""
        found = self._known(tensor)
        if found is None or found.course is Course.CONSTANT:
            return None
        told = found.origin.waited_for
        course = Course.ACTIVATED if told or found.course is Course.ACTIVATED else Course.CURVED
        return Step(found.origin, None if mixes else course, told)

    def arrived(self, step: Step, output: Any) -> None:
        """Report a step that is done, and follow its output."""
        first = output[0] if isinstance(output, tuple) else output
        if step.shape is not None and not (first.is_floating_point() and first.shape == step.shape):
            return
        if step.told:
            step.origin.waited_for = False
            for applied in step.origin.applied:
                applied(first)
        if step.course is not None:
            self._note(first, _Followed(step.origin, step.course))

    def _known(self, tensor: Tensor) -> _Followed | None:
        return (self._followed.get(view_base(tensor)) or {}).get(_geometry(tensor))

    def _note(self, tensor: Tensor, followed: _Followed) -> None:
        memory = view_base(tensor)
        if memory not in self._followed:
            self._followed[memory] = {}
        self._followed[memory][_geometry(tensor)] = followed

    def unit_axis(self, tensor: Tensor) -> int:
        """Return the axis, from the end, on which the layers before have put the units."""
        return -1 if self._unit_axes is None else (self._unit_axes.get(tensor) or -1)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function, and note what it did to followed tensors."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.suspended:
            return func(*args, **kwargs)
        step = self._leaving(name, args, kwargs) if self._followed else None
        output = func(*args, **kwargs)
        if step is not None:
            self.arrived(step, output)
        if self._unit_axes is not None and isinstance(output, Tensor):
            self._note_axis(name, args, output, self._unit_axes)
        return output

    def _leaving(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | None:
        """Return the step of a function that is about to run; None if it takes nothing that is followed."""
        bare, source = name.strip("_"), args[0] if args else kwargs.get("input")
        if not isinstance(source, Tensor):
            return None
        step = self._step(bare, source, args, kwargs) if bare in _FOLLOWED else None
        changes_in_place = name in _IN_PLACE_OPERATORS or (name.endswith("_") and not name.endswith("__"))
        if changes_in_place and bare not in ACTIVATIONS:
            self._followed.pop(view_base(source), None)
        return step

    def _step(self, bare: str, source: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | None:
        if bare in ACTIVATIONS:
            return self.activation_of(source, mixes=bare in MIXING)
        found = self._known(source)
        if bare in PASSED_THROUGH:
            return found and Step(found.origin, found.course, told=False)
        if found is None and not is_number(source):
            return None
        taken, chosen = operands(bare, args, kwargs)
        return self._expression(bare, taken, chosen) if taken else None

    def _expression(self, bare: str, taken: list[Tensor], chosen: list[Tensor]) -> Step | None:
        """Return the step of an activation function that is written out, from one layer's output and numbers alone."""
        known = {id(tensor): self._known(tensor) for tensor in taken}
        if any(known[id(tensor)] is None and not is_number(tensor) for tensor in taken):
            return None
        found = [(one, tensor.shape) for tensor in taken if (one := known[id(tensor)]) is not None]
        of_it = [(one.origin, shape) for one, shape in found if one.course is not Course.CONSTANT]
        if not of_it:
            return Step(found[0][0].origin, Course.CONSTANT, told=False) if found else None
        origin, shape = of_it[0]
        if any(other is not origin or its_shape != shape for other, its_shape in of_it):
            return None
        choices = [one.course for tensor in chosen if (one := known[id(tensor)]) is not None]
        course = course_of(bare, [one.course for one, _ in found], choices, activated=not origin.waited_for)
        if course is Course.WRITTEN_OUT:
            return Step(origin, None, told=True, shape=shape)
        return Step(origin, course, told=False)

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


def _tensors(args: tuple[Any, ...]) -> Iterable[Tensor]:
    for arg in args:
        if isinstance(arg, Tensor):
            yield arg
        elif isinstance(arg, list | tuple):
            yield from (one for one in arg if isinstance(one, Tensor))


def _geometry(tensor: Tensor) -> _Geometry:
    return tensor.storage_offset(), tuple(tensor.shape), tensor.stride()
