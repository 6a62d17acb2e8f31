"""Continuous distributions other than the elliptical ones."""

from dataclasses import dataclass
from math import lgamma, log, nan

import torch
from torch import Generator, Tensor

from .distribution import Distribution, Pair, float64, numpy_generator, uniform
from .elliptical import digamma


@dataclass(frozen=True)
class Uniform(Distribution):
    """Independent uniform units: a cube. H = d log(high − low).

    Args:
        n_units: number of units d.
        low: lower end of every unit.
        high: upper end of every unit, above ``low``.

    Example:
        >>> Uniform(3).entropy
        0.0
    """

    n_units: int = 1  # pyright: ignore[reportIncompatibleMethodOverride]  # a field stands for the property
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"got low={self.low}, high={self.high}; expected low < high")

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        return self.low + (self.high - self.low) * uniform(n_samples, self.n_units, generator)

    @property
    def mean(self) -> Tensor:
        return float64([(self.low + self.high) / 2] * self.n_units)

    @property
    def covariance(self) -> Tensor:
        return float64([(self.high - self.low) ** 2 / 12] * self.n_units).diag()

    @property
    def entropy(self) -> float:
        return self.n_units * log(self.high - self.low)

    @property
    def total_correlation(self) -> float:
        return 0.0


@dataclass(frozen=True)
class Exponential(Distribution):
    """Independent exponential units. H = d (1 − log rate).

    Args:
        n_units: number of units d.
        rate: inverse of the mean, above 0.

    Example:
        >>> Exponential(rate=1.0).entropy
        1.0
    """

    n_units: int = 1  # pyright: ignore[reportIncompatibleMethodOverride]  # a field stands for the property
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"got rate={self.rate}; expected a number above 0")

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        # 1 − u, since u may be exactly 0 and never 1
        return -torch.log1p(-uniform(n_samples, self.n_units, generator)) / self.rate

    @property
    def mean(self) -> Tensor:
        return float64([1 / self.rate] * self.n_units)

    @property
    def covariance(self) -> Tensor:
        return float64([self.rate**-2] * self.n_units).diag()

    @property
    def entropy(self) -> float:
        return self.n_units * (1 - log(self.rate))

    @property
    def total_correlation(self) -> float:
        return 0.0


@dataclass(frozen=True)
class UniformNoise(Pair):
    r"""X uniform on [0, 1] and Y = X + N, with N uniform on [−noise, noise].

    The density of the sum is a trapezoid, so

    .. math:: I(X;Y) = \begin{cases}\epsilon - \log 2\epsilon & \epsilon \le 1/2 \\
              1 / 4\epsilon & \epsilon > 1/2\end{cases}

    Args:
        noise: half-width ε of the noise, above 0.

    Example:
        >>> UniformNoise(0.5).mutual_information
        0.5
    """

    noise: float

    def __post_init__(self) -> None:
        if not self.noise > 0:
            raise ValueError(f"got noise={self.noise}; expected a number above 0")

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        x, u = uniform(n_samples, 2, generator).unbind(dim=1)
        return torch.stack([x, x + self.noise * (2 * u - 1)], dim=1)

    @property
    def mean(self) -> Tensor:
        return float64([0.5, 0.5])

    @property
    def covariance(self) -> Tensor:
        return float64([[1, 1], [1, 1 + 4 * self.noise**2]]) / 12

    @property
    def entropy(self) -> float:
        return log(2 * self.noise)

    @property
    def total_correlation(self) -> float:
        if self.noise > 0.5:
            return 1 / (4 * self.noise)
        return self.noise - log(2 * self.noise)


@dataclass(frozen=True)
class GammaExponential(Pair):
    r"""X gamma with shape θ, and Y given X exponential with rate X: linear measures miss part of the dependence.

    .. math:: p(x, y) = \frac{x^{\theta} e^{-x - xy}}{\Gamma(\theta)}, \qquad
              I(X;Y) = \psi(\theta + 1) - \log\theta

    Args:
        shape: θ above 0. Y has a mean for θ > 1 and a variance for θ > 2 (NaN otherwise).

    References:
        Darbellay and Vajda 1999; Kraskov et al. 2004, Section III.

    Example:
        >>> round(GammaExponential(0.5).mutual_information, 4)
        0.7296
    """

    shape: float

    def __post_init__(self) -> None:
        if not self.shape > 0:
            raise ValueError(f"got shape={self.shape}; expected a number above 0")

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        rng = numpy_generator(generator)
        x = torch.from_numpy(rng.standard_gamma(self.shape, size=n_samples))
        waiting = torch.from_numpy(rng.standard_exponential(size=n_samples))
        return torch.stack([x, waiting / x], dim=1).to(generator.device)

    @property
    def mean(self) -> Tensor:
        return float64([self.shape, 1 / (self.shape - 1) if self.shape > 1 else nan])

    @property
    def covariance(self) -> Tensor:
        if self.shape <= 2:
            return super().covariance
        shared = -1 / (self.shape - 1)
        spread = self.shape * shared**2 / (self.shape - 2)
        return float64([[self.shape, shared], [shared, spread]])

    @property
    def entropy(self) -> float:
        of_x = self.shape + lgamma(self.shape) + (1 - self.shape) * digamma(self.shape)
        return of_x + 1 - digamma(self.shape)

    @property
    def total_correlation(self) -> float:
        return digamma(self.shape + 1) - log(self.shape)
