"""What a summary needs of one tile of correlations, in one pass: compiled for tiles in the host's memory.

Elsewhere it is tensor operations, at a dozen passes over the tile; the two are held against each other in the tests.
"""

import math
from typing import Any

import torch
from torch import Tensor

from .pairs import Tile

# At a true correlation of t standard errors, |r| is too large by 2φ(t) − 2tΦ(−t) of them. Taken off instead is
# c(u) = NARROW exp(−2u²) − WIDE exp(−u²/2) of u = |r|/s, whose mean under the noise is exactly that bias at t = 0
# (which fixes WIDE), hardly differs beyond t = 3, and between takes off too much, by no more than REMAINING_BIAS
# times the mean of exp(−u²/2): docs/decisions/0002.
NARROW = 3.0
WIDE = NARROW * math.sqrt(2 / 5) - 2 / math.sqrt(math.pi)
REMAINING_BIAS = 0.57
AT_ZERO = (0.0, 0.0, 1.0, NARROW - WIDE, (NARROW - WIDE) ** 2)


class TileSums:
    """Sums over tiles of rho, with w = exp(−freedom rho²/2) and c = NARROW w⁴ − WIDE w.

    Attributes:
        sums: of rho, rho², w, c and c², float64, shape (5,).
        strength: of each unit's abs(rho), float64, shape (n_units,).
        entries: how many were summed; those that stand for no pair have added ``AT_ZERO``.
    """

    def __init__(self, n_units: int, freedom: int, device: torch.device) -> None:
        self.sums = torch.zeros(len(AT_ZERO), dtype=torch.float64, device=device)
        self.strength = torch.zeros(n_units, dtype=torch.float64, device=device)
        self.entries = 0
        self._freedom = freedom
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
        c = NARROW * w**4 - WIDE * w
        sums = torch.stack([part.sum(dtype=torch.float64) for part in (values, square, w, c, c * c)])
        if tile.on_diagonal:
            sums -= self._below(tile) * sums.new_tensor(AT_ZERO)
        self.sums += sums
        above += magnitude.sum(1)[: len(above)]
        beside += magnitude.sum(0)[: len(beside)]
        return values.sign()

    def _add_compiled(self, tile: Tile, above: Tensor, beside: Tensor) -> Tensor:
        # compiled code is imported when it is first wanted: it takes longer to load than most tiles take to sum
        from ._tile_kernel import add_tile

        values: Any = tile.raw.numpy()
        number = values.dtype.type
        decay, weights = number(-0.5 / math.log(2) * self._freedom), (number(NARROW), number(WIDE))
        add_tile(values, tile.on_diagonal, decay, weights, above.numpy(), beside.numpy(), self.sums.numpy())
        return tile.raw
