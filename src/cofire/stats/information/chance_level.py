"""What chance alone gives, judged from units whose samples were shuffled."""

from math import expm1, gamma, lgamma, log, nan

import torch
from torch import Tensor
from torch.special import ndtri

from .._base.arrays import Array, as_samples

LEAST, WITHIN = 20, 0.1
MOST_SHAPE, HALVINGS = 20.0, 50


def shuffled(x: Array, generator: torch.Generator) -> Tensor:
    """Shuffle the samples of each unit separately, which keeps the marginals and removes the dependence.

    Args:
        x: samples, shape (n_samples, n_units).
        generator: random generator for the orders, on the device of ``x``.

    Example:
        >>> x = torch.arange(6.0).reshape(3, 2)
        >>> torch.equal(shuffled(x, torch.Generator()).sort(0).values, x)
        True
    """
    points = as_samples(x)
    places = torch.rand(points.shape, generator=generator, dtype=torch.float64, device=points.device).argsort(dim=0)
    return points.gather(0, places)


def mean_of_many(null: Tensor, n: int, *, level: float = 0.95) -> float:
    r"""Compute what the mean of n values stays below with probability ``level`` by chance, by the central limit.

    .. math:: \bar\nu + z\,s_\nu \sqrt{1/n + 1/m}

    where m is the number of values in the null, so that the noise of the null itself counts.

    Args:
        null: values that chance alone gave, shape (n_values,); below two of them the result is NaN.
        n: number of values whose mean is to be judged; the result is NaN for 0.
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
    r"""Compute what the largest of n values stays below with probability ``level`` by chance.

    Beyond the largest values of the null, its upper half is continued as a Weibull law,

    .. math:: P(\nu > x) = \tfrac12 \exp\left[-\left(\frac{x - m}{b}\right)^{1/e}\right]

    where m is its median, and b and e follow from the first two moments above it. This is right for exponential and
    chi-square laws and conservative for normal ones (5.7 deviations instead of 4.6 for 20,000 values).

    Args:
        null: values that chance alone gave, shape (n_values,), at least 20.
        n: number of values whose largest is to be judged, at least 1.
        level: probability.

    Raises:
        ValueError: if there are fewer than 20 values.

    Example:
        >>> null = torch.empty(2000, dtype=torch.float64).exponential_(generator=torch.Generator().manual_seed(0))
        >>> 11 < largest_of_many(null, 10_000) < 14  # log(10,000 / .0513) is 12.2
        True
    """
    if len(null) < LEAST:
        raise ValueError(f"the largest of many needs at least {LEAST} values of the null, got {len(null)}")
    share = -expm1(log(level) / n)  # of single values that may exceed the result
    if share > WITHIN:
        return torch.quantile(null, 1 - share).item()
    middle = null.median()
    above = null[null > middle] - middle
    if len(above) == 0:
        return middle.item()
    shape = _weibull_shape((above.square().mean() / above.mean().square()).item())
    return (middle + above.mean() / gamma(1 + shape) * log(0.5 / share) ** shape).item()


def _weibull_shape(ratio: float) -> float:
    """Solve Γ(1 + 2e)/Γ(1 + e)² = ratio, that of the second moment to the square of the first, by bisection."""
    low, high = 0.0, MOST_SHAPE
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if lgamma(1 + 2 * middle) - 2 * lgamma(1 + middle) < log(ratio) else (low, middle)
    return low
