"""The activations of a model's last forward pass, kept in the autograd graph so that a penalty has a gradient."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast
from weakref import ref

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..capturing.forward_pass import Pass
from ..capturing.hooks import Hook
from ..capturing.padding_masks import Mask, reader
from ..capturing.recorder import Recorder
from ..layer_names import unwrap
from ..layers.sites import Asked, Site, Stage, sites
from ..torch_private import forward_pre_hooks, version


class Watch:
    """Keeps the activations of chosen layers in the last forward pass, until the next pass or `close`.

    A copy, or what was pickled, has no activations. It watches the copy of the model that was made along with it, from
    the first call of that one on.
    """

    def __init__(self, model: nn.Module, pattern: Asked, *, stage: Stage, mask: Mask | None) -> None:
        self.sites = sites(model, pattern, stage=stage)
        self._mask = mask
        self._forget()
        self._closed = False
        self._link = _Link()
        self._link.watch = ref(self)
        inside = unwrap(model)
        self._handle: RemovableHandle | None = inside.register_forward_pre_hook(_Finds(self._link), with_kwargs=True)
        self._attach(inside)

    def rows(self) -> dict[str, Tensor]:
        """Return activations (n_samples, n_units) by site, each once: a layer and its activation module share one.

        Raises:
            RuntimeError: if the model or a requested site has not run, or the penalty is closed.
        """
        if self._closed:
            raise RuntimeError("this penalty is closed and no longer sees the model; make a new one")
        if self._recorder is None:
            raise RuntimeError(
                "this copy of a penalty has seen no model run. If it was copied together with its model, call the "
                "copied model first; if it was copied alone, it watches nothing: make a new penalty with the model"
            )
        self._recorder.settle()
        if self._silent:
            raise RuntimeError(
                f"never ran so far: {', '.join(sorted(map(str, self._silent)))}. Call the model in this thread before "
                "the penalty. If it never calls these modules, exclude them with '!name'"
            )
        shown = list({id(record.samples): record for record in reversed(self._last.records)}.values())[::-1]
        n_calls = Counter(record.site.at_call(None) for record in shown)
        # A site's name has the number of the call only if there are several calls.
        names = [str(one.site if n_calls[one.site.at_call(None)] > 1 else one.site.at_call(None)) for one in shown]
        model = cast(nn.Module, self._model)
        return {name: one.rows(self._last.mask, model) for name, one in zip(names, shown, strict=True)}

    def close(self) -> None:
        """Remove every hook from the model, and release the model and the activations."""
        if self._recorder is not None:
            self._recorder.detach()
        if self._handle is not None:
            self._handle.remove()
        self._forget()
        self._closed = True

    def found(self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Begin to watch a copied model that is about to run for the first time."""
        if self._recorder is None and not self._closed:
            before = forward_pre_hooks(model)
            self._attach(model)
            for hook in [hook for hook in forward_pre_hooks(model) if hook not in before]:
                hook(model, args, kwargs)  # torch had gathered the hooks of this call already

    def _attach(self, model: nn.Module) -> None:
        self._model = model
        self._recorder = Recorder(
            model,
            self.sites,
            read_mask=None if self._mask is None else reader(self._mask, model),
            emit=self._keep,
            leave_out=self._leave_out,
            copy=self._copy,
        )
        self._recorder.attach()

    def _forget(self) -> None:
        self._model: nn.Module | None = None
        self._recorder: Recorder | None = None
        self._handle = None
        self._copy = _InGraph()
        self._last = Pass()
        self._silent: set[Site] = set(self.sites)

    def __getstate__(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("sites", "_mask", "_closed", "_link")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()
        self._link.watch = ref(self)

    def _keep(self, shown: Pass) -> None:
        self._last = shown
        self._copy.forget()
        self._silent -= {site for record in shown.records for site in (record.site, record.site.at_call(None))}

    def _leave_out(self, layer: str, reason: str) -> None:
        self._silent = {site for site in self._silent if site.layer != layer}


class _Link:
    """Leads from a model to the watch on it, in the original and in every copy that holds both.

    A copy of the link leads nowhere until the copy of a watch takes hold of it, whichever of the two is copied first.
    """

    watch: "Callable[[], Watch | None]" = staticmethod(lambda: None)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Link, ()


class _Finds(Hook):
    """A hook that goes along when its model is copied, and shows the copy to the copied watch."""

    def __init__(self, link: _Link) -> None:
        self._link = link

    def __call__(self, *args: Any) -> None:
        """Show the model; while torch compiles it nothing is watched."""
        if not torch.compiler.is_compiling() and (watch := self._link.watch()) is not None:
            watch.found(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Finds, (self._link,)


class _InGraph:
    """Copies activations with their gradient, so that later changes in place do not reach the copies.

    A tensor is copied once a pass, even if several sites show it.
    """

    def __init__(self) -> None:
        self._copies: dict[tuple[int, int, int], tuple[Tensor, Tensor]] = {}

    def __call__(self, output: Tensor, unit_axis: int, *, over: Tensor | None = None) -> Tensor:
        key = (id(output), unit_axis, version(output))
        if key not in self._copies:
            # the original is kept as well, or another tensor might get its id
            self._copies[key] = (output, output.movedim(unit_axis, -1).clone())
        return self._copies[key][1]

    def forget(self) -> None:
        """Release the copies at the end of a pass."""
        self._copies.clear()
