"""Where correlation and dependence disagree: pairs of units that share more, or less, than their correlation says."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._base.arrays import Array, as_samples
from .._base.display import Shown
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
    """Information and correlation of all pairs of units over the same samples, and where they part.

    Attributes:
        information: mutual information, nats, float64, shape (n_units, n_units); NaN on the diagonal and for constant
            units.
        correlation: likewise, with its sign.
        difference: the information as a normal pair's abs(correlation) less abs(correlation), likewise, from −1 to 1;
            0 where chance explains it or it is below 0.1; NaN for units that hardly ever leave their commonest value.
        chance: mean information of independent units with these marginals, nats.
        chance_of_one: what one such pair, named beforehand, stays below with probability 0.95, nats.
    """

    information: Tensor
    correlation: Tensor
    difference: Tensor
    chance: float
    chance_of_one: float


def disagreement(
    x: Array, n_neighbors: int = 3, method: str = "default", level: float = 0.95, seed: int = 0
) -> Disagreement:
    r"""Find the pairs whose dependence is not what their correlation says, beyond what chance gives.

    A pair's nonlinear excess :math:`I + \tfrac12 \log(1 - \rho^2)` is held against that of units whose samples were
    shuffled: beyond what the largest of as many pairs reaches there, in either direction, the two disagree.
    Above: a dependence that is not linear, such as units that never fire together. Below: a few extreme samples,
    which make a correlation and no information, by chance or not.

    Args:
        x: samples, shape (n_samples, n_units), any real type.
        n_neighbors: as for :func:`dependence_score`.
        method: likewise.
        level: probability that no pair of independent units is said to share more than its correlation says. Units
            away from their commonest value in fewer than 20 samples, or 5 % of them, are not judged.
        seed: of the shuffles. No global generator is touched.

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
    points = as_samples(x)
    score = dependence_score(points, n_neighbors, method)
    rho = Moments().update(points).correlation().fill_diagonal_(torch.nan)
    chance, excess_by_chance = pairs_by_chance(points, n_neighbors, method, seed=seed)
    difference = _difference(score.matrix, rho) + _unjudged(points)
    if len(chance) and score.n_pairs:
        excess = nonlinear(score.matrix, rho)
        above = excess > largest_of_many(excess_by_chance, score.n_pairs, level=level)
        below = -excess > largest_of_many(-excess_by_chance, score.n_pairs, level=level)
        explained = ~(above | below) | (difference.abs() < MATERIAL)
        difference[explained & ~difference.isnan()] = 0
    mean, alone = (chance.mean().item(), torch.quantile(chance, ALONE).item()) if len(chance) else (torch.nan,) * 2
    return Disagreement(score.matrix, rho, difference, mean, alone)


def nonlinear(information: Tensor, rho: Tensor) -> Tensor:
    """Information beyond that of normal units with this correlation; 0 for copies, which leave nothing to explain."""
    linear = information_of_correlation(rho)
    return torch.where(linear.isinf(), 0.0, information - linear)


def pairs_measured(x: Tensor, score: DependenceScore) -> tuple[Tensor, Tensor]:
    """Information and nonlinear excess of the pairs that a score of ``x`` measured, one entry a pair."""
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
    """The same of units shuffled by themselves.

    The pairs are those that a score with this seed and ``max_pairs`` measures: three entropies have errors of single
    units in them, which must be the same ones. A layer of fewer units than ``least_units`` stands in several times.
    """
    varying = x[:, (x != x[0]).any(0)]
    if not varying.shape[1]:
        return x.new_empty(0, dtype=torch.float64), x.new_empty(0, dtype=torch.float64)
    n_units = max(least_units, varying.shape[1])
    spread = torch.arange(n_units, device=x.device) * varying.shape[1] // n_units
    apart = shuffled(varying[:, spread], torch.Generator(x.device).manual_seed(seed))
    score = dependence_score(apart, n_neighbors, method, max_pairs, seed)
    return pairs_measured(apart, score.finite())


def _difference(information: Tensor, rho: Tensor) -> Tensor:
    return information_coefficient(information.clamp(min=0)) - rho.abs()


def _unjudged(x: Tensor) -> Tensor:
    """NaN for the pairs of units that hardly ever leave their commonest value, 0 for the others."""
    away = (x != x.mode(dim=0).values).sum(0)
    unit = torch.where(away < max(LEAST_ACTIVE, LEAST_ACTIVE_SHARE * len(x)), torch.nan, 0.0).double()
    return unit + unit[:, None]
