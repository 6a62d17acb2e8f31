"""The arrays of the latest recordings, put by in case no later one comes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from .measures import Measure
from .runs.rows import Array

Make = Callable[[], list[Array]]


class LateArrays:
    """Says at each recording of a measure which arrays to write now, and keeps the others for the end.

    Arrays are large, so most recordings do without; but those of the last one are wanted, and which is the last
    shows only afterwards. Until then what it takes to make them is held; a state dict holds them made.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._waiting: dict[str, Make] = {}

    def recorded(self, measure: Measure, make: Make) -> list[Array]:
        """A measure was taken: its arrays, if they are due now."""
        identity = measure.identity
        self._counts[identity] = self._counts.get(identity, 0) + 1
        self._waiting.pop(identity, None)
        if measure.arrays_every.due(self._counts[identity]):
            return make()
        self._waiting[identity] = make
        return []

    def take(self) -> list[Array]:
        """All that wait, after which none does."""
        waiting, self._waiting = self._waiting, {}
        return [array for make in waiting.values() for array in make()]

    def state_dict(self) -> dict[str, Any]:
        """The counts and the waiting arrays, in types that a checkpoint keeps."""
        made = {identity: make() for identity, make in self._waiting.items()}
        self._waiting = {identity: _made(arrays) for identity, arrays in made.items()}
        return {
            "counts": dict(self._counts),
            "waiting": {identity: [_plain(array) for array in arrays] for identity, arrays in made.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any], *, run: str) -> list[Array]:
        """Go on from a state, under the run's present name; returns what waits again."""
        self._counts = dict(state["counts"])
        waiting = {
            identity: [_from_plain(one)._replace(run=run) for one in arrays]
            for identity, arrays in state["waiting"].items()
        }
        self._waiting = {identity: _made(arrays) for identity, arrays in waiting.items()}
        return [array for arrays in waiting.values() for array in arrays]


def _made(arrays: list[Array]) -> Make:
    return lambda: arrays


def _plain(array: Array) -> list[Any]:
    return [*array[:4], torch.from_numpy(array.value)]


def _from_plain(array: Sequence[Any]) -> Array:
    run, step, site, name, value = array
    return Array(run, step, site, name, value.numpy())
