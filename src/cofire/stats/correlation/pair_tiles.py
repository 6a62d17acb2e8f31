"""Reductions over the pairs of units, one tile of the correlation matrix at a time.

Every source of correlations (stored co-moments, samples in memory, weights) yields its upper triangle as
:class:`Tile` s. Entries that stand for no pair are zero in their values, so that sums need no mask; their share is
taken off at the end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

# On the CPU a tile and what it is made of stay in cache; elsewhere it must be worth its dozens of kernels.
BLOCK, WIDE_BLOCK = 256, 2048
FEW_PAIRS = 1 << 20
BINS = 4096


class Tile:
    """Correlations of units ``row ...`` with units ``column ...``, ``row <= column``; each pair stands in one place.

    A tile whose row is its column lies on the diagonal, and may be wider than high.

    Attributes:
        raw: as they were computed: rounding may carry them beyond ±1, and on the diagonal both triangles are there.
            0 in the padding and for units without a correlation. Good until the next tile is made.
    """

    def __init__(self, row: int, column: int, raw: Tensor) -> None:
        self.row, self.column, self.raw = row, column, raw

    @property
    def on_diagonal(self) -> bool:
        """Whether the two begin with the same unit; then only what is above the diagonal stands for pairs."""
        return self.row == self.column

    @cached_property
    def values(self) -> Tensor:
        """Within [-1, 1], and 0 where there is no pair: below and on the diagonal too. Taken in place of ``raw``."""
        self.raw.clamp_(-1, 1)
        return self.raw.triu_(1) if self.on_diagonal else self.raw


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
        number = int(self.defined.sum())
        return number * (number - 1) // 2

    def total(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Sum of ``function(rho)`` over the defined pairs, a float64 scalar; ``function`` works elementwise."""
        sums, entries = [], 0
        for tile in self.tiles():
            sums.append(function(tile.values).sum().double())
            entries += tile.values.numel()
        no_pair = function(torch.zeros(1, dtype=torch.float64, device=self.defined.device))[0]
        return torch.stack(sums).sum() - (entries - self.n_defined) * no_pair

    def histogram(self, bins: int = 50) -> Tensor:
        """Counts of |rho| in equal bins over [0, 1], int64, shape (bins,)."""
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
            raise ValueError(f"bins must be a whole number of at least 1, got {bins!r}")
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
        strongest = _Strongest(self.defined)
        for tile in self.tiles() if len(self.defined) else ():
            keep = self._is_pair(tile)
            values = tile.values[: keep.shape[0], : keep.shape[1]]
            strongest.see(tile.row, tile.column, values, keep)
            strongest.see(tile.column, tile.row, values.T, keep.T)
        return strongest.signed, strongest.partner

    def _counts(self, bins: int, ranges: Sequence[tuple[float, float]]) -> Tensor:
        """Histogram of |rho| over each of the ranges, in one pass; int64, shape (n_ranges, bins)."""
        counts = torch.zeros(len(ranges), bins, dtype=torch.int64, device=self.defined.device)
        entries = 0
        for tile in self.tiles():
            magnitude = tile.values.abs()
            entries += magnitude.numel()
            for row, (low, high) in enumerate(ranges):
                counts[row] += torch.histc(magnitude, bins, low, high).round().to(torch.int64)
        from_zero = torch.tensor([low == 0.0 for low, _ in ranges], device=counts.device)
        counts[from_zero, 0] -= entries - self.n_defined
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
        found = []
        for tile in self.tiles():
            keep = self._is_pair(tile)
            found.append(tile.values[: keep.shape[0], : keep.shape[1]][keep].double().abs())
        return torch.cat(found)

    def _is_pair(self, tile: Tile) -> Tensor:
        """Which entries of a tile stand for a pair, bool; without the padding."""
        height, width = tile.values.shape
        rows, columns = self.defined[tile.row : tile.row + height], self.defined[tile.column : tile.column + width]
        keep = rows[:, None] & columns
        return keep.triu(1) if tile.on_diagonal else keep


class _Strongest:
    """Each unit's strongest correlation so far."""

    def __init__(self, defined: Tensor) -> None:
        self.partner = torch.full(defined.shape, -1, dtype=torch.int64, device=defined.device)
        self.signed = torch.full(defined.shape, torch.nan, dtype=torch.float64, device=defined.device)
        self.magnitude = torch.full_like(self.signed, -1.0)

    def see(self, row: int, column: int, values: Tensor, keep: Tensor) -> None:
        """Units ``row ...`` by units ``column ...``; ``keep`` says which entries count."""
        rows = slice(row, row + len(values))
        top, index = values.double().abs().masked_fill_(~keep, -1.0).max(1)
        better = top > self.magnitude[rows]
        chosen = values.gather(1, index[:, None])[:, 0].double()
        self.magnitude[rows] = torch.where(better, top, self.magnitude[rows])
        self.partner[rows] = torch.where(better, index + column, self.partner[rows])
        self.signed[rows] = torch.where(better, chosen, self.signed[rows])


def blocks(n_units: int, device: torch.device) -> tuple[int, int]:
    """Number and width of the equal column blocks that cover ``n_units``, as wide as the device wants them."""
    number = max(1, -(-n_units // (BLOCK if device.type == "cpu" else WIDE_BLOCK)))
    return number, -(-n_units // number)
