"""What chance alone gives: how far independent units get, judged from units whose samples were shuffled."""

from math import ceil, log, nan

import torch
from torch import Tensor
from torch.special import ndtri

from ._arrays import Array, as_samples

TAIL, LEAST_TAIL = 0.05, 10


def shuffled(x: Array, generator: torch.Generator) -> Tensor:
    """Each unit's samples in an order of their own: the same marginals, and no dependence.

    Args:
        x: samples, shape (n_samples, n_units).
        generator: of the orders, on the device of ``x``.

    Example:
        >>> x = torch.arange(6.0).reshape(3, 2)
        >>> torch.equal(shuffled(x, torch.Generator()).sort(0).values, x)
        True
    """
    points = as_samples(x)
    places = torch.rand(points.shape, generator=generator, dtype=torch.float64, device=points.device).argsort(dim=0)
    return points.gather(0, places)


def mean_of_many(null: Tensor, n: int, *, level: float = 0.95) -> float:
    r"""What the mean of n values of the null's kind stays below with probability ``level``, by the central limit.

    .. math:: \bar\nu + z\,s_\nu \sqrt{1/n + 1/m}

    with m values in the null; so the null's own noise counts.

    Args:
        null: values that chance alone gave, shape (n_values,); NaN is returned where there are fewer than two.
        n: number of values whose mean is to be judged; NaN is returned for none.
        level: probability.

    Example:
        >>> null = torch.randn(10_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        >>> 0.12 < mean_of_many(null, 100) < 0.2  # 1.64 standard errors of a tenth
        True
    """
    if len(null) < 2 or n < 1:
        return nan
    z = ndtri(null.new_tensor(level, dtype=torch.float64))
    return (null.mean() + z * null.std() * (1 / n + 1 / len(null)) ** 0.5).item()


def largest_of_many(null: Tensor, n: int, *, level: float = 0.95) -> float:
    """What the largest of n values of the null's kind stays below with probability ``level``.

    Far out there are no values to go by: beyond the upper twentieth of the null its tail is continued as an
    exponential one, which is right for chi-square laws and errs to the safe side for normal ones.

    Args:
        null: values that chance alone gave, shape (n_values,), at least 20.
        n: number of values whose largest is to be judged.
        level: probability.

    Raises:
        ValueError: if there are fewer than 20 values.

    Example:
        >>> null = torch.empty(2000, dtype=torch.float64).exponential_(generator=torch.Generator().manual_seed(0))
        >>> 11 < largest_of_many(null, 10_000) < 14  # log(10,000 / .0513) is 12.2
        True
    """
    if len(null) < 2 * LEAST_TAIL:
        raise ValueError(f"the largest of many needs at least {2 * LEAST_TAIL} values of the null, got {len(null)}")
    ordered = null.sort().values
    in_tail = max(LEAST_TAIL, ceil(TAIL * len(null)))
    edge = ordered[-in_tail - 1]
    rarer = log(in_tail / len(null) * n / -log(level))
    if rarer < 0:
        return torch.quantile(ordered, level ** (1 / n)).item()
    return (edge + (ordered[-in_tail:] - edge).mean() * rarer).item()
