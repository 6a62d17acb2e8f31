"""Reductions over the pairs of units, one tile of the correlation matrix at a time.

Every source of correlations (stored co-moments, samples in memory, weights) yields its upper triangle as
:class:`Tile` s. A unit without a defined correlation has zeros there; its pairs are discounted at the end.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 256
FEW_PAIRS = 1 << 20
BINS = 4096


class Tile(NamedTuple):
    """Correlations of units ``row ...`` with units ``column ...``.

    On the diagonal (``row == column``) the tile is square and symmetric; elsewhere each pair stands in it once.
    """

    row: int
    column: int
    values: Tensor

    @property
    def on_diagonal(self) -> bool:
        """Whether the tile holds each of its pairs twice, and each of its units with itself."""
        return self.row == self.column


Tiles = Callable[[], Iterator[Tile]]


@dataclass(frozen=True)
class Pairs:
    """A source of tiles, and which of its units have a defined correlation.

    Attributes:
        tiles: called for each pass over the pairs.
        defined: bool, shape (n_units,).
    """

    tiles: Tiles
    defined: Tensor

    @property
    def n_defined(self) -> int:
        """Number of pairs of two different defined units."""
        return _pairs_of(int(self.defined.sum()))

    @property
    def n_undefined(self) -> int:
        """Number of pairs that stand as zeros in the tiles."""
        return _pairs_of(len(self.defined)) - self.n_defined

    def total(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Sum of ``function(rho)`` over the defined pairs; ``function`` works elementwise."""
        return sum_over_pairs(self.tiles(), function) - self.n_undefined * function(self._zero())[0].double()

    def histogram(self, bins: int = 50) -> Tensor:
        """Counts of |rho| in equal bins over [0, 1], int64, shape (bins,)."""
        if bins < 1:
            raise ValueError(f"bins must be at least 1, got {bins}")
        return self._counts(bins, [(0.0, 1.0)])[0]

    def quartiles(self) -> Tensor:
        """Lower quartile, median and upper quartile of |rho|, shape (3,).

        Exact (linear interpolation) up to about a million pairs; beyond, to 6e-8 by two passes of histograms.
        """
        levels = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64, device=self.defined.device)
        if self.n_defined == 0:
            return torch.full_like(levels, torch.nan)
        if self.n_defined <= FEW_PAIRS:
            return torch.quantile(self._magnitudes(), levels)
        return self._quantiles((levels * (self.n_defined - 1)).long())

    def strongest_partner(self) -> tuple[Tensor, Tensor]:
        """For each unit the correlation of largest magnitude and the unit it is with.

        Returns:
            Correlations, float64, NaN where undefined, and indices, int64, -1 where undefined; both (n_units,).
        """
        best = torch.full(self.defined.shape, -1.0, dtype=torch.float64, device=self.defined.device)
        partner = torch.full(self.defined.shape, -1, dtype=torch.int64, device=self.defined.device)
        signed = torch.full_like(best, torch.nan)
        for tile in self.tiles():
            for row, column, values in _both_ways(tile):
                self._raise_best(best, signed, partner, row, column, values)
        return signed, partner

    def _raise_best(self, best: Tensor, signed: Tensor, partner: Tensor, row: int, column: int, values: Tensor) -> None:
        height, width = values.shape
        rows, columns = slice(row, row + height), slice(column, column + width)
        magnitude = values.double().abs().masked_fill_(~self.defined[columns], -1.0)
        if row == column:
            magnitude.fill_diagonal_(-1.0)
        top, index = magnitude.max(1)
        better = (top > best[rows]) & self.defined[rows]
        best[rows] = torch.where(better, top, best[rows])
        partner[rows] = torch.where(better, index + column, partner[rows])
        chosen = values.gather(1, index[:, None])[:, 0].double()
        signed[rows] = torch.where(better, chosen, signed[rows])

    def _counts(self, bins: int, ranges: Sequence[tuple[float, float]]) -> Tensor:
        """Histogram of |rho| over each of the ranges, in one pass; int64, shape (n_ranges, bins)."""
        counts = torch.zeros(len(ranges), bins, dtype=torch.int64, device=self.defined.device)
        for tile in self.tiles():
            # half of a diagonal tile is taken, not half of its counts: rounding may part a pair's two entries
            magnitude = (tile.values[_above(tile.values)] if tile.on_diagonal else tile.values).abs()
            for row, (low, high) in enumerate(ranges):
                counts[row] += torch.histc(magnitude, bins, low, high).round().to(torch.int64)
        from_zero = torch.tensor([low == 0.0 for low, _ in ranges], device=counts.device)
        counts[from_zero, 0] -= self.n_undefined
        return counts

    def _quantiles(self, ranks: Tensor) -> Tensor:
        """The values with these many others below them, to 1/BINS²: one pass for the bin, one for the place in it."""
        coarse = self._counts(BINS, [(0.0, 1.0)])[0].cumsum(0)
        bins = torch.searchsorted(coarse, ranks, right=True).clamp(max=BINS - 1)
        before = torch.where(bins > 0, coarse[bins - 1], 0)
        fine = self._counts(BINS, [(b / BINS, (b + 1) / BINS) for b in bins.tolist()]).cumsum(1)
        places = torch.searchsorted(fine, (ranks - before)[:, None], right=True)[:, 0].clamp(max=BINS - 1)
        return (bins.double() + (places.double() + 0.5) / BINS) / BINS

    def _magnitudes(self) -> Tensor:
        """|rho| of every defined pair; only for few pairs."""
        return torch.cat([self._defined_of(tile).double().abs() for tile in self.tiles()])

    def _defined_of(self, tile: Tile) -> Tensor:
        height, width = tile.values.shape
        keep = self.defined[tile.row : tile.row + height, None] & self.defined[tile.column : tile.column + width]
        return tile.values[keep.triu(1) if tile.on_diagonal else keep]

    def _zero(self) -> Tensor:
        return torch.zeros(1, dtype=torch.float64, device=self.defined.device)


def sum_over_pairs(tiles: Iterable[Tile], function: Callable[[Tensor], Tensor]) -> Tensor:
    """Sum of ``function`` over the pairs of all tiles, undefined ones included, as a float64 scalar."""
    totals = [half_of_diagonal(tile, function(tile.values)) for tile in tiles]
    return torch.stack(totals).sum()


def half_of_diagonal(tile: Tile, values: Tensor) -> Tensor:
    """Sum of ``values`` (shaped as the tile) in which each pair counts once and no unit pairs with itself."""
    total = values.sum().double()
    return (total - values.diagonal().sum().double()) / 2 if tile.on_diagonal else total


def blocks(n_units: int) -> tuple[int, int]:
    """Number and width of the equal column blocks (at most ``BLOCK`` wide) that cover ``n_units``."""
    number = max(1, -(-n_units // BLOCK))
    return number, -(-n_units // number)


def _above(square: Tensor) -> Tensor:
    return torch.ones_like(square, dtype=torch.bool).triu(1)


def _both_ways(tile: Tile) -> Iterator[Tile]:
    yield tile
    if not tile.on_diagonal:
        yield Tile(tile.column, tile.row, tile.values.T)


def _pairs_of(units: int) -> int:
    return units * (units - 1) // 2
