"""What a summary needs of one tile of correlations, in one pass: compiled for tiles in the host's memory.

Elsewhere it is tensor operations, at a dozen passes over the tile; the two are held against each other in the tests.
"""

import math
from typing import Any

import torch
from torch import Tensor

from .noise_floor import Correction
from .pair_tiles import Tile


class TileSums:
    """Sums over tiles of rho, with w = exp(−(n_samples − 1) rho²/2) and the correction c = narrow w⁴ − wide w.

    Attributes:
        sums: of rho, rho², w, c and c², float64, shape (5,).
        strength: of each unit's abs(rho), float64, shape (n_units,).
        entries: how many were summed; those that stand for no pair have added ``at_zero``.
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
        """Add a tile, which is used up, and return the signs of its values, shaped and typed as they are."""
        height, width = tile.raw.shape
        self.entries += height * width - self._below(tile)
        return self._add(tile, self.strength[tile.row :][:height], self.strength[tile.column :][:width])

    def _below(self, tile: Tile) -> int:
        """Entries on and below the diagonal."""
        return len(tile.raw) * (len(tile.raw) + 1) // 2 if tile.on_diagonal else 0

    def _add_by_tensors(self, tile: Tile, above: Tensor, beside: Tensor) -> Tensor:
        values = tile.values
        magnitude, square = values.abs(), values * values
        w = (square * (-0.5 * self._freedom)).exp_()
        c = self._correction.narrow * w**4 - self._correction.wide * w
        sums = torch.stack([part.sum(dtype=torch.float64) for part in (values, square, w, c, c * c)])
        if tile.on_diagonal:
            sums -= self._below(tile) * sums.new_tensor(self.at_zero)
        self.sums += sums
        above += magnitude.sum(1)[: len(above)]
        beside += magnitude.sum(0)[: len(beside)]
        return values.sign()

    def _add_compiled(self, tile: Tile, above: Tensor, beside: Tensor) -> Tensor:
        # compiled code is imported when it is first wanted: it takes longer to load than most tiles take to sum
        from .tile_sums_numba import add_tile

        values: Any = tile.raw.numpy()
        number = values.dtype.type
        decay, weights = number(-0.5 / math.log(2) * self._freedom), tuple(map(number, self._correction[:2]))
        add_tile(values, tile.on_diagonal, decay, weights, above.numpy(), beside.numpy(), self.sums.numpy())
        return tile.raw
