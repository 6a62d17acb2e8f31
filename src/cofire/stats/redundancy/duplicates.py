"""Clusters of units that are copies, or negated copies, of one another."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..correlation.pair_tiles import BLOCK, Pairs, Tile
from .p_values import chance_of_correlation, critical_correlation


@dataclass(frozen=True)
class Cluster:
    """Units that all duplicate the first of them.

    Attributes:
        units: their indices; the first stands for the others.
        signs: 1 for a duplicate, -1 for a negated one.
        weakest: the smallest abs(rho) of a member with the first unit.
        p_value: upper bound on the chance that independent units show such a pair anywhere in the layer: the chance of
            ``weakest`` for one pair, times the number of pairs (Bonferroni).
    """

    units: tuple[int, ...]
    signs: tuple[int, ...]
    weakest: float
    p_value: float


def duplicate_clusters(pairs: Pairs, *, threshold: float, significance: float, freedom: int) -> tuple[Cluster, ...]:
    """Clusters around leaders: each unit joins the leader it is most alike, or leads itself.

    Every member is at least ``threshold`` alike its leader, and beyond what chance explains; members are not chained.
    Leaders are the lowest units that join no other.

    Args:
        pairs: correlations or cosines. Tiles come column by column, each column's diagonal tile last.
        threshold: abs(rho) from which on a pair counts as duplicate, above 0 and at most 1; raised to where the chance
            of any such pair among independent units is ``significance``.
        significance: that chance, above 0.
        freedom: n_samples − 2 for correlations, dimensions − 1 for cosines.

    Returns:
        Clusters of at least two units, by their first unit. None with ``freedom`` below 1.

    Raises:
        ValueError: if ``threshold`` or ``significance`` is out of range.
    """
    scan = DuplicateScan(pairs, threshold=threshold, significance=significance, freedom=freedom)
    for tile in pairs.tiles():
        scan.take(tile)
    return scan.clusters()


class DuplicateScan:
    """What :func:`duplicate_clusters` does, tile by tile, for passes that do more; O(n_units) in memory.

    Args: as for :func:`duplicate_clusters`.
    """

    def __init__(self, pairs: Pairs, *, threshold: float, significance: float, freedom: int) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")
        if not 0 < significance <= 1:
            raise ValueError(f"significance must be a probability above 0, got {significance}")
        self._n_pairs, self._freedom = pairs.n_defined, freedom
        self._threshold = max(threshold, self._beyond_chance(significance))
        self._itself = torch.arange(len(pairs.defined), device=pairs.defined.device)
        self._leader = self._itself.clone()
        self._likeness = torch.zeros(len(pairs.defined), dtype=torch.float64, device=pairs.defined.device)

    def take(self, tile: Tile) -> None:
        """Let the tile's columns join leaders among its rows; on the diagonal row by row, as rows may join too."""
        if not tile.on_diagonal:
            self._join(tile.row, tile.column, tile.values)
            return
        alike = tile.values.abs() >= self._threshold
        for row in alike.any(1).nonzero()[:, 0].tolist():
            self._join(tile.row + row, tile.column + row + 1, tile.values[row : row + 1, row + 1 :])

    def clusters(self) -> tuple[Cluster, ...]:
        """The clusters of two and more."""
        members: dict[int, list[int]] = {}
        joined = (self._leader != self._itself).nonzero()[:, 0]
        for unit, leader in zip(joined.tolist(), self._leader[joined].tolist(), strict=True):
            members.setdefault(leader, []).append(unit)
        return tuple(self._cluster(leader, units) for leader, units in sorted(members.items()))

    def _cluster(self, leader: int, units: list[int]) -> Cluster:
        likeness = self._likeness[units].tolist()
        weakest = min(map(abs, likeness))
        chance = min(1.0, self._n_pairs * chance_of_correlation(weakest, freedom=self._freedom))
        return Cluster((leader, *units), (1, *(1 if value > 0 else -1 for value in likeness)), weakest, chance)

    def _join(self, row: int, column: int, values: Tensor) -> None:
        if not (values.abs().amax(0) >= self._threshold).any():
            return
        rows, columns = slice(row, row + values.shape[0]), slice(column, column + values.shape[1])
        leads = self._leader[rows] == self._itself[rows]
        strength, index = values.abs().masked_fill_(~leads[:, None], 0.0).double().max(0)
        better = (strength >= self._threshold) & (strength > self._likeness[columns].abs())
        chosen = values.gather(0, index[None])[0].double()
        self._leader[columns] = torch.where(better, row + index, self._leader[columns])
        self._likeness[columns] = torch.where(better, chosen, self._likeness[columns])

    def _beyond_chance(self, significance: float) -> float:
        if self._freedom < 1 or self._n_pairs == 0:
            return math.inf
        return critical_correlation(significance / self._n_pairs, freedom=self._freedom)


def whole_matrix(matrix: Tensor) -> Pairs:
    """The pairs of a correlation matrix that is in memory; units whose diagonal is NaN are undefined."""

    def tiles() -> Iterator[Tile]:
        for start in range(0, len(matrix), BLOCK):
            columns = slice(start, start + BLOCK)
            if start:
                yield Tile(0, start, matrix[:start, columns].nan_to_num(0.0))
            yield Tile(start, start, matrix[columns, columns].nan_to_num(0.0))

    return Pairs(tiles, ~matrix.diagonal().isnan())
