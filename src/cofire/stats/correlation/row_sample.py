"""A fair sample of a stream's rows: each has the same chance to be kept, whatever the batches and merges."""

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

ELEMENTS = 1 << 16
FEWEST, MOST = 64, 512


def rows_to_keep(n_units: int) -> int:
    """Return how many rows are kept to estimate a standard error: fewer if rows are long."""
    return max(FEWEST, min(MOST, ELEMENTS // max(n_units, 1)))


class RowSketch:
    """The rows, some hundred at most, whose index hashes lowest among all those seen (a bottom-k sketch).

    The choice depends on the rows' places in the stream, not on their values, and uses no random numbers. Merging two
    sketches keeps the lowest of both, which represents the two streams in proportion to their sizes.
    """

    def __init__(self, n_units: int) -> None:
        self.n_units = n_units
        self.most = rows_to_keep(n_units)
        self.priority = np.empty(0, dtype=np.uint64)
        self._rows: Tensor | None = None

    def add(self, samples: Tensor, start: int) -> None:
        """Consider the rows at places ``start``, ``start`` + 1, ... of the stream."""
        priority = hashed(np.arange(start, start + len(samples), dtype=np.uint64))
        if len(self.priority) < self.most or priority.min() < self.priority.max():
            self.keep(priority, samples)

    def rows(self) -> Tensor:
        """Return the kept rows, shape (n_rows, n_units)."""
        kept = torch.empty(0, self.n_units, device="cpu") if self._rows is None else self._rows
        return kept[: len(self.priority)]

    def __add__(self, other: "RowSketch") -> "RowSketch":
        merged = deepcopy(self)
        if len(other.priority):
            merged.keep(other.priority, other.rows())
        return merged

    def keep(self, priority: np.ndarray, rows: Tensor) -> None:
        """Keep the rows of lowest priority among the present ones and these; new rows replace those that leave."""
        held = len(self.priority)
        everyone = np.concatenate([self.priority, priority])
        number = min(self.most, len(everyone))
        few = np.flatnonzero(everyone <= np.partition(everyone, number - 1)[number - 1])  # all ties of the last one
        lowest = few[np.argsort(everyone[few], kind="stable")[:number]]
        staying, coming = lowest[lowest < held], lowest[lowest >= held] - held
        places = np.setdiff1d(np.arange(number), staying)
        kept = np.empty(number, dtype=np.uint64)
        kept[staying], kept[places] = self.priority[staying], priority[coming]
        self.priority = kept
        if self._rows is None:
            self._rows = rows.new_empty(self.most, self.n_units)
        room = self._rows = self._rows.to(torch.promote_types(self._rows.dtype, rows.dtype))
        room[torch.from_numpy(places).to(room.device)] = rows[torch.from_numpy(coming).to(rows.device)].to(room)


def hashed(index: np.ndarray) -> np.ndarray:
    """Return SplitMix64 of each index: a fixed order of the integers that looks random."""
    with np.errstate(over="ignore"):
        z = (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
