"""A tracker's samples from the training batches; see `probe` for those of a fixed set."""

import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..nets import Capture, Site
from ..nets.capturing.padding_masks import Mask
from ..nets.layer_names import unwrap
from ..nets.layers.sites import Request, exact_sites, resolve
from ..nets.wiring.live_wiring import live_wiring
from .measures import NotMeasured
from .runs.rng_state import seed_from

Samples = dict[Site, Tensor]


class Reservoir:
    """A uniform sample of the rows it is given: at most ``limit``, each row as likely to stay as any other.

    Every row draws a random key from the reservoir's own generator, and the rows with the smallest keys stay, in order
    of arrival. Reservoirs with the same seed that see the same number of rows keep the same ones, so a layer's samples
    before and after its activation function belong together.

    Args:
        limit: the largest number of rows.
        seed: seed of its generator.
    """

    def __init__(self, limit: int, seed: int) -> None:
        self._limit = limit
        self._generator = torch.Generator().manual_seed(seed)
        self._rows: list[Tensor] = []
        self._keys: list[Tensor] = []
        self._held = 0

    def update(self, batch: Tensor) -> "Reservoir":
        """Take a batch (n_samples, n_units); return itself."""
        keys = torch.rand(len(batch), dtype=torch.float64, device="cpu", generator=self._generator)
        rows, keys = self._smallest(batch.detach(), keys)
        self._rows.append(rows)
        self._keys.append(keys)
        self._held += len(rows)
        if self._held > 2 * self._limit:
            self._join()
        return self

    def samples(self) -> Tensor | None:
        """Return the rows kept, (n_samples, n_units); None if there was no batch."""
        if not self._rows:
            return None
        self._join()
        return self._rows[0]

    def _join(self) -> None:
        if len(self._rows) > 1 or self._held > self._limit:
            rows, keys = self._smallest(torch.cat(self._rows), torch.cat(self._keys))
            self._rows, self._keys, self._held = [rows], [keys], len(rows)

    def _smallest(self, rows: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        if len(keys) <= self._limit:
            return rows, keys
        kept = keys.topk(self._limit, largest=False).indices.sort().values
        return rows[kept.to(rows.device)], keys[kept]


class Source:
    """Gives the samples of sites at a step. This one has nothing to prepare and no state; others override.

    Attributes:
        mode: the mode of the model that gives the samples, as rows state it.
    """

    mode = "train"

    def arm(self, requests: Sequence[Request], step: int) -> None:
        """Prepare for the coming step, at which something may be due."""

    def advance(self, step: int) -> None:
        """Note that a training step is over."""

    def collect(self, requests: Sequence[Request], step: int) -> Samples:
        """Return the samples of each site that was asked for."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove hooks from the model, if there are any."""

    def release(self) -> None:
        """Let the model go: nothing will be asked any more."""
        self.close()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed source needs."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""


class TrainingBatches(Source):
    """The batches that the training loop runs anyway: no extra forward passes, and hooks only when something is due.

    Only forward passes in training mode count, so an evaluation between two steps is not mixed in. The samples of a
    step are those of the last ``window`` batches.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        window: int,
        max_samples: int,
        seed: int,
        mask: Mask | None = None,
        per_call: bool = False,
    ) -> None:
        self._model, self._per_call = model, per_call
        self._mask = mask
        self._limit = max_samples
        self._seed = self._seed_now = seed
        self._recent: deque[tuple[int, Samples]] = deque(maxlen=window)
        self._reported: set[str] = set()
        self._watches: dict[tuple[Request, ...], Capture[Reservoir]] = {}
        self._watch: Capture[Reservoir] | None = None

    def arm(self, requests: Sequence[Request], step: int) -> None:
        """Attach hooks for the coming step."""
        self._seed_now = seed_from(self._seed, step)
        key = tuple(requests)
        if key not in self._watches:
            self._watches[key] = Capture(
                self._model,
                requests,
                mask=self._mask,
                into=lambda: Reservoir(self._limit, self._seed_now),
                per_call=self._per_call,
                when=lambda: self._model.training,
            )
        self._watch = self._watches[key]
        self._watch.attach()

    def advance(self, step: int) -> None:
        """Remove the hooks and keep what they saw."""
        if self._watch is not None:
            watch = self._watch
            self.close()
            self._recent.append((step, samples_of(watch.take())))

    def collect(self, requests: Sequence[Request], step: int) -> Samples:
        """Return the samples of the last batches.

        Raises:
            ValueError: if no layer that was asked for saw a forward pass in training mode.

        Warns:
            NotMeasured: once for each layer without samples while others have some.
        """
        found = self.seen(step)
        self._report_silent(found, requests, step)
        return found

    @property
    def reasons(self) -> dict[str, str]:
        """Why layers that ran gave no samples."""
        return {layer: why for watch in self._watches.values() for layer, why in watch.left_out.items()}

    def seen(self, step: int) -> Samples:
        """Return the samples of the last batches, of all sites that ran."""
        recent = [samples for seen, samples in self._recent if seen > step - (self._recent.maxlen or 1)]
        found = dict.fromkeys(site for samples in recent for site in samples)
        return {site: _joined([samples[site] for samples in recent if site in samples]) for site in found}

    def _report_silent(self, found: Samples, requests: Sequence[Request], step: int) -> None:
        """Report layers without samples: a warning once per layer where others have some, an error where none has."""
        model = unwrap(self._model)
        live = live_wiring(model)
        asked = {*exact_sites(model, requests), *resolve(model, requests, live)}
        seen = {site.at_call(None) for site in found}
        silent = sorted({site.layer for site in asked if site.at_call(None) not in seen})
        if not seen and not asked and live.version:
            patterns = ", ".join(f"{request.asked!r}" for request in requests)
            raise ValueError(f"no layer that ran makes units at {patterns}; name the layers to measure")
        if not seen:
            where = ", ".join(_with_reason(name, self.reasons.get(name)) for name in silent)
            where = where or ", ".join(f"{request.asked!r}" for request in requests)
            raise ValueError(
                f"no forward pass in training mode since the last step reached the layers due at step {step}: {where}. "
                "Is the model in eval mode, or was the step counted twice? Call tracker.step() once after each "
                "optimizer step, or give a probe set, which needs no forward pass"
            )
        if new := [layer for layer in silent if layer not in self._reported]:
            self._reported.update(new)
            named = ", ".join(_with_reason(layer, self.reasons.get(layer)) for layer in new)
            warnings.warn(
                f"layers that did not run while others did have no rows at step {step}, nor at similar steps: {named}; "
                "exclude layers that never run with '!name'",
                NotMeasured,
                stacklevel=2,
            )

    def close(self) -> None:
        """Remove the hooks, if there are any."""
        if self._watch is not None:
            self._watch.detach()
            self._watch = None

    def release(self) -> None:
        """Let the model go: nothing will be asked any more."""
        self.close()
        self._watches.clear()
        vars(self).pop("_model", None)

    def state_dict(self) -> dict[str, Any]:
        """Return the batches that a later window may still need."""
        kept = list(self._recent)[1 - (self._recent.maxlen or 1) :] if self._recent.maxlen != 1 else []
        plain = {
            step: [[site.layer, site.stage, site.call, x] for site, x in samples.items()] for step, samples in kept
        }
        return {"recent": [[step, samples] for step, samples in plain.items()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put these batches back."""
        self._recent.clear()
        for step, samples in state["recent"]:
            self._recent.append((step, {Site(layer, stage, call): x for layer, stage, call, x in samples}))


def _with_reason(name: str, reason: str | None) -> str:
    name = name or "the model"
    return f"{name} ({reason})" if reason else name


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def samples_of(states: Mapping[Site, Reservoir]) -> Samples:
    """Return the samples of reservoirs that were given some."""
    found = {site: reservoir.samples() for site, reservoir in states.items()}
    return {site: x for site, x in found.items() if x is not None}
