"""The sums over correlations that a summary needs, tile by tile.

Tiles in the host's memory go through a compiled loop in one pass; others take a dozen tensor operations. Tests compare
the two.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .noise_floor import Correction
from .pair_tiles import Tile


class Means(NamedTuple):
    """Means over pairs, with w and c as in `TileSums`."""

    signed: float
    square: float
    weak: float
    correction: float
    correction_square: float
    magnitude: float


class TileSums:
    """Sums over tiles of rho, with w = exp(−(n_samples − 1) rho²/2) and the correction c = narrow w⁴ − wide w.

    Attributes:
        sums: sums of rho, rho², w, c and c², float64, shape (5,).
        strength: sum of abs(rho) for each unit, float64, shape (n_units,).
        entries: number of entries summed. Those that are no pair are 0 and have added ``at_zero`` to ``sums``; the
            compiled loop leaves out those on and below the diagonal.
    """

    def __init__(self, n_units: int, n_samples: int, device: torch.device) -> None:
        self._freedom, self._correction = max(n_samples - 1, 1), Correction.of(n_samples)
        difference = self._correction.narrow - self._correction.wide
        self.at_zero = (0.0, 0.0, 1.0, difference, difference**2)
        self.sums = torch.zeros(len(self.at_zero), dtype=torch.float64, device=device)
        self.strength = torch.zeros(n_units, dtype=torch.float64, device=device)
        self.entries = 0
        self._add = self._add_compiled if device.type == "cpu" else self._add_by_tensors

    def add(self, tile: Tile) -> Tensor:
        """Add a tile, which is used up; return the signs of its values, of their shape and type."""
        height, width = tile.raw.shape
        above, beside = self.strength[tile.row : tile.row + height], self.strength[tile.column : tile.column + width]
        return self._add(tile, above, beside)

    def means(self, n_pairs: int) -> Means:
        """Return the means over the ``n_pairs`` defined pairs among the entries."""
        no_pair = self.entries - n_pairs
        totals = zip(self.sums.tolist(), self.at_zero, strict=True)
        means = ((total - no_pair * at_zero) / n_pairs for total, at_zero in totals)
        return Means(*means, magnitude=float(self.strength.sum()) / 2 / n_pairs)

    def _add_by_tensors(self, tile: Tile, above: Tensor, beside: Tensor) -> Tensor:
        values = tile.values
        magnitude, square = values.abs(), values * values
        w = (square * (-0.5 * self._freedom)).exp_()
        c = torch.sub(self._correction.narrow * w**4, w, alpha=self._correction.wide)
        self.sums += torch.stack([part.sum(dtype=torch.float64) for part in (values, square, w, c, c * c)])
        self.entries += values.numel()
        above += magnitude.sum(1)[: len(above)]
        beside += magnitude.sum(0)[: len(beside)]
        return values.sign()

    def _add_compiled(self, tile: Tile, above: Tensor, beside: Tensor) -> Tensor:
        # imported on first use: loading numba takes longer than summing most tiles
        from .tile_sums_numba import add_tile

        height, width = tile.raw.shape
        self.entries += height * width - (height * (height + 1) // 2 if tile.on_diagonal else 0)
        values: Any = tile.raw.numpy()
        number = values.dtype.type
        decay, weights = number(-0.5 / math.log(2) * self._freedom), tuple(map(number, self._correction[:2]))
        add_tile(values, tile.on_diagonal, decay, weights, above.numpy(), beside.numpy(), self.sums.numpy())
        return tile.raw
