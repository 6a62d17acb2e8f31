"""The activations of a model's last forward pass, kept in the autograd graph so that a penalty has a gradient."""

from collections import Counter

from torch import Tensor, nn

from ..capturing.forward_pass import Pass
from ..capturing.padding_masks import Mask, reader
from ..capturing.recorder import Recorder
from ..layer_names import unwrap
from ..layers.sites import Asked, Site, Stage, sites
from ..torch_private import version


class Watch:
    """Keeps the activations of chosen layers in the last forward pass, until the next pass or `close`."""

    def __init__(self, model: nn.Module, pattern: Asked, *, stage: Stage, mask: Mask | None) -> None:
        self._model = unwrap(model)
        self.sites = sites(model, pattern, stage=stage)
        self._copy = _InGraph()
        self._last = Pass()
        self._silent: set[Site] = set(self.sites)
        self._recorder = Recorder(
            self._model,
            self.sites,
            read_mask=None if mask is None else reader(mask, self._model),
            emit=self._keep,
            leave_out=self._leave_out,
            copy=self._copy,
        )
        self._recorder.attach()

    def rows(self) -> dict[str, Tensor]:
        """Return activations (n_samples, n_units) by site, each once: a layer and its activation module share one.

        Raises:
            RuntimeError: if the model or a requested site has not run, or the penalty is closed.
        """
        if not self._recorder.attached:
            raise RuntimeError("this penalty is closed and no longer sees the model; make a new one")
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
        return {name: one.rows(self._last.mask, self._model) for name, one in zip(names, shown, strict=True)}

    def close(self) -> None:
        """Remove every hook from the model and release the activations."""
        if self._recorder.attached:
            self._recorder.detach()
        self._last = Pass()

    def _keep(self, shown: Pass) -> None:
        self._last = shown
        self._copy.forget()
        self._silent -= {site for record in shown.records for site in (record.site, record.site.at_call(None))}

    def _leave_out(self, layer: str, reason: str) -> None:
        self._silent = {site for site in self._silent if site.layer != layer}


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
