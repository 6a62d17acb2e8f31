"""A few rows of a stream, kept fairly: every row has the same chance to stay, whatever the batches and merges."""

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
        worst = self.priority.max() if len(self.priority) == self.most else None
        chosen = np.arange(len(samples)) if worst is None else np.flatnonzero(priority < worst)
        chosen = chosen[np.argsort(priority[chosen], kind="stable")[: self.most]]
        if len(chosen):
            index = torch.from_numpy(chosen).to(samples.device)
            self.keep(priority[chosen], samples.index_select(0, index))

    def rows(self) -> Tensor:
        """The kept rows, shape (n_rows, n_units)."""
        return torch.empty(0, self.n_units, device="cpu") if self._rows is None else self._rows

    def __add__(self, other: "RowSketch") -> "RowSketch":
        merged = RowSketch(self.n_units)
        merged.priority, merged._rows = self.priority, self._rows
        if other._rows is not None:
            merged.keep(other.priority, other._rows)
        return merged

    def keep(self, priority: np.ndarray, rows: Tensor) -> None:
        """Let the rows of lowest priority stay, among those kept and these."""
        if self._rows is not None:
            priority = np.concatenate([self.priority, priority])
            wide = torch.promote_types(self._rows.dtype, rows.dtype)
            rows = torch.cat([self._rows.to(wide), rows.to(device=self._rows.device, dtype=wide)])
        lowest = np.argsort(priority, kind="stable")[: self.most]
        self.priority = priority[lowest]
        self._rows = rows[torch.from_numpy(lowest).to(rows.device)]


def hashed(index: np.ndarray) -> np.ndarray:
    """SplitMix64 of each index: a fixed, well-spread order of the integers."""
    with np.errstate(over="ignore"):
        z = (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
