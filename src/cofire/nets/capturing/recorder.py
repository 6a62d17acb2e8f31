"""The hooks that watch a model run."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import get_ident
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..layers.kinds import following, looks_like_activation
from ..layers.sample_rows import Copy, describe, first_floating, is_packed, units_last
from ..layers.sites import Site
from ..torch_private import in_backward, without_torch_functions
from .activation_functions import Follower, Step
from .forward_pass import Layer, Pass, Record, layers_of
from .fused_attention import fused_modules, fused_output
from .hooks import Hook
from .padding_masks import ReadMask
from .uncompiled import eager

Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]


def always() -> bool:
    """Every forward pass counts."""
    return True


class Recorder:
    """Watches the layers of one model and hands over each forward pass when it is complete.

    A pass is a call of the model. What runs outside of one (a submodule called on its own,
    ``model.forward(x)``, which runs no hook) counts as a new pass as soon as a layer runs again. ``when`` is asked
    each time a layer runs whether that counts.
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
        when: Callable[[], bool] = always,
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
        self._hook_all()

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

    def _hook_all(self) -> None:
        self._hook_before(self._model, self._begins)
        for module in fused_modules(self._model):
            self._hook_fused(module)
        for layer in self._layers:
            if layer.kind.is_activation:
                self._hook_before(layer.module, partial(self._takes, layer))
            self._hook_after(layer.module, partial(self._ran, layer))
        for module in self._model.modules():
            if looks_like_activation(module):
                self._hook_own_activation(module)
        self._hook_after(self._model, self._ends, always_call=True)

    def _hook_fused(self, module: nn.Module) -> None:
        """First of all hooks, so that the others see what the model goes on with."""

        def here(module: nn.Module, args: Args, kwargs: Kwargs, output: object) -> object:
            return None if self._elsewhere() else fused_output(module, args, kwargs)

        self._handles.append(module.register_forward_hook(Hook(here), with_kwargs=True))

    def _hook_own_activation(self, module: nn.Module) -> None:
        """An activation that is the user's own module counts as a whole, whatever it calls inside."""
        steps: list[Step | None] = []
        self._hook_before(module, partial(self._enters, steps))
        self._hook_after(module, partial(self._leaves, steps), always_call=True)

    def _hook_before(self, module: nn.Module, run: Callable[[Args, Kwargs], None]) -> None:
        def here(_: nn.Module, args: Args, kwargs: Kwargs) -> None:
            if not self._elsewhere():
                run(args, kwargs)

        self._handles.append(module.register_forward_pre_hook(Hook(here), with_kwargs=True))

    def _hook_after(self, module: nn.Module, run: Callable[[object], None], *, always_call: bool = False) -> None:
        def here(_: nn.Module, args: Args, output: object) -> None:
            if not self._elsewhere():
                run(output)

        self._handles.append(module.register_forward_hook(Hook(here), always_call=always_call))

    def _elsewhere(self) -> bool:
        """In another thread, or in a backward pass that recomputes a checkpointed forward pass."""
        return get_ident() != self._thread or in_backward()

    def _begins(self, args: Args, kwargs: Kwargs) -> None:
        self._depth += 1
        if self._depth == 1:
            self._follower.join()
            self._hand_over()
            self._handled = sys.exception()
            self._pass.mask = self._read_mask(args, kwargs) if self._read_mask else None

    def _ends(self, output: object) -> None:
        self._depth -= 1
        if self._depth > 0:
            return
        failed, self._handled = sys.exception() is not self._handled, None
        if failed:
            self._pass = Pass()
        # What follows (keeping the samples, the loss, backward, the optimizer) need not pass through it.
        self._follower.rest()
        self._hand_over()

    def _takes(self, layer: Layer, args: Args, kwargs: Kwargs) -> None:
        """An activation module's input is its "pre"; copied here, before it is changed in place."""
        with without_torch_functions():
            x = first_floating((*args, *kwargs.values()))
        if x is not None:
            self._begins_outside(layer)
            call = self._pass.calls[layer.name]
            with without_torch_functions():
                self._note(layer, layer.wanted("pre", call), call, x)

    def _ran(self, layer: Layer, output: object) -> None:
        with without_torch_functions():
            x = first_floating(output)
            reason = f"its output is {describe(output)}" if x is None else ""
        if x is None:
            self._leave_out(layer.name, reason)
            return
        if not layer.kind.is_activation:
            self._begins_outside(layer)
        with without_torch_functions():
            self._note_output(layer, x, padded=not is_packed(output))

    def _note_output(self, layer: Layer, x: Tensor, *, padded: bool) -> None:
        call = self._pass.calls[layer.name]
        self._pass.calls[layer.name] += 1
        if not layer.kind.is_activation:
            self._note(layer, layer.wanted("pre", call), call, x, padded)
        post = self._note(layer, layer.wanted("post", call), call, x, padded)
        if not layer.kind.is_activation:
            self._follower.follow(x, [record.applied for record in post])

    def _begins_outside(self, layer: Layer) -> None:
        """A layer runs: outside of a call of the model a new pass begins, if it has run already."""
        if self._depth > 0:
            return
        self._follower.join()
        if layer.name in self._pass.calls:
            self._hand_over()
        if self._read_mask and self._pass.mask is None:
            self._pass.mask = self._read_mask((), {})

    def _note(self, layer: Layer, wanted: list[Site], call: int, x: Tensor, padded: bool = True) -> list[Record]:
        if not wanted or not self._when():
            return []
        axis = layer.unit_axis(x)
        axis = self._follower.unit_axis(x) if axis is None else axis
        from_end = axis - x.ndim if axis >= 0 else axis
        samples = self._copy(x, from_end)
        records = [Record(site.at_call(call), layer.module, samples, from_end, padded, self._copy) for site in wanted]
        self._pass.records.extend(records)
        return records

    def _enters(self, steps: list[Step | None], args: Args, kwargs: Kwargs) -> None:
        with without_torch_functions():
            x = first_floating((*args, *kwargs.values()))
            steps.append(None if x is None else self._follower.activation_of(x))
        self._follower.suspend()

    def _leaves(self, steps: list[Step | None], output: object) -> None:
        self._follower.resume()
        step = steps.pop() if steps else None
        if step is not None and isinstance(output, Tensor):
            with without_torch_functions():
                self._follower.arrived(step, output)
