"""The arrays of the latest recordings, kept back in case no later one comes."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from .measures import Measure
from .runs.rows import Array

Make = Callable[[], list[Array]]


class LateArrays:
    """Decides at each recording whether to write a measure's arrays now, and keeps those of the latest for the end.

    Arrays are large, so most recordings do without them. Those of the last recording are wanted, but which one is the
    last is known only afterwards. Until then the inputs are kept, and arrays are computed when they are needed: at the
    end, or for a state dict.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._waiting: dict[str, Make] = {}

    def recorded(self, measure: Measure, make: Make) -> list[Array]:
        """Count a recording of a measure; return its arrays, if they are due now."""
        identity = measure.identity
        self._counts[identity] = self._counts.get(identity, 0) + 1
        self._waiting.pop(identity, None)
        if measure.arrays_every.due(self._counts[identity]):
            return make()
        self._waiting[identity] = make
        return []

    def take(self) -> list[Array]:
        """Return the arrays that were kept back, and keep none."""
        waiting, self._waiting = self._waiting, {}
        return [array for make in waiting.values() for array in make()]

    def state_dict(self) -> dict[str, Any]:
        """Return the counts and the arrays kept back, in types that a checkpoint can hold."""
        kept = {identity: make() for identity, make in self._waiting.items()}
        self._keep(kept)
        plain = {
            identity: [[*array[:4], torch.from_numpy(array.value), array.mode] for array in arrays]
            for identity, arrays in kept.items()
        }
        return {"counts": dict(self._counts), "waiting": plain}

    def load_state_dict(self, state: Mapping[str, Any], *, run: str) -> list[Array]:
        """Continue from a state, under the run's present name; return the arrays that are kept back again."""
        self._counts = dict(state["counts"])
        kept = {
            # States of the first format have no mode.
            identity: [
                Array(run, step, site, name, value.numpy(), *mode) for _, step, site, name, value, *mode in arrays
            ]
            for identity, arrays in state["waiting"].items()
        }
        self._keep(kept)
        return [array for arrays in kept.values() for array in arrays]

    def _keep(self, kept: Mapping[str, list[Array]]) -> None:
        self._waiting = {identity: lambda arrays=arrays: arrays for identity, arrays in kept.items()}
