"""Pairs of units that share more, or less, information than their correlation says."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._base.argument_checks import check_number, check_seed
from .._base.arrays import Array, as_samples
from .._base.display import Shown
from .._base.nan_policy import NanPolicy, by_nan_policy
from ..correlation.moments import Moments
from .chance_level import largest_of_many, shuffled
from .coefficient import information_coefficient, information_of_correlation
from .dependence import DependenceScore, dependence_score

MATERIAL = 0.1
LEAST_ACTIVE, LEAST_ACTIVE_SHARE = 20, 0.05
ALONE = 0.95
UNITS_BY_CHANCE, PAIRS_BY_CHANCE = 64, 2016


@dataclass(frozen=True)
class Disagreement(Shown):
    """Information and correlation of all pairs of units over the same samples, and where they disagree.

    Attributes:
        information: mutual information, nats, float64, shape (n_units, n_units); NaN on the diagonal and for constant
            units.
        correlation: correlation with its sign, of the same shape.
        difference: the information, converted to the abs(correlation) of a normal pair, minus abs(correlation); from −1
            to 1, of the same shape. 0 if chance explains it or it is below 0.1, NaN for units that hardly ever leave
            their most common value.
        chance: mean information of independent units with these marginals, nats.
        chance_of_one: what one such pair, chosen beforehand, stays below with probability 0.95, nats.
        unit: the unit of the information.
    """

    information: Tensor
    correlation: Tensor
    difference: Tensor
    chance: float
    chance_of_one: float
    unit: str = field(default="nats", init=False)


def disagreement(
    x: Array,
    n_neighbors: int = 3,
    method: str = "default",
    level: float = 0.95,
    seed: int = 0,
    *,
    nan: NanPolicy = "raise",
) -> Disagreement:
    r"""Find the pairs whose dependence differs from their correlation by more than chance explains.

    The nonlinear excess of a pair, :math:`I + \tfrac12 \log(1 - \rho^2)`, is compared with that of units whose samples
    were shuffled. The two disagree if it is beyond the largest of as many shuffled pairs, in either direction. Above,
    the dependence is not linear, as for units that never fire together. Below, a few extreme samples make a
    correlation without information.

    Args:
        x: samples, shape (n_samples, n_units), any real type.
        n_neighbors: see :func:`dependence_score`.
        method: see :func:`dependence_score`.
        level: probability that no pair of independent units is reported. Units that differ from their most common value
            in fewer than 20 samples, or in fewer than 5 %, are not judged.
        seed: random seed for the shuffles. Global generators are not used.
        nan: see :func:`dependence_score`; "propagate" gives NaN for the pairs of units that are not finite.

    Raises:
        ValueError: as :func:`dependence_score`.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> x, y = torch.randn(2, 1000, generator=generator)
        >>> units = torch.stack([x, x.abs() + 0.1 * y, y], 1)
        >>> found = disagreement(units)
        >>> bool(found.difference[0, 1] > 0.8), found.difference[0, 2].item()
        (True, 0.0)
    """
    check_number(level, "level", above=0, below=1)
    check_seed(seed)
    samples = as_samples(x)
    kept = by_nan_policy(nan, x=samples)
    if kept is not None:
        return _disagreement(kept[0], n_neighbors, method, level, seed)
    finite = torch.isfinite(samples).all(dim=0).nonzero()[:, 0]
    found = _disagreement(samples[:, finite], n_neighbors, method, level, seed)
    shape = 3, samples.shape[1], samples.shape[1]
    whole = torch.full(shape, torch.nan, dtype=torch.float64, device=samples.device)
    whole[:, finite[:, None], finite] = torch.stack([found.information, found.correlation, found.difference])
    return Disagreement(whole[0], whole[1], whole[2], found.chance, found.chance_of_one)


def nonlinear(information: Tensor, rho: Tensor) -> Tensor:
    """Return the information beyond that of normal units with this correlation; 0 for linear copies."""
    linear = information_of_correlation(rho)
    return torch.where(linear.isinf(), 0.0, information - linear)


def pairs_measured(x: Tensor, score: DependenceScore) -> tuple[Tensor, Tensor]:
    """Return the information and the nonlinear excess of the pairs that a score of ``x`` measured."""
    first, second = (~score.matrix.isnan()).triu().nonzero().T
    unit = x.double()
    unit = unit - unit.mean(0)
    unit = unit / torch.linalg.vector_norm(unit, dim=0)
    information = score.matrix[first, second]
    return information, nonlinear(information, (unit[:, first] * unit[:, second]).sum(0))


def pairs_by_chance(
    x: Tensor,
    n_neighbors: int,
    method: str,
    *,
    least_units: int = UNITS_BY_CHANCE,
    max_pairs: int = PAIRS_BY_CHANCE,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Return the information and the nonlinear excess of pairs of units whose samples were shuffled.

    The pairs are those that a score with this seed and ``max_pairs`` measures: the errors of "3h" come from single
    units, so they must be the same units. The units are repeated if there are fewer than ``least_units``.
    """
    varying = x[:, (x != x[0]).any(0)]
    if not varying.shape[1]:
        return x.new_empty(0, dtype=torch.float64), x.new_empty(0, dtype=torch.float64)
    n_units = max(least_units, varying.shape[1])
    spread = torch.arange(n_units, device=x.device) * varying.shape[1] // n_units
    apart = shuffled(varying[:, spread], torch.Generator(x.device).manual_seed(seed))
    score = dependence_score(apart, n_neighbors, method, max_pairs, seed)
    return pairs_measured(apart, score.finite())


def _disagreement(points: Tensor, n_neighbors: int, method: str, level: float, seed: int) -> Disagreement:
    score = dependence_score(points, n_neighbors, method)
    rho = Moments().update(points).correlation().fill_diagonal_(torch.nan)
    chance, excess_by_chance = pairs_by_chance(points, n_neighbors, method, seed=seed)
    difference = information_coefficient(score.matrix.clamp(min=0)) - rho.abs() + _unjudged(points)
    if len(chance) and score.n_pairs:
        excess = nonlinear(score.matrix, rho)
        above = excess > largest_of_many(excess_by_chance, score.n_pairs, level=level)
        below = -excess > largest_of_many(-excess_by_chance, score.n_pairs, level=level)
        explained = ~(above | below) | (difference.abs() < MATERIAL)
        difference[explained & ~difference.isnan()] = 0
    mean, alone = (chance.mean().item(), torch.quantile(chance, ALONE).item()) if len(chance) else (torch.nan,) * 2
    return Disagreement(score.matrix, rho, difference, mean, alone)


def _unjudged(x: Tensor) -> Tensor:
    """Return NaN for the pairs of units that hardly ever leave their most common value, 0 for the others."""
    away = (x != x.mode(dim=0).values).sum(0)
    unit = torch.where(away < max(LEAST_ACTIVE, LEAST_ACTIVE_SHARE * len(x)), torch.nan, 0.0).double()
    return unit + unit[:, None]
