"""The activations of a model's last forward pass, kept in the autograd graph so that a penalty has a gradient."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from ..layers.patterns import as_list
from ..layers.sites import Asked, Request, Stage, asked_layers, check, exact_sites
from ..torch_private import forward_pre_hooks, version


class Watch:
    """Keeps the activations of chosen layers in the last forward pass, until the next pass or `close`.

    A copy, or what was pickled, has no activations. It watches the copy of the model that was made along with it, from
    the first call of that one on.
    """

    def __init__(self, model: nn.Module, pattern: Asked, *, stage: Stage, mask: Mask | None) -> None:
        inside = unwrap(model)
        self.requests = [Request(pattern, stage)]
        check(inside, self.requests)
        self._asked = exact_sites(inside, self.requests)
        self._mask = mask
        self._forget()
        self._closed = False
        self._link = _Link()
        self._link.watch = ref(self)
        self._handle: RemovableHandle | None = inside.register_forward_pre_hook(_Finds(self._link), with_kwargs=True)
        try:
            self._attach(inside)
        except BaseException:
            self.close()
            raise

    def rows(self) -> dict[str, Tensor]:
        """Return activations (n_samples, n_units) by site, those of all calls of a layer together.

        Each tensor comes once: a layer and its activation module share one.

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
        self._ran = self._ran or bool(self._recorder.n_passes or self._last.records or self._reasons)
        silent = sorted(map(str, self._silent)) or ([] if self._ran else ["all layers"])
        if silent:
            raise RuntimeError(
                f"never ran so far: {', '.join(silent)}. Call the model in this thread before the penalty. If it never "
                "calls these modules, exclude them with '!name'"
            )
        if not self._last.records:
            known = self._reasons or self._recorder.sites.left_out
            reasons = "; ".join(f"{name or 'the model'}: {reason}" for name, reason in known.items())
            raise RuntimeError(f"no layer could be read in the last forward pass ({reasons}); choose other layers")
        model = cast(nn.Module, self._model)
        rows: dict[str, list[Tensor]] = {}
        for record in {id(record.samples): record for record in reversed(self._last.records)}.values():
            rows.setdefault(str(record.site.at_call(None)), []).insert(0, record.rows(self._last.mask, model))
        return {name: calls[0] if len(calls) == 1 else torch.cat(calls) for name, calls in reversed(rows.items())}

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
            self.requests,
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
        self._silent = set(self._asked)
        self._reasons: dict[str, str] = {}
        self._ran = False

    def __getstate__(self) -> dict[str, Any]:
        state = {key: getattr(self, key) for key in ("requests", "_asked", "_mask", "_closed", "_link")}
        (request,) = self.requests
        if self._model is not None and any(map(_is_function, as_list(request.asked))):
            names = _Named(frozenset(asked_layers(self._model, self.requests)))
            state["requests"] = [Request(names, request.stage)]  # a function of the user may not be picklable
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()
        self._link.watch = ref(self)

    def _keep(self, shown: Pass) -> None:
        self._last = shown
        self._copy.forget()
        self._silent -= {site for record in shown.records for site in (record.site, record.site.at_call(None))}

    def _leave_out(self, layer: str, reason: str) -> None:
        self._reasons[layer] = reason
        self._silent = {site for site in self._silent if site.layer != layer}


@dataclass(frozen=True)
class _Named:
    """A pattern that matches these names."""

    names: frozenset[str]

    def __call__(self, name: str, module: nn.Module) -> bool:
        """Return whether the name is one of them."""
        return name in self.names


def _is_function(pattern: object) -> bool:
    return callable(pattern) and not isinstance(pattern, type)


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
