"""Put hooks on the layers of a model, and turn what they see into records of forward passes."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import get_ident
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..layers.kinds import following, looks_like_activation
from ..first_tensor import describe, first_floating, is_packed
from ..layers.sample_rows import Copy, units_last
from ..layers.sites import Site, Stage
from ..torch_private import in_backward, without_torch_functions
from .activation_functions import Follower, Step
from .forward_pass import Layer, Pass, Record, layers_of
from .fused_attention import fused_modules, fused_output
from .hooks import Hook
from .padding_masks import ReadMask
from .uncompiled import eager

Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]


class Recorder:
    """Watches the layers of one model and hands over each forward pass when it is complete.

    A pass is a call of the model. What runs outside of such a call (a submodule called on its own, or
    ``model.forward(x)``, which runs no hook) counts as a new pass as soon as a layer runs again. ``when`` is asked
    each time a layer runs whether to record it.
    """

    def __init__(
        self,
        model: nn.Module,
        sites: Sequence[Site],
        *,
        read_mask: ReadMask | None,
        emit: Callable[[Pass], None],
        leave_out: Callable[[str, str], None],
        copy: Copy = units_last,
        when: Callable[[], bool] | None = None,
    ) -> None:
        self._model, self._layers = model, layers_of(model, sites)
        self._read_mask, self._emit, self._leave_out, self._copy = read_mask, emit, leave_out, copy
        self._when = when
        self._follower = Follower(tracks_axes=any(layer.kind.unit_axis is following for layer in self._layers))
        self._handles: list[RemovableHandle] = []
        self._pass = Pass()
        self._depth = 0
        self._thread: int | None = None
        self._handled: BaseException | None = None

    @property
    def attached(self) -> bool:
        """Whether the hooks are on."""
        return self._thread is not None

    def attach(self) -> None:
        """Put the hooks on, for what this thread does with the model."""
        self._thread, self._depth, self._pass = get_ident(), 0, Pass()
        eager.enter()
        self._follower.join()
        # Hooks run in the order of registration. The fused output comes first, so that the others see the output that
        # the model continues with; the end of the model's call comes last, when all layers are recorded.
        self._hook(self._model.register_forward_pre_hook, self._begins, with_kwargs=True)
        for module in fused_modules(self._model):
            self._hook(module.register_forward_hook, partial(fused_output, module), with_kwargs=True)
        for layer in self._layers:
            if layer.kind.is_activation:
                self._hook(layer.module.register_forward_pre_hook, partial(self._takes, layer), with_kwargs=True)
            self._hook(layer.module.register_forward_hook, partial(self._ran, layer))
        for module in self._model.modules():
            if looks_like_activation(module):
                # It counts as one activation function, whatever functions it calls inside.
                steps: list[Step | None] = []
                self._hook(module.register_forward_pre_hook, partial(self._enters, steps), with_kwargs=True)
                self._hook(module.register_forward_hook, partial(self._leaves, steps), always_call=True)
        # always_call: the depth must go back down also when forward raises.
        self._hook(self._model.register_forward_hook, self._ends, always_call=True)

    def detach(self) -> None:
        """Take every hook off."""
        self._thread = None
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._follower.leave()
        eager.leave()
        self.settle()
        self._pass, self._handled = Pass(), None

    def settle(self) -> None:
        """Hand over what layers have shown outside of a call of the model."""
        if self._depth == 0:
            self._hand_over()

    def _hand_over(self) -> None:
        shown, self._pass = self._pass, Pass()
        self._follower.clear()
        if shown.records:
            self._emit(shown)

    def _hook(self, register: Callable[..., RemovableHandle], run: Callable[..., object], **options: bool) -> None:
        def here(module: nn.Module, *given: Any) -> object:
            # Another thread may run the same model, and backward runs checkpointed layers again: neither counts.
            return None if get_ident() != self._thread or in_backward() else run(*given)

        self._handles.append(register(Hook(here), **options))

    def _begins(self, args: Args, kwargs: Kwargs) -> None:
        self._depth += 1
        if self._depth == 1:
            self._follower.join()
            self._hand_over()
            self._handled = sys.exception()
            self._pass.mask = self._read_mask(args, kwargs) if self._read_mask else None

    def _ends(self, args: Args, output: object) -> None:
        self._depth -= 1
        if self._depth > 0:
            return
        # Hooks are not told whether forward raised. It did if an exception is on its way that was not there when it
        # began: the model may have been called while an earlier one was being handled.
        failed, self._handled = sys.exception() is not self._handled, None
        if failed:
            self._pass = Pass()
        # What comes next (adding the samples, loss, backward, optimizer) need not pass through the follower.
        self._follower.rest()
        self._hand_over()

    def _takes(self, layer: Layer, args: Args, kwargs: Kwargs) -> None:
        """Note the input of an activation module, its "pre", before the module may change it in place."""
        with without_torch_functions():
            x = first_floating((*args, *kwargs.values()))
        if x is not None:
            self._begins_outside(layer)
            with without_torch_functions():
                self._note(layer, "pre", x)

    def _ran(self, layer: Layer, args: Args, output: object) -> None:
        with without_torch_functions():
            x = first_floating(output)
            if x is None:
                self._leave_out(layer.name, f"its output is {describe(output)}")
                return
        own = not layer.kind.is_activation
        if own:
            self._begins_outside(layer)
        with without_torch_functions():
            padded = not is_packed(output)
            if own:
                self._note(layer, "pre", x, padded=padded)
            post = self._note(layer, "post", x, padded=padded)
            if own:
                self._follower.follow(x, [record.applied for record in post])
        self._pass.calls[layer.name] += 1

    def _begins_outside(self, layer: Layer) -> None:
        """Begin a new pass if the layer runs outside of a call of the model, and has run already."""
        if self._depth > 0:
            return
        self._follower.join()
        if layer.name in self._pass.calls:
            self._hand_over()
        if self._read_mask and self._pass.mask is None:
            self._pass.mask = self._read_mask((), {})

    def _note(self, layer: Layer, stage: Stage, x: Tensor, *, padded: bool = True) -> list[Record]:
        call = self._pass.calls[layer.name]
        wanted = layer.wanted(stage, call)
        if not wanted or (self._when is not None and not self._when()):
            return []
        axis = layer.unit_axis(x)
        axis = self._follower.unit_axis(x) if axis is None else axis
        from_end = axis - x.ndim if axis >= 0 else axis
        # One copy serves all sites. It must be made now: the model may change its output in place.
        samples = self._copy(x, from_end)
        records = [Record(site.at_call(call), layer.module, samples, from_end, padded, self._copy) for site in wanted]
        self._pass.records.extend(records)
        return records

    def _enters(self, steps: list[Step | None], args: Args, kwargs: Kwargs) -> None:
        with without_torch_functions():
            x = first_floating((*args, *kwargs.values()))
            steps.append(None if x is None else self._follower.activation_of(x))
        # It counts as one activation function: what it calls inside is not looked at.
        self._follower.suspended += 1

    def _leaves(self, steps: list[Step | None], args: Args, output: object) -> None:
        self._follower.suspended -= 1
        step = steps.pop() if steps else None
        if step is not None and isinstance(output, Tensor):
            with without_torch_functions():
                self._follower.arrived(step, output)
