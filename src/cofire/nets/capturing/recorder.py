"""Put hooks on the layers of a model, and turn what they see into records of forward passes.

Where the units lie, and where the output of a layer's activation function is, the model's wiring says. It is made from
the inputs of the first pass, and added to whenever a part runs that was not seen before.
"""

import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from threading import get_ident
from types import FrameType
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..first_tensor import describe, first_floating, is_packed
from ..layer_names import distinct_layers, structure, takes_hooks
from ..layers.sample_rows import Copy, units_last
from ..layers.sites import Request, Site, Sites, Stage, asked_layers, resolve
from ..running import calling_frame, is_running, method_called, outermost_frame
from ..torch_private import forward_pre_hooks, hidden, in_backward, tree_leaves
from ..wiring.live_wiring import live_wiring
from ..wiring.places import Place
from .activation_watch import ActivationWatch, Awaited
from .forward_pass import Pass, Record
from .fused_attention import Fused, fused_modules
from .hooks import Hook
from .observed_pass import Kept, ObservedPass
from .padding_masks import ReadMask
from .uncompiled import eager

Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]


class Recorder:
    """Watches the layers of one model and hands over each forward pass when it is complete.

    A pass is a call of the model. What runs outside of such a call (a submodule called on its own, or
    ``model.forward(x)``, which runs no hook) counts as a new pass as soon as a layer runs again. ``when`` is asked
    each time a layer runs whether to record it. No hook raises: a layer that can't be read is left out with the reason.
    A model whose modules were exchanged is watched anew, from the pass on that shows it.

    Attributes:
        sites: what is recorded, as far as it is known.
        n_passes: the calls of the model that have begun so far.
    """

    def __init__(
        self,
        model: nn.Module,
        requests: Sequence[Request],
        *,
        read_mask: ReadMask | None,
        emit: Callable[[Pass], None],
        leave_out: Callable[[str, str], None],
        resolved: Callable[[Sites], None] = lambda sites: None,
        copy: Copy = units_last,
        when: Callable[[], bool] | None = None,
    ) -> None:
        self._model, self._requests, self._matching = model, requests, requests
        self._read_mask, self._emit, self._leave_out, self._copy = read_mask, emit, leave_out, copy
        self._resolved, self._when = resolved, when
        self._modules = distinct_layers(model)
        self._ids = {id(module) for module in model.modules()}
        self._live = live_wiring(model)
        self.n_passes = 0
        self.sites = Sites((), {})
        self._wanted: dict[str, list[Site]] = {}
        self._handles: dict[str, RemovableHandle] = {}
        self._pass = Pass()
        self._frames: list[FrameType | None] = []
        self._thread: int | None = None
        self._handled: BaseException | None = None
        self._watch = ActivationWatch(model, leave_out, attached=copy is not units_last)
        self._observed: ObservedPass | None = None
        self._asked = asked_layers(model, requests)
        self._structure = structure(model)
        self._known = -1
        self._fused = Fused()
        self._resolve()

    @property
    def attached(self) -> bool:
        """Whether the hooks are on."""
        return self._thread is not None

    def attach(self) -> None:
        """Put the hooks on, for what this thread does with the model."""
        eager.enter()
        self._leave_eager = weakref.finalize(self, eager.leave)  # also if it is dropped together with its model
        self._leave_eager.atexit = False
        self._thread, self._frames, self._pass = get_ident(), [], Pass()
        try:
            self._watch_changes()
            self._put_all_hooks()
        except BaseException:  # all or none
            self.detach()
            raise

    def _put_all_hooks(self) -> None:
        # Hooks run in the order of registration. The fused output comes first, so that the others see the output that
        # the model continues with.
        self._hook("begin", "", self._model.register_forward_pre_hook, self._begins, plain=True, with_kwargs=True)
        for number, module in enumerate(fused_modules(self._model)):
            fused, slow = partial(self._fused.output, module), partial(self._fused.begin, module)
            self._hook(f"unfused {number}", "", module.register_forward_pre_hook, slow, with_kwargs=True)
            self._hook(f"fused {number}", "", module.register_forward_hook, fused, with_kwargs=True)
        self._resolve()

    def detach(self) -> None:
        """Take every hook off."""
        if not self.attached:
            return
        self._thread = None
        self._stop_observing()
        for handle in self._handles.values():
            handle.remove()
        self._handles.clear()
        self._leave_eager()
        self._hand_over()
        self._watch.switch(off=True)
        self._frames, self._pass, self._handled = [], Pass(), None

    def settle(self) -> None:
        """Hand over what layers have shown outside of a call of the model."""
        if not self._inside:
            self._hand_over()
            self._watch.switch()

    @property
    def _inside(self) -> bool:
        """Whether a call of the model is running. One that an interrupt has ended is over, though no hook said so."""
        while self._frames and not is_running(self._frames[-1]):
            self._frames.pop()
            self._pass = Pass()
            self._watch.clear()
            self._stop_observing()
        return bool(self._frames)

    def _hand_over(self, output: object = None, *, whole: bool = False) -> None:
        """Hand over what was recorded; of a ``whole`` call of the model, also that it was nothing.

        Args:
            output: what the model has returned.
            whole: whether a call of the model is over.
        """
        with hidden():
            self._watch.end([one for one in tree_leaves(output) if isinstance(one, Tensor)])
        shown, self._pass = self._pass, Pass()
        if shown.records or whole:
            with hidden():
                self._emit(shown)

    def _resolve(self) -> None:
        """Find the sites among what was seen so far, and put hooks on their modules and on what was not seen."""
        if self._known != self._live.version:
            self._known = self._live.version
            self.sites = resolve(self._model, self._matching, self._live)
            self._resolved(self.sites)
            self._wanted = {}
            for site in self.sites:
                self._wanted.setdefault(site.layer, []).append(site)
            for name in [name for name in self._modules if self._live.knows(name)]:
                self._unhook(f"unseen {name}")
        if self.attached:
            self._put_hooks()

    def _put_hooks(self) -> None:
        for name in filter(self._is_open, self._live.unseen(self._modules)):
            unseen = partial(self._unseen, name, self._modules[name])
            register = self._modules[name].register_forward_pre_hook
            self._hook(f"unseen {name}", name, register, unseen, plain=True, with_kwargs=True)
        for name, wanted in self._wanted.items():
            if not self._is_open(name):
                continue
            module, shown = self._modules[name], self._live.shown_by(name)
            if any(place.is_activation for place in shown):
                takes = partial(self._takes, name, module)
                self._hook(f"takes {name}", name, module.register_forward_pre_hook, takes, with_kwargs=True)
            ran = partial(self._ran, name, module)
            self._hook(f"ran {name}", name, module.register_forward_hook, ran, plain=True, with_kwargs=True)
            if any(site.stage == "post" for site in wanted):
                trails = [trail for place in shown for trail in self._live.trails(name, place)]
                for part in {part for trail in trails for part in trail.modules}:
                    enters, register = partial(self._enters, part), self._modules[part].register_forward_pre_hook
                    self._hook(f"enters {part}", name, register, enters, with_kwargs=True)
                for part in {part for trail in trails if not trail.own for part in trail.modules}:
                    leaves, register = partial(self._leaves, part), self._modules[part].register_forward_hook
                    self._hook(f"leaves {part}", name, register, leaves, with_kwargs=True)
        # The end of the model's call comes last, when all layers are recorded. It must come also when forward raises.
        self._unhook("end")
        self._hook("end", "", self._model.register_forward_hook, self._ends, plain=True, always_call=True)

    def _watch_changes(self) -> None:
        """Begin anew if modules of the model were exchanged, added or taken away."""
        found = structure(self._model)
        if found == self._structure:
            return
        self._structure, self._live, self._known = found, live_wiring(self._model), -1
        self._stop_observing()
        for key in [key for key in self._handles if key != "begin"]:
            self._unhook(key)
        self._ids = {id(module) for module in self._model.modules()}
        asked, self._modules, self._asked, self._matching = self._asked, distinct_layers(self._model), set(), ()
        try:
            self._asked, self._matching = asked_layers(self._model, self._requests), self._requests
        except ValueError as error:
            for name in asked:
                self._leave_out(name, f"the model's structure has changed: {error}")
        if self.attached:
            self._put_all_hooks()

    def _is_open(self, name: str) -> bool:
        """Return whether hooks can be put on a module; if not, it is left out."""
        return takes_hooks(self._modules[name])

    def _hook(
        self,
        key: str,
        layer: str,
        register: Callable[..., RemovableHandle],
        run: Callable[..., object],
        *,
        plain: bool = False,
        **options: bool,
    ) -> None:
        if key not in self._handles:
            made = self._safe(layer, run, unseen=not plain, lasts=key == "begin")
            self._handles[key] = register(Hook(made), **options)

    def _unhook(self, key: str) -> None:
        if key in self._handles:
            self._handles.pop(key).remove()

    def _safe(
        self, layer: str, run: Callable[..., object], *, unseen: bool = True, lasts: bool = False
    ) -> Callable[..., object]:
        """Return a hook that never raises into the user's forward; if ``unseen``, no active mode sees what it does."""
        made_for = self._structure

        def here(module: nn.Module, *given: Any) -> object:
            if self._structure is not made_for and not lasts:
                return None  # taken off, but torch had gathered it for this call already
            # Another thread may run the same model, and backward runs checkpointed layers again: neither counts.
            if get_ident() != self._thread or in_backward():
                return None
            try:
                _ = self._inside  # a call that an interrupt has ended is dropped while its mode is on the stack
                with hidden() if unseen else nullcontext():
                    return run(*given)
            except Exception as error:
                self._leave_out(layer, f"it can't be read: {type(error).__name__}: {error}")
                return None
            finally:
                self._watch.settle()
                self._watch.switch()

        return here

    def _begins(self, args: Args, kwargs: Kwargs) -> None:
        if not self._inside:
            self._unhook_observation()
            self._hand_over()
            self._handled = sys.exception()
            self.n_passes += 1
            before = forward_pre_hooks(self._model)
            self._watch_changes()
            self._take_mask(args, kwargs)
            self._frames.append(calling_frame())
            for hook in [hook for hook in forward_pre_hooks(self._model) if hook not in before]:
                hook(self._model, args, kwargs)  # torch had gathered the hooks of this call already
        else:
            self._frames.append(calling_frame())
        self._watch.within = self._frames[0]

    def _take_mask(self, args: Args, kwargs: Kwargs) -> None:
        """Read the mask of this pass; without it nothing of the pass can be recorded."""
        if self._read_mask is None:
            return
        try:
            self._pass.mask = self._read_mask(args, kwargs)
        except Exception as error:
            self._pass.failed = True
            for name in self._asked:
                self._leave_out(name, f"its mask can't be read: {error}")

    def _ends(self, args: Args, output: object) -> None:
        if self._frames:
            self._frames.pop()
        if self._inside:
            return
        # Hooks are not told whether forward raised. It did if an exception is on its way that was not there when it
        # began: the model may have been called while an earlier one was being handled.
        failed, self._handled = sys.exception() is not self._handled, None
        if failed:
            self._pass = Pass()
            self._watch.clear()
            self._stop_observing()
        elif structure(self._model) != self._structure:
            now = distinct_layers(self._model)
            for name in [name for name in self._asked if now.get(name) is not self._modules[name]]:
                self._leave_out(name, "the model's structure has changed while it ran: it exchanged the module")
        self._hand_over(output, whole=not failed)

    def _begins_outside(self, name: str) -> None:
        """Begin a new pass if a layer runs outside of a call of the model, and has run already."""
        if self._inside:
            return
        if name in self._pass.calls:
            self._hand_over()
        if not self._pass.calls:
            self._watch_changes()
        self._watch.within = outermost_frame(self._ids)
        if self._pass.mask is None:
            self._take_mask((), {})

    def _unseen(self, name: str, module: nn.Module, args: Args, kwargs: Kwargs) -> None:
        """Learn how a part of the model is wired that was not seen running before."""
        if self._observed is None and not self._live.knows(name):
            if self._inside and self._live.knows(""):
                # What follows the part shows only in this pass, in which the model goes another way than before.
                self._observe("", args, kwargs, begins_at=name, within=self._frames[0])
            elif self._inside or not self._learn_method(name):
                failure = self._live.learn(module, name, args, kwargs)
                if failure:
                    self._observe(name, args, kwargs, failure=failure, within=calling_frame())
        self._resolve()

    def _learn_method(self, name: str) -> bool:
        """Learn from the method that calls a part, such as ``model.forward(x)`` or ``model.encode(x)``, if any does."""
        called = method_called(calling_frame(of_user=True))
        owners = {id(module): owner for owner, module in reversed(self._modules.items())}
        if called is None or id(called[0]) not in owners:
            return False
        owner, method, arguments = called
        failure = self._live.learn(owner, owners[id(owner)], (), arguments, method=method)
        return not failure and self._live.knows(name)

    def _observe(
        self,
        name: str,
        args: Args,
        kwargs: Kwargs,
        *,
        within: FrameType | None,
        begins_at: str = "",
        failure: str = "it goes another way than before",
    ) -> None:
        """Begin to observe a call of a part of the model, from the beginning or from one of its modules on."""
        part, hook = self._modules[name], partial(self._watching, name)
        self._observed = ObservedPass(
            self._live, part, name, args, kwargs, begins_at=begins_at, failure=failure, hook=hook, within=within
        )
        for inner in filter(self._is_open, self._observed.watched(self._modules, self._asked)):
            keep = partial(self._keep, inner)
            self._hook(f"keep {inner}", inner, self._modules[inner].register_forward_hook, keep, with_kwargs=True)
        register = part.register_forward_hook
        self._hook("observed", name, register, self._observed_call, plain=True, always_call=True)

    def _watching(self, layer: str, run: Callable[..., object]) -> Hook:
        """Return a hook of an observation, which takes the module first, as torch gives it."""
        return Hook(self._safe(layer, partial(run, None)))

    def _keep(self, name: str, args: Args, kwargs: Kwargs, output: object) -> None:
        if self._observed is not None and (self._when is None or self._when()):
            self._observed.keep(name, args, kwargs, output, self._watch, training=self._model.training)

    def _observed_call(self, args: Args, output: object) -> None:
        """Take in what the observed call has shown, and record what was kept of it."""
        observed, self._observed = self._observed, None
        if observed is None:
            return
        if output is None:  # it has raised, or returned nothing
            observed.close()
            self._watch.clear()
            return  # the hooks stay: torch walks over them
        self._unhook_observation()
        observed.end(output)
        self._resolve()
        when, self._when = self._when, None  # it was asked as each module ran
        with hidden():
            for one in observed.kept:
                self._record_kept(one)
        self._when = when

    def _record_kept(self, one: Kept) -> None:
        module = self._modules[one.name]
        self._begins_outside(one.name)
        if one.name not in self._wanted:
            self._watch.forget(one.awaited)
            return
        place = self._live.place(one.name, self._pass.calls[one.name], training=one.training, shape=one.output.shape)
        if place is not None and place.is_activation and one.taken is not None:
            self._note(one.name, module, "pre", one.taken, place.unit_axis, padded=one.padded)
        self._record(one.name, module, one.output, place, padded=one.padded, awaited=one.awaited)

    def _stop_observing(self) -> None:
        self._fused.restore()
        if self._observed is not None:
            self._observed.close()
        self._observed = None

    def _is_kept(self, name: str) -> bool:
        """Return whether what a module returns is kept until the observed call is over."""
        return self._observed is not None and f"keep {name}" in self._handles

    def _unhook_observation(self) -> None:
        for key in [key for key in self._handles if key.startswith("keep ") or key == "observed"]:
            self._unhook(key)

    def _takes(self, name: str, module: nn.Module, args: Args, kwargs: Kwargs) -> None:
        """Note the input of an activation module, its "pre", before the module may change it in place."""
        x = first_floating((*args, *kwargs.values()))
        if x is None or self._is_kept(name):
            return
        self._begins_outside(name)
        training = self._model.training
        place = self._live.place(name, self._pass.calls[name], training=training, shape=x.shape)
        if place is not None and place.is_activation:
            self._note(name, module, "pre", x, place.unit_axis)

    def _ran(self, name: str, module: nn.Module, args: Args, kwargs: Kwargs, output: object) -> None:
        self._watch.settle()
        if self._is_kept(name):
            return
        x = first_floating(output)
        if x is None:
            self._leave_out(name, f"its output is {describe(output)}")
            return
        self._begins_outside(name)
        place = self._live.place(name, self._pass.calls[name], training=self._model.training, shape=x.shape)
        if place is None and self._live.knows(name):
            place = self._live.learn_shape(module, name, args, kwargs, x.shape)
        with hidden():
            self._record(name, module, x, place, padded=not is_packed(output))

    def _record(
        self,
        name: str,
        module: nn.Module,
        x: Tensor,
        place: Place | None,
        *,
        padded: bool,
        awaited: Awaited | None = None,
    ) -> None:
        """Record a module's output, or what an activation function makes of it, at the sites that want it."""
        trails = [] if place is None else self._live.trails(name, place)
        if place is not None and not place.is_activation:
            self._note(name, module, "pre", x, place.unit_axis, padded=padded, reason=place.reason)
        wanted = self._sites_at(name, "post") if trails else []
        if place is not None and place.unit_axis is not None and wanted:
            awaited = awaited or self._watch.begin(x, name, place.unit_axis)
            deliver, own = partial(self._arrived, wanted, module, padded), None
            if any(trail.own for trail in trails):  # copied now: the model may change it in place
                own = partial(self._pass.records.extend, self._records(wanted, module, x, place.unit_axis, padded))
            reached = partial(self._live.also_reached, name)
            self._watch.expect(awaited, place.unit_axis, trails, deliver, own, reached)
        else:
            if awaited is not None:
                self._watch.forget(awaited)
            if place is not None and not trails:
                axis, reason = place.unit_axis, place.reason
                self._note(name, module, "post", x, axis, padded=padded, reason=reason)
        self._pass.calls[name] += 1

    def _sites_at(self, name: str, stage: Stage) -> list[Site]:
        call = self._pass.calls[name]
        if self._pass.failed or (self._when is not None and not self._when()):
            return []
        return [
            site.at_call(call)
            for site in self._wanted.get(name, ())
            if site.stage == stage and site.call in (None, call)
        ]

    def _note(
        self,
        name: str,
        module: nn.Module,
        stage: Stage,
        x: Tensor,
        axis: int | None,
        *,
        padded: bool = True,
        reason: str = "",
    ) -> None:
        """Record a tensor at the sites of one stage. It is copied now: the model may change it in place."""
        wanted = self._sites_at(name, stage)
        if wanted and axis is None and all(site.unit_axis is None for site in wanted):
            self._leave_out(name, reason)
        elif wanted:
            self._pass.records += self._records(wanted, module, x, axis or 0, padded)

    def _enters(self, name: str, args: Args, kwargs: Kwargs) -> None:
        given = first_floating((*args, *kwargs.values()))
        self._watch.settle(given)
        self._watch.enters(name, given)

    def _leaves(self, name: str, args: Args, kwargs: Kwargs, output: object) -> None:
        if not self._is_kept(name):
            self._watch.leaves(name, first_floating((*args, *kwargs.values())), first_floating(output))

    def _arrived(self, sites: list[Site], module: nn.Module, padded: bool, x: Tensor, axis: int) -> None:
        """Record an activation. Operations of the model may wait for this, so that it may not raise."""
        try:
            self._pass.records += self._records(sites, module, x, axis, padded)
        except Exception as error:
            self._leave_out(sites[0].layer, f"it can't be read: {type(error).__name__}: {error}")

    def _records(self, sites: list[Site], module: nn.Module, x: Tensor, axis: int, padded: bool) -> list[Record]:
        given = next((site.unit_axis for site in sites if site.unit_axis is not None), axis)
        from_end = given - x.ndim if given >= 0 else given
        samples = self._copy(x, from_end)
        return [Record(site, module, samples, from_end, padded) for site in sites]
