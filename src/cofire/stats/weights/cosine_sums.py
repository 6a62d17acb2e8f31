"""Cosines between the rows of a matrix, summed without a table of all pairs."""

import math
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from .._base.arrays import working_dtype
from .._base.definitions import are_dead
from ..correlation.pair_tiles import Pairs, Tile, blocks
from .resultant import resultant

TILE_ROWS = 4096
REACH = 2.0**40  # lengths between 1 / REACH and REACH multiply without leaving float32


class Cosines:
    """Cosines between vectors; vectors of different groups share no axis, so their cosine is 0.

    Zero vectors and those with a NaN or an infinity have no direction and form no pairs.
    """

    def __init__(self, vectors: Tensor, groups: int = 1) -> None:
        self.groups = groups
        self._see(vectors.to(working_dtype(vectors.dtype, torch.float32)))
        self._size = self.lengths
        # both are NaN if a length is, and then the test fails
        shortest, longest = (float(length) for length in self.lengths.aminmax())
        # lengths in this range rule out overflow; finding the peaks costs ten times as much as the lengths
        if not (shortest > 1 / REACH and longest < REACH):
            self._size = torch.linalg.vector_norm(self.vectors, torch.inf, dim=1)
            self._see(_over_peak(self.vectors, self._size))

    def _see(self, vectors: Tensor) -> None:
        self.vectors = vectors
        groups = [resultant(part) for part in vectors.chunk(self.groups)]
        self.lengths = torch.cat([group.lengths for group in groups])
        self._resultant_square = torch.cat([group.total for group in groups]).square().sum()

    @cached_property
    def n_zero(self) -> int:
        """Number of zero vectors."""
        return int(are_dead(self._size).sum())

    @property
    def n_nonfinite(self) -> int:
        """Number of vectors that contain a NaN or an infinity."""
        return len(self.vectors) - self.n_zero - self.pairs.n_units

    @cached_property
    def defined(self) -> Tensor:
        """Which vectors have a direction, bool, shape (n_vectors,)."""
        return (self._size > 0) & (self._size < math.inf)

    @cached_property
    def pairs(self) -> Pairs:
        """The cosines as tiles."""
        return Pairs(self._tiles, self.defined)

    def signed_mean(self) -> float:
        """Return the mean over pairs, from ‖Σ unit vectors‖² − n in each group; NaN without pairs."""
        number = self.pairs.n_units
        if number < 2:
            return math.nan
        return max(-1.0, min((float(self._resultant_square) - number) / (number * (number - 1)), 1.0))

    def _tiles(self) -> Iterator[Tile]:
        inverse = self.lengths.reciprocal().masked_fill_(~self.defined, 0.0).to(self.vectors.dtype)
        n_vectors = len(self.vectors)
        _, width = blocks(n_vectors, self.vectors.device)
        for start in range(0, n_vectors, width):
            stop = min(start + width, n_vectors)
            for row in range(0, max(start, 1), TILE_ROWS):
                # the last product of a column also has the tile on the diagonal
                last = row + TILE_ROWS >= start
                above = start - row if last else TILE_ROWS
                values = self._cosines(slice(row, stop if last else row + TILE_ROWS), slice(start, stop), inverse)
                if above:
                    yield Tile(row, start, values[:above])
                if last:
                    yield Tile(start, start, values[above:])

    def _cosines(self, rows: slice, columns: slice, inverse: Tensor) -> Tensor:
        values = self.vectors[rows] @ self.vectors[columns].T
        values.mul_(inverse[rows, None]).mul_(inverse[columns])
        if self.groups > 1:
            group = torch.arange(len(self.vectors), device=values.device) * self.groups // len(self.vectors)
            values.masked_fill_(group[rows, None] != group[columns], 0.0)
        return values


def _over_peak(vectors: Tensor, peak: Tensor) -> Tensor:
    """Return vectors of the same directions whose squares stay in range; non-finite vectors become zero."""
    usable = peak.isfinite() & (peak > 0)
    exponent = torch.where(usable, torch.frexp(peak).exponent, 0)[:, None]
    # powers of two add no rounding error; two steps keep each factor within the range of the type
    scaled = torch.ldexp(torch.ldexp(vectors, -(exponent // 2)), exponent // 2 - exponent)
    return torch.where(usable[:, None], scaled, 0.0)
