"""Reductions over the pairs of units, one tile of the correlation matrix at a time.

Every source of correlations (stored co-moments, samples in memory, weights) yields its upper triangle as
:class:`Tile` s. Entries that are no pair are zero, so that sums need no mask; their share is subtracted at the end.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .._base.argument_checks import check_count

# On the CPU a tile and its factors stay in cache; elsewhere a tile must be worth launching dozens of kernels.
BLOCK, WIDE_BLOCK = 256, 2048
FEW_PAIRS = 1 << 20  # up to here quartiles are exact
QUARTILES = (0.25, 0.5, 0.75)
MOST_BINS = 1 << 24  # counts of 8 bytes each
BINS = 4096  # of each of the two histograms beyond


class Tile:
    """Correlations of units ``row ...`` with units ``column ...``, ``row <= column``; each pair is in one tile.

    A tile whose row equals its column lies on the diagonal, and may be wider than high.

    Attributes:
        raw: correlations as computed: rounding may carry them beyond ±1, and a tile on the diagonal holds both
            triangles. 0 in the padding and for units without a correlation. Valid until the next tile is made.
    """

    def __init__(self, row: int, column: int, raw: Tensor) -> None:
        self.row, self.column, self.raw = row, column, raw

    @property
    def on_diagonal(self) -> bool:
        """Whether rows and columns begin with the same unit; then only entries above the diagonal are pairs."""
        return self.row == self.column

    @cached_property
    def values(self) -> Tensor:
        """Correlations within [-1, 1], 0 where there is no pair (on and below the diagonal too); overwrites ``raw``."""
        self.raw.clamp_(-1, 1)
        return self.raw.triu_(1) if self.on_diagonal else self.raw


Tiles = Callable[[], Iterator[Tile]]


@dataclass(frozen=True)
class Pairs:
    """A source of tiles, and which of its units have a defined correlation.

    Attributes:
        tiles: called for each pass over the pairs.
        defined: units with a correlation, bool, shape (n_units,).
    """

    tiles: Tiles
    defined: Tensor

    @cached_property
    def n_units(self) -> int:
        """Number of defined units."""
        return int(self.defined.sum())

    @property
    def n_defined(self) -> int:
        """Number of pairs of two different defined units."""
        return self.n_units * (self.n_units - 1) // 2

    def mean_abs(self) -> Tensor:
        """Return the mean of |rho| over pairs, a float64 scalar; NaN if there is none."""
        return self._mean([tile.values.abs().sum() for tile in self.tiles()])

    def mean_abs_and_quartiles(self) -> tuple[Tensor, Tensor]:
        """Return what `mean_abs` and `quartiles` do, in a single pass if the pairs are few."""
        if self.n_defined == 0 or not self._few:
            return self.mean_abs(), self.quartiles()
        magnitudes = [tile.values.abs() for tile in self.tiles()]
        return self._mean([part.sum() for part in magnitudes]), self._sorted_quartiles(magnitudes)

    def histogram(self, bins: int = 50) -> Tensor:
        """Return counts of |rho| in equal bins over [0, 1], int64, shape (bins,)."""
        check_count(bins, "bins", most=MOST_BINS)
        return self._counts(bins, [(0.0, 1.0)])[0]

    def quartiles(self) -> Tensor:
        """Return lower quartile, median and upper quartile of |rho|, shape (3,).

        Exact (linear interpolation) if all units, defined or not, have up to about a million pairs; beyond, within 6e-8
        by two passes of histograms.
        """
        device = self.defined.device
        if self.n_defined == 0:
            return torch.full((len(QUARTILES),), torch.nan, dtype=torch.float64, device=device)
        if self._few:
            return self._sorted_quartiles([tile.values.abs() for tile in self.tiles()])
        levels = torch.tensor(QUARTILES, dtype=torch.float64, device=device)
        return self._quantiles((levels * (self.n_defined - 1)).long())

    def strongest_partner(self) -> tuple[Tensor, Tensor]:
        """Return each unit's correlation of largest magnitude and its partner in it.

        Returns:
            Correlations, float64, NaN where undefined, and indices, int64, -1 where undefined; both (n_units,).
        """
        shape, device = self.defined.shape, self.defined.device
        partner = torch.full(shape, -1, dtype=torch.int64, device=device)
        strongest = torch.full(shape, torch.nan, dtype=torch.float64, device=device)
        for tile in self.tiles() if len(self.defined) else ():
            keep = self._is_pair(tile)
            values = tile.values[: keep.shape[0], : keep.shape[1]].double().masked_fill(~keep, torch.nan)
            # a pair stands in one place, so each tile is also looked at by its columns
            for row, column, part in ((tile.row, tile.column, values), (tile.column, tile.row, values.T)):
                rows = slice(row, row + len(part))
                top, index = part.abs().nan_to_num(-1.0).max(1)
                better = top > strongest[rows].abs().nan_to_num(-1.0)
                strongest[rows] = torch.where(better, part.gather(1, index[:, None])[:, 0], strongest[rows])
                partner[rows] = torch.where(better, index + column, partner[rows])
        return strongest, partner

    @property
    def _few(self) -> bool:
        """Whether the entries of all tiles are few enough to be held and sorted."""
        return len(self.defined) * (len(self.defined) - 1) // 2 <= FEW_PAIRS

    def _mean(self, sums: list[Tensor]) -> Tensor:
        return torch.stack(sums).sum(dtype=torch.float64) / self.n_defined

    def _sorted_quartiles(self, magnitudes: list[Tensor]) -> Tensor:
        """Return the quartiles of |rho|, given all tiles of it.

        Entries that are no pair are 0, so that they come first and shift the ranks of pairs by their number.
        """
        ordered = torch.cat([part.flatten() for part in magnitudes]).sort().values
        places = [len(ordered) - self.n_defined + level * (self.n_defined - 1) for level in QUARTILES]
        below = [math.floor(place) for place in places]
        above = [math.ceil(place) for place in places]
        low, high = ordered[torch.tensor([below, above], device=ordered.device)].double()
        share = [place - one for place, one in zip(places, below, strict=True)]
        return torch.lerp(low, high, torch.tensor(share, dtype=torch.float64, device=ordered.device))

    def _counts(self, bins: int, ranges: Sequence[tuple[float, float]]) -> Tensor:
        """Return a histogram of |rho| for each of the ranges, in one pass; int64, shape (n_ranges, bins)."""
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
        """Return the values of given ranks to within 1/BINS²: one pass finds the bin, the next one the place in it."""
        coarse = self._counts(BINS, [(0.0, 1.0)])[0].cumsum(0)
        bins = torch.searchsorted(coarse, ranks, right=True).clamp(max=BINS - 1)
        before = torch.where(bins > 0, coarse[bins - 1], 0)
        fine = self._counts(BINS, [(b / BINS, (b + 1) / BINS) for b in bins.tolist()]).cumsum(1)
        places = torch.searchsorted(fine, (ranks - before)[:, None], right=True)[:, 0].clamp(max=BINS - 1)
        return (bins.double() + (places.double() + 0.5) / BINS) / BINS

    def _is_pair(self, tile: Tile) -> Tensor:
        """Return which entries of a tile are pairs, bool, without the padding."""
        height, width = tile.values.shape
        rows, columns = self.defined[tile.row : tile.row + height], self.defined[tile.column : tile.column + width]
        keep = rows[:, None] & columns
        return keep.triu(1) if tile.on_diagonal else keep


def blocks(n_units: int, device: torch.device) -> tuple[int, int]:
    """Return number and width of the equal column blocks that cover ``n_units``, as wide as the device prefers."""
    number = max(1, -(-n_units // (BLOCK if device.type == "cpu" else WIDE_BLOCK)))
    return number, -(-n_units // number)
