"""Clusters of units that are copies or negated copies of each other."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..correlation.pair_tiles import BLOCK, Pairs, Tile
from .p_values import chance_of_correlation, critical_correlation


@dataclass(frozen=True)
class Cluster:
    """A unit and its duplicates.

    Attributes:
        units: indices; the first is the leader, which the others duplicate.
        signs: 1 for a duplicate, -1 for a negated one.
        weakest: the smallest abs(rho) of a member with the leader.
        p_value: upper bound on the probability that independent units show such a pair anywhere in the layer: that of
            ``weakest`` for one pair, times the number of pairs (Bonferroni).
    """

    units: tuple[int, ...]
    signs: tuple[int, ...]
    weakest: float
    p_value: float


def duplicate_clusters(pairs: Pairs, *, threshold: float, significance: float, freedom: int) -> tuple[Cluster, ...]:
    """Return clusters around leaders: each unit joins the leader it resembles most, or is a leader itself.

    Every member resembles its leader by at least ``threshold`` and by more than chance explains; members are not
    chained. Leaders are the lowest units that join no other.

    Args:
        pairs: correlations or cosines. Tiles must arrive column by column, each column's diagonal tile last.
        threshold: smallest abs(rho) of duplicates, above 0 and at most 1. It is raised if independent units would show
            such a pair with a probability above ``significance``.
        significance: that probability, above 0.
        freedom: n_samples − 2 for correlations, dimensions − 1 for cosines.

    Returns:
        Clusters of at least two units, ordered by leader; none if ``freedom`` is below 1.

    Raises:
        ValueError: if ``threshold`` or ``significance`` is out of range.
    """
    scan = DuplicateScan(pairs, threshold=threshold, significance=significance, freedom=freedom)
    for tile in pairs.tiles():
        scan.take(tile)
    return scan.clusters()


class DuplicateScan:
    """:func:`duplicate_clusters` tile by tile, for callers that use the same pass for more; O(n_units) memory."""

    def __init__(self, pairs: Pairs, *, threshold: float, significance: float, freedom: int) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")
        if not 0 < significance <= 1:
            raise ValueError(f"significance must be a probability above 0 and at most 1, got {significance}")
        self._n_pairs, self._freedom = pairs.n_defined, freedom
        known = freedom >= 1 and self._n_pairs > 0
        chance = critical_correlation(significance / self._n_pairs, freedom=freedom) if known else math.inf
        self._threshold = max(threshold, chance)
        self._itself = torch.arange(len(pairs.defined), device=pairs.defined.device)
        self._leader = self._itself.clone()
        self._likeness = torch.zeros(len(pairs.defined), dtype=torch.float64, device=pairs.defined.device)

    def take(self, tile: Tile) -> None:
        """Let the tile's columns join leaders among its rows."""
        if not tile.on_diagonal:
            self._join(tile.row, tile.column, tile.values)
            return
        # row by row, as a row of this tile may have joined a leader itself by the time its columns are looked at
        alike = tile.values.abs() >= self._threshold
        for row in alike.any(1).nonzero()[:, 0].tolist():
            self._join(tile.row + row, tile.column + row + 1, tile.values[row : row + 1, row + 1 :])

    def clusters(self) -> tuple[Cluster, ...]:
        """Return the clusters found so far."""
        members: dict[int, list[int]] = {}
        joined = (self._leader != self._itself).nonzero()[:, 0]
        for unit, leader in zip(joined.tolist(), self._leader[joined].tolist(), strict=True):
            members.setdefault(leader, []).append(unit)
        found = []
        for leader, units in sorted(members.items()):
            likeness = self._likeness[units].tolist()
            weakest = min(map(abs, likeness))
            chance = min(1.0, self._n_pairs * chance_of_correlation(weakest, freedom=self._freedom))
            signs = (1, *(1 if value > 0 else -1 for value in likeness))
            found.append(Cluster((leader, *units), signs, weakest, chance))
        return tuple(found)

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


def whole_matrix(matrix: Tensor) -> Pairs:
    """Return the pairs of a correlation matrix in memory; units whose diagonal is NaN are undefined."""

    def tiles() -> Iterator[Tile]:
        for start in range(0, len(matrix), BLOCK):
            columns = slice(start, start + BLOCK)
            if start:
                yield Tile(0, start, matrix[:start, columns].nan_to_num(0.0))
            yield Tile(start, start, matrix[columns, columns].nan_to_num(0.0))

    return Pairs(tiles, ~matrix.diagonal().isnan())
