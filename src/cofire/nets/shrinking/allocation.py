"""Share a budget among groups: take units where they cost the outputs least for what they save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd, lcm

import torch
from torch import Tensor

from ..wiring.dimensions import Dimension, leaves
from .elimination import Elimination
from .free_groups import Free, Term

AHEAD = (128, 32, 8)
"""Parts of a group that are looked ahead: its first units may cost more than later ones."""


@dataclass(frozen=True, eq=False)
class Lot:
    """Groups that keep the same share of their units: one, or several that are tied.

    Attributes:
        groups: the groups.
        n_units: the greatest common divisor of their sizes; so many steps lead from all to none.
        error: the error by the number of steps, summed over the groups, shape (n_units,).
    """

    groups: tuple[Free, ...]
    n_units: int
    error: Tensor

    def size(self, group: Free, n: int) -> int:
        """Return the size of a group when n of all steps are left."""
        return group.n_units // self.n_units * n

    @classmethod
    def of(cls, groups: Sequence[Free], eliminations: Mapping[str, Elimination]) -> "Lot":
        """Return the lot, with the errors of its groups added up."""
        n = gcd(*(one.n_units for one in groups))
        errors = [eliminations[one.name].error[:: one.n_units // n] for one in groups]
        return cls(tuple(groups), n, torch.stack(errors).sum(0))


def allocate(
    lots: Sequence[Lot], terms: Sequence[Term], *, budget: float, steps: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return how many units each group keeps so that the cost is within a budget, or as near as it gets.

    Greedy: each step takes units from the lot with the least added error for what it saves, at the current sizes of
    all others. Looking one step and several steps ahead finds groups whose first units cost more than later ones.

    Args:
        lots: the groups.
        terms: the cost of all parameters.
        budget: the cost to reach.
        steps: of which number the size of a group is a multiple; 1 by default.

    Returns:
        Units by the group's name.
    """
    sizes: dict[Dimension, int] = {one.leaf: one.n_units for lot in lots for one in lot.groups}
    by_lot = [_terms_of(lot, terms) for lot in lots]
    total = sum(term.cost(sizes) for term in terms)
    step = [common_step(lot.groups, lot.n_units, steps or {}) for lot in lots]
    left = [lot.n_units for lot in lots]
    choices: list[tuple[float, float, int] | None] = [None] * len(lots)
    stale = [True] * len(lots)
    while total > budget:
        for k, lot in enumerate(lots):
            if stale[k]:
                choices[k] = _best_step(lot, by_lot[k], sizes, left[k], step[k])
                stale[k] = False
        open_lots = [k for k, one in enumerate(choices) if one is not None]
        if not open_lots:
            break
        k = min(open_lots, key=lambda k: choices[k][0])  # pyright: ignore[reportOptionalSubscript]
        _, saved, size = choices[k]  # pyright: ignore[reportGeneralTypeIssues]
        left[k] = size
        _resize(lots[k], sizes, size)
        total -= saved
        touched = {id(term) for term in by_lot[k]}
        for other, own in enumerate(by_lot):
            stale[other] |= any(id(term) in touched for term in own)
    _give_back(lots, by_lot, sizes, left, step, budget - total)
    return {one.name: sizes[one.leaf] for lot in lots for one in lot.groups}


def _give_back(
    lots: Sequence[Lot],
    by_lot: Sequence[Sequence[Term]],
    sizes: dict[Dimension, int],
    left: list[int],
    step: Sequence[int],
    room: float,
) -> None:
    """Let lots grow again while the budget has room, as the last steps, which may be large, went beyond it."""
    while True:
        best: tuple[float, float, int, int] | None = None
        for k, lot in enumerate(lots):
            larger = lot.n_units if left[k] + step[k] > lot.n_units else left[k] + step[k]
            if larger == left[k]:
                continue
            before = sum(term.cost(sizes) for term in by_lot[k])
            _resize(lot, sizes, larger)
            cost = sum(term.cost(sizes) for term in by_lot[k]) - before
            _resize(lot, sizes, left[k])
            gain = float(lot.error[lot.n_units - left[k]] - lot.error[lot.n_units - larger])
            if cost <= room and (best is None or gain / max(cost, 1e-9) > best[0]):
                best = gain / max(cost, 1e-9), cost, k, larger
        if best is None:
            return
        _, cost, k, left[k] = best
        room -= cost
        _resize(lots[k], sizes, left[k])


def _resize(lot: Lot, sizes: dict[Dimension, int], n: int) -> None:
    for one in lot.groups:
        sizes[one.leaf] = lot.size(one, n)


def common_step(groups: Sequence[Free], n: int, steps: Mapping[str, int]) -> int:
    """Return of which number the steps left, of n in all, must be a multiple to give each group a size it may have."""
    own = [(steps.get(one.name, 1), one.n_units // n) for one in groups]
    return lcm(*(step // gcd(step, each) for step, each in own))


def _terms_of(lot: Lot, terms: Sequence[Term]) -> list[Term]:
    own = {one.leaf for one in lot.groups}
    return [term for term in terms if any(leaf in own for one in term.dimensions for leaf in leaves(one))]


def _best_step(
    lot: Lot, terms: Sequence[Term], sizes: dict[Dimension, int], now: int, step: int
) -> tuple[float, float, int] | None:
    """Return the added error for each saved parameter, what is saved, and the new size; None if no step is left."""
    before = sum(term.cost(sizes) for term in terms)
    targets = {(now - max(1, lot.n_units // part)) // step * step for part in AHEAD}
    best = None
    for size in targets:
        if not 1 <= size < now:
            continue
        _resize(lot, sizes, size)
        saved = before - sum(term.cost(sizes) for term in terms)
        if saved > 0:
            added = float(lot.error[lot.n_units - size] - lot.error[lot.n_units - now])
            rate = max(added, 0.0) / saved
            if best is None or rate < best[0]:
                best = rate, saved, size
    _resize(lot, sizes, now)
    return best
