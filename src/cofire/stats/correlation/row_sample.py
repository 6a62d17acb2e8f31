"""A few rows of a stream, kept fairly: every row has the same chance to stay, whatever the batches and merges."""

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

ELEMENTS = 1 << 16
FEWEST, MOST = 64, 512


def rows_to_keep(n_units: int) -> int:
    """How many rows stand for all in an estimate of the standard error: fewer where rows are long."""
    return max(FEWEST, min(MOST, ELEMENTS // max(n_units, 1)))


class RowSketch:
    """Up to some hundred rows of all those seen: the ones whose index hashes lowest (a bottom-k sketch).

    The choice depends on the rows' places in the stream only, never on their values, and draws no random number.
    Merging two sketches keeps the lowest of both, which represents the two streams by their sizes.
    """

    def __init__(self, n_units: int) -> None:
        self.n_units = n_units
        self.most = rows_to_keep(n_units)
        self.priority = np.empty(0, dtype=np.uint64)
        self._rows: Tensor | None = None

    def add(self, samples: Tensor, start: int) -> None:
        """Consider rows whose places in the stream are ``start``, ``start`` + 1, ..."""
        priority = hashed(np.arange(start, start + len(samples), dtype=np.uint64))
        if len(self.priority) < self.most or priority.min() < self.priority.max():
            self.keep(priority, samples)

    def rows(self) -> Tensor:
        """The kept rows, shape (n_rows, n_units)."""
        kept = torch.empty(0, self.n_units, device="cpu") if self._rows is None else self._rows
        return kept[: len(self.priority)]

    def __add__(self, other: "RowSketch") -> "RowSketch":
        merged = deepcopy(self)
        if len(other.priority):
            merged.keep(other.priority, other.rows())
        return merged

    def keep(self, priority: np.ndarray, rows: Tensor) -> None:
        """Let the rows of lowest priority stay, among those kept and these, which take the places of those that go."""
        held = len(self.priority)
        lowest = _lowest(np.concatenate([self.priority, priority]), self.most)
        staying, coming = lowest[lowest < held], lowest[lowest >= held] - held
        places = np.setdiff1d(np.arange(len(lowest)), staying)
        kept = np.empty(len(lowest), dtype=np.uint64)
        kept[staying], kept[places] = self.priority[staying], priority[coming]
        self.priority = kept
        room = self._room(rows)
        room[torch.from_numpy(places).to(room.device)] = rows[torch.from_numpy(coming).to(rows.device)].to(room)

    def _room(self, rows: Tensor) -> Tensor:
        """Where the kept rows lie, shape (most, n_units), of a type that holds ``rows`` too."""
        if self._rows is None:
            self._rows = rows.new_empty(self.most, self.n_units)
        self._rows = self._rows.to(torch.promote_types(self._rows.dtype, rows.dtype))
        return self._rows


def _lowest(values: np.ndarray, number: int) -> np.ndarray:
    """Indices of the lowest values, in order; of equal ones the first."""
    number = min(number, len(values))
    few = np.flatnonzero(values <= np.partition(values, number - 1)[number - 1])
    return few[np.argsort(values[few], kind="stable")[:number]]


def hashed(index: np.ndarray) -> np.ndarray:
    """SplitMix64 of each index: a fixed, well-spread order of the integers."""
    with np.errstate(over="ignore"):
        z = (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
