"""A tracker's samples from a fixed probe set, instead of from the training batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..nets import Capture
from ..nets.capturing.padding_masks import Mask
from ..nets.layers.sites import Request
from ..nets.loading.eval_mode import to_eval_mode
from ..nets.wiring.fake_copy import random_states_kept
from .runs.rng_state import seed_from
from .sampling import Reservoir, Samples, Source, samples_of

PROBE_BATCH = 512


class Probe(Source):
    """A fixed set of inputs, run in eval mode whenever something is due, leaving no trace in the model.

    Args:
        model: the model.
        inputs: a tensor or array (cut into batches), or an iterable of batches that can be iterated repeatedly: a list,
            a ``DataLoader``. A batch is a tensor, a tuple or list whose first item is the input, or a dict of keyword
            arguments.
        max_samples: rows kept per site.
        seed: seed of their choice.
        mask: as for `Capture`.
    """

    mode = "eval"

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        *,
        max_samples: int,
        seed: int,
        mask: Mask | None = None,
        per_call: bool = False,
    ) -> None:
        self._model, self._per_call = model, per_call
        self._mask = mask
        self._batches = _as_batches(inputs)
        self._limit = max_samples
        self._seed = seed

    def release(self) -> None:
        """Let the model and the probe set go: nothing will be asked any more."""
        vars(self).pop("_model", None)
        self._batches = ()

    def collect(self, requests: Sequence[Request], step: int) -> Samples:
        """Run the probe set through the model; keep the same rows at every step."""
        seed = seed_from(self._seed)
        watch = Capture(
            self._model, requests, mask=self._mask, into=lambda: Reservoir(self._limit, seed), per_call=self._per_call
        )
        watch.attach()
        try:
            with untouched(self._model), random_states_kept(self._model), torch.no_grad():
                for number, batch in enumerate(self._batches):
                    with _naming_batch(number):
                        _run(self._model, batch)
        finally:
            watch.detach()
        watch.check()
        return samples_of(watch.take())


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode; afterwards restore every module's mode and every buffer, bit for bit."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    to_eval_mode(model)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


@contextmanager
def _naming_batch(number: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(
            f"It was raised for batch {number} of the probe set. A tensor is cut into batches; each item of another "
            "collection is one batch: an input, (input, ...) or a dict of keyword inputs."
        )
        raise


def _as_batches(inputs: Any) -> Iterable[Any]:
    if isinstance(inputs, np.ndarray):
        inputs = torch.from_numpy(inputs)
    if isinstance(inputs, Tensor):
        if not len(inputs):
            raise ValueError("the probe set is empty; give it at least two samples")
        return inputs.split(PROBE_BATCH)
    if isinstance(inputs, str | bytes | Mapping) or not isinstance(inputs, Iterable):
        raise ValueError(f"a probe set is a tensor or an iterable of batches, got {type(inputs).__qualname__}")
    if isinstance(inputs, Sized) and not len(inputs):
        raise ValueError("the probe set has no batches; give it at least one")
    if iter(inputs) is inputs:
        raise ValueError("the probe set can be iterated only once; give a list of its batches instead")
    return inputs


def _run(model: nn.Module, batch: Any) -> None:
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    if isinstance(batch, Mapping):
        model(**{name: _on(device, value) for name, value in batch.items()})
    else:
        model(_on(device, batch[0] if isinstance(batch, list | tuple) else batch))


def _on(device: torch.device, value: Any) -> Any:
    return value.to(device, copy=True) if isinstance(value, Tensor) else value  # the model may change it
