"""What :mod:`.unit_scores` does, in operations on tensors: all units at once, where they are."""

import torch
from torch import Tensor

from .tie_breakers import tie_breakers
from .unit_scores import ABOVE_NEIGHBORS, ATOM_COUNT, ATOM_SHARE, FEW_LEVELS, HARDLY_TIED, NEIGHBORS, SMALL_REST
from .units import Units

UNIT_ELEMENTS = 1 << 24  # samples of so many units at a time, some twenty numbers for each


def standardized_units(x: Tensor) -> Units:
    """Units as they are, each divided by its deviation; ``x`` is float64, (n_units, n_samples), none constant."""
    ascending, order = x.sort(dim=1, stable=True)
    value = _standardized(x, ascending)
    n_continuous = torch.full_like(order[:, 0], x.shape[1])
    ones, no = torch.ones_like(n_continuous), torch.zeros_like(n_continuous, dtype=torch.bool)
    return Units(value, value, torch.zeros_like(x, dtype=torch.int32), ones, order, n_continuous, no)


def scored_units(x: Tensor) -> Units:
    """Atoms as labels and the rest as normal scores; ``x`` is float64, shape (n_units, n_samples)."""
    parts = [_scored(some) for some in x.split(max(1, UNIT_ELEMENTS // x.shape[1]))]
    return Units(*(torch.cat(fields) for fields in zip(*parts, strict=True)))


def _scored(x: Tensor) -> Units:
    ascending, order = x.sort(dim=1, stable=True)
    first = torch.zeros_like(order[:, :1])
    steps = torch.cat([first, (ascending.diff(dim=1) > 0).long().cumsum(dim=1)], dim=1)
    level = torch.empty_like(steps).scatter_(1, order, steps)
    counts = _counts(steps)
    tied = (counts > 1).any(dim=1)
    is_atom = atoms(counts) & tied[:, None]
    label = torch.where(is_atom, is_atom.cumsum(dim=1), 0).gather(1, level)
    n_continuous = (label == 0).sum(dim=1)
    rest = torch.where(is_atom, 0, counts)
    n_tied = torch.where(rest > 1, rest, 0).sum(dim=1)
    order = torch.where(tied[:, None], _without_ties(level, label), order)
    return Units(
        score=torch.zeros_like(x, dtype=torch.float32).scatter_(1, order, _normal_scores(n_continuous, x.shape[1])),
        value=_standardized(x, ascending),
        label=label.int(),
        n_labels=label.amax(dim=1) + 1,
        order=order,
        n_continuous=n_continuous,
        smooth=n_tied <= HARDLY_TIED * n_continuous.double(),
    )


def _standardized(x: Tensor, ascending: Tensor) -> Tensor:
    """Rows about their medians, where float32 is finest, in deviations; a constant row is zeros."""
    n_samples = x.shape[1]
    median = (ascending[:, (n_samples - 1) // 2] + ascending[:, n_samples // 2]) / 2
    centered = x - median[:, None]
    largest = centered.abs().amax(dim=1, keepdim=True)
    centered /= torch.where(largest > 0, largest, 1)
    deviation = centered.std(dim=1, correction=0, keepdim=True)
    return (centered / torch.where(deviation > 0, deviation, 1)).float()


def _counts(steps: Tensor) -> Tensor:
    """How many samples each level has, from the levels of ascending samples; 0 beyond the last level."""
    levels = torch.arange(steps.shape[1], device=steps.device).expand_as(steps).contiguous()
    return torch.searchsorted(steps, levels, right=True) - torch.searchsorted(steps, levels)


def _without_ties(level: Tensor, label: Tensor) -> Tensor:
    """The continuous samples ascending, ties at random, then the others."""
    n_samples = level.shape[1]
    by_chance = tie_breakers(level, torch.arange(n_samples, device=level.device)).argsort(dim=1)
    by_level = torch.where(label > 0, n_samples, level).gather(1, by_chance).argsort(dim=1, stable=True)
    return by_chance.gather(1, by_level)


def atoms(counts: Tensor) -> Tensor:
    """Which levels are atoms, each row a unit's; see :func:`cofire.stats.information.engine.unit_scores.atoms`."""
    n_samples, n_levels = counts.shape[1], (counts > 0).sum(dim=1)
    few = n_levels.double() <= max(2.0, min(FEW_LEVELS, n_samples / 10))
    units, levels = (counts.double() >= max(ATOM_SHARE * n_samples, ATOM_COUNT)).nonzero(as_tuple=True)
    is_atom = torch.zeros_like(counts, dtype=torch.bool)
    own = counts[units, levels]
    is_atom[units, levels] = own >= ABOVE_NEIGHBORS * _median_beside(counts, n_levels, units, levels)
    rest = torch.where(is_atom, 0, counts)
    n_rest, n_tied = rest.sum(dim=1), torch.where(rest > 1, rest, 0).sum(dim=1)
    handful = (n_rest.double() <= SMALL_REST * n_samples) & (2 * n_tied >= n_rest)
    return (is_atom | (few | handful)[:, None]) & (counts > 0)


def _median_beside(counts: Tensor, n_levels: Tensor, units: Tensor, levels: Tensor) -> Tensor:
    """Of the counts of up to five levels on either side of some units' levels."""
    away = torch.arange(1, NEIGHBORS + 1, device=counts.device)
    beside = levels[:, None] + torch.cat([-away, away])
    exists = (beside >= 0) & (beside < n_levels[units, None])
    held = counts[units[:, None], beside.clamp(0, counts.shape[1] - 1)]
    ascending = torch.where(exists, held, counts.shape[1] + 1).sort(dim=1).values
    last = exists.sum(dim=1, keepdim=True).clamp_(min=1) - 1
    middle = torch.cat([last // 2, (last + 1) // 2], dim=1)
    return ascending.gather(1, middle).double().mean(dim=1)


def _normal_scores(n_continuous: Tensor, n_samples: int) -> Tensor:
    """Quantiles of the normal distribution, one for each rank of the continuous samples, then zeros."""
    rank = torch.arange(n_samples, dtype=torch.float64, device=n_continuous.device)
    count = n_continuous[:, None]
    scores = torch.special.ndtri((rank + 0.5) / count.clamp(min=1))
    return torch.where(rank < count, scores, 0.0).float()
