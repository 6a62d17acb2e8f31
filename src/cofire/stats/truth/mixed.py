"""Discrete distributions, and mixtures of atoms and densities."""

from dataclasses import dataclass
from math import log

import torch
from torch import Generator, Tensor
from torch.special import entr, xlogy

from .distribution import MixedPair, Pair, float64, numpy_generator, uniform
from .elliptical import MultivariateNormal
from .quadrature import integrate


@dataclass(frozen=True, eq=False)
class DiscreteTable(Pair):
    """A pair of discrete units: the row and column of a cell, drawn from a table of joint probabilities.

    ``entropy`` is the discrete (Shannon) entropy.

    Args:
        table: joint probabilities, shape (n_rows, n_columns), not negative, summing to 1.

    Example:
        >>> round(DiscreteTable(torch.eye(4) / 4).mutual_information, 4)
        1.3863
    """

    table: Tensor

    def __post_init__(self) -> None:
        table = torch.as_tensor(self.table).to("cpu", torch.float64)
        if table.ndim != 2 or (table < 0).any() or abs(table.sum() - 1) > 1e-6:
            raise ValueError(
                f"got a table of shape {tuple(table.shape)}, sum {table.sum():.6g}; expected 2-D, ≥ 0, sum 1"
            )
        object.__setattr__(self, "table", table / table.sum())

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        weights = self.table.flatten().to(generator.device)
        cells = torch.multinomial(weights, n_samples, replacement=True, generator=generator)
        return torch.stack(torch.unravel_index(cells, self.table.shape), dim=1).double()

    @property
    def _values(self) -> tuple[Tensor, Tensor]:
        rows, columns = self.table.shape
        return torch.arange(rows, device="cpu").double(), torch.arange(columns, device="cpu").double()

    @property
    def mean(self) -> Tensor:
        rows, columns = self._values
        return torch.stack([self.table.sum(1) @ rows, self.table.sum(0) @ columns])

    @property
    def covariance(self) -> Tensor:
        x, y = (value - mean for value, mean in zip(self._values, self.mean, strict=True))
        shared = x @ self.table @ y
        return torch.stack([self.table.sum(1) @ x**2, shared, shared, self.table.sum(0) @ y**2]).reshape(2, 2)

    @property
    def entropy(self) -> float:
        return entr(self.table).sum().item()

    @property
    def total_correlation(self) -> float:
        return (entr(self.table.sum(0)).sum() + entr(self.table.sum(1)).sum()).item() - self.entropy


@dataclass(frozen=True)
class OverlappingUniform(MixedPair):
    r"""X uniform on 0 … levels − 1, and Y given X uniform on [X, X + 2], so that neighboring levels overlap.

    .. math:: I(X;Y) = \log m - \frac{m-1}{m} \log 2

    Args:
        levels: m, at least 1.

    References:
        Gao et al. 2017, "Estimating mutual information for discrete-continuous mixtures", Section 5.

    Example:
        >>> round(OverlappingUniform(5).mutual_information, 4)
        1.0549
    """

    levels: int

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f"got levels={self.levels}; expected at least 1")

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        level = torch.randint(self.levels, (n_samples, 1), generator=generator, device=generator.device).double()
        return torch.cat([level, level + 2 * uniform(n_samples, 1, generator)], dim=1)

    @property
    def mean(self) -> Tensor:
        return float64([(self.levels - 1) / 2, (self.levels + 1) / 2])

    @property
    def covariance(self) -> Tensor:
        spread = (self.levels**2 - 1) / 12
        return float64([[spread, spread], [spread, spread + 1 / 3]])

    @property
    def total_correlation(self) -> float:
        return log(self.levels) - (self.levels - 1) / self.levels * log(2)


@dataclass(frozen=True)
class NormalWithAtoms(MixedPair):
    r"""With probability ``weight`` a pair of signs (±1, ±1), otherwise a normal pair.

    Either unit shows which of the two it is, so with w the weight and a the agreement

    .. math:: I = H(w) + w\,(\log 2 - H(a)) - \tfrac{1-w}{2}\log(1-\rho^2)

    Args:
        rho: correlation of the normal pair.
        agreement: probability that the two signs are equal.
        weight: probability of the signs, strictly between 0 and 1.

    References:
        Gao et al. 2017, Section 5, first experiment.

    Example:
        >>> round(NormalWithAtoms().mutual_information, 4)
        1.2924
    """

    rho: float = 0.9
    agreement: float = 0.9
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not (abs(self.rho) < 1 and 0 <= self.agreement <= 1 and 0 < self.weight < 1):
            raise ValueError(f"got {self}; expected −1 < rho < 1, 0 ≤ agreement ≤ 1 and 0 < weight < 1")

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        normal = MultivariateNormal.pair(self.rho).sample(n_samples, generator)
        chance = uniform(n_samples, 3, generator)
        sign = torch.where(chance[:, 0] < 0.5, -1.0, 1.0)
        signs = torch.stack([sign, torch.where(chance[:, 1] < self.agreement, sign, -sign)], dim=1)
        return torch.where(chance[:, 2:] < self.weight, signs.double(), normal)

    @property
    def mean(self) -> Tensor:
        return float64([0, 0])

    @property
    def covariance(self) -> Tensor:
        shared = self.weight * (2 * self.agreement - 1) + (1 - self.weight) * self.rho
        return float64([[1, shared], [shared, 1]])

    @property
    def total_correlation(self) -> float:
        of_signs = log(2) - _binary_entropy(self.agreement)
        of_normal = -0.5 * log(1 - self.rho**2)
        return _binary_entropy(self.weight) + self.weight * of_signs + (1 - self.weight) * of_normal


@dataclass(frozen=True)
class ZeroInflatedPoisson(MixedPair):
    r"""X exponential of mean 1, and Y zero with probability ``zeros``, otherwise Poisson of mean X.

    Without inflation I(X;Y) = 2 log 2 − γ − Σ log k · 2⁻ᵏ. Gao et al. print (1 − zeros) times that, which is only an
    upper bound, since an inflated zero looks like a Poisson one. This is H(Y) − H(Y|X), the outer integral by
    quadrature.

    Args:
        zeros: probability of the inflation, in [0, 1].

    References:
        Gao et al. 2017, Section 5.

    Example:
        >>> round(ZeroInflatedPoisson(0.0).mutual_information, 4)
        0.3012
    """

    zeros: float = 0.15

    def __post_init__(self) -> None:
        if not 0 <= self.zeros <= 1:
            raise ValueError(f"got zeros={self.zeros}; expected a number in [0, 1]")

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        rng = numpy_generator(generator)
        x = rng.standard_exponential(size=n_samples)
        y = rng.poisson(x) * (rng.random(n_samples) >= self.zeros)
        return torch.stack([torch.from_numpy(x), torch.from_numpy(y).double()], dim=1).to(generator.device)

    @property
    def mean(self) -> Tensor:
        return float64([1, 1 - self.zeros])

    @property
    def covariance(self) -> Tensor:
        kept = 1 - self.zeros
        return float64([[1, kept], [kept, 3 * kept - kept**2]])

    @property
    def total_correlation(self) -> float:
        marginal = self._inflate(0.5 ** torch.arange(1, 200, dtype=torch.float64, device="cpu"))
        # substitute x = t³: the entropy behaves like −x log x at 0, where its slope is unbounded
        conditional = integrate(
            lambda t: 3 * t**2 * torch.exp(-(t**3)) * self._conditional_entropy(t**3), 0.0, 40.0 ** (1 / 3)
        )
        return entr(marginal).sum().item() - conditional

    def _conditional_entropy(self, x: Tensor) -> Tensor:
        """Return H(Y | X = x) from 200 counts, which hold all but 1e-60 of a Poisson of mean 40."""
        count = torch.arange(200, dtype=torch.float64, device="cpu")
        poisson = torch.exp(xlogy(count, x[..., None]) - x[..., None] - torch.lgamma(count + 1))
        return entr(self._inflate(poisson)).sum(dim=-1)

    def _inflate(self, probability: Tensor) -> Tensor:
        inflated = (1 - self.zeros) * probability
        inflated[..., 0] += self.zeros
        return inflated


def _binary_entropy(probability: float) -> float:
    return entr(float64([probability, 1 - probability])).sum().item()
