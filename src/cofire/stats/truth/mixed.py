"""Discrete laws, and mixtures of atoms and densities."""

from dataclasses import dataclass
from math import inf, log

import torch
from torch import Generator, Tensor
from torch.special import entr, xlogy

from cofire.stats.truth.distribution import Distribution, numpy_generator
from cofire.stats.truth.elliptical import MultivariateNormal
from cofire.stats.truth.quadrature import integrate


@dataclass(frozen=True, eq=False)
class DiscreteTable(Distribution):
    """A pair of discrete units: row and column number of a cell, drawn by a table of joint probabilities.

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

    @property
    def n_units(self) -> int:
        return 2

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        weights = self.table.flatten().to(generator.device)
        cells = torch.multinomial(weights, n_samples, replacement=True, generator=generator)
        columns = self.table.shape[1]
        return torch.stack([cells // columns, cells % columns], dim=1).double()

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
class OverlappingUniform(Distribution):
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

    @property
    def n_units(self) -> int:
        return 2

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        device = generator.device
        level = torch.randint(self.levels, (n_samples,), generator=generator, device=device).double()
        spread = 2 * torch.rand(n_samples, generator=generator, dtype=torch.float64, device=device)
        return torch.stack([level, level + spread], dim=1)

    @property
    def mean(self) -> Tensor:
        middle = (self.levels - 1) / 2
        return torch.tensor([middle, middle + 1], dtype=torch.float64, device="cpu")

    @property
    def covariance(self) -> Tensor:
        spread = (self.levels**2 - 1) / 12
        return torch.tensor([[spread, spread], [spread, spread + 1 / 3]], dtype=torch.float64, device="cpu")

    @property
    def entropy(self) -> float:
        return -inf

    @property
    def total_correlation(self) -> float:
        return log(self.levels) - (self.levels - 1) / self.levels * log(2)


@dataclass(frozen=True)
class NormalWithAtoms(Distribution):
    r"""With probability ``weight`` a pair of signs (±1, ±1), otherwise a normal pair.

    Which of the two it is can be told from either unit, so with w the weight and a the agreement

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

    @property
    def n_units(self) -> int:
        return 2

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        normal = MultivariateNormal.pair(self.rho).sample(n_samples, generator)
        chance = torch.rand(n_samples, 3, generator=generator, dtype=torch.float64, device=generator.device)
        sign = torch.where(chance[:, 0] < 0.5, -1.0, 1.0)
        signs = torch.stack([sign, torch.where(chance[:, 1] < self.agreement, sign, -sign)], dim=1)
        return torch.where(chance[:, 2:] < self.weight, signs.double(), normal)

    @property
    def mean(self) -> Tensor:
        return torch.zeros(2, dtype=torch.float64, device="cpu")

    @property
    def covariance(self) -> Tensor:
        shared = self.weight * (2 * self.agreement - 1) + (1 - self.weight) * self.rho
        return torch.tensor([[1.0, shared], [shared, 1.0]], dtype=torch.float64, device="cpu")

    @property
    def entropy(self) -> float:
        return -inf

    @property
    def total_correlation(self) -> float:
        of_signs = log(2) - _binary_entropy(self.agreement)
        of_normal = -0.5 * log(1 - self.rho**2)
        return _binary_entropy(self.weight) + self.weight * of_signs + (1 - self.weight) * of_normal


@dataclass(frozen=True)
class ZeroInflatedPoisson(Distribution):
    r"""X exponential of mean 1, and Y zero with probability ``zeros``, otherwise Poisson of mean X.

    Without inflation I(X;Y) = 2 log 2 − γ − Σ log k · 2⁻ᵏ. Gao et al. print (1 − zeros) times that, which is
    an upper bound only, since an inflated zero cannot be told from a Poisson one. Given here is
    H(Y) − H(Y|X), its outer integral by quadrature.

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

    @property
    def n_units(self) -> int:
        return 2

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        rng = numpy_generator(generator)
        x = rng.standard_exponential(size=n_samples)
        y = rng.poisson(x) * (rng.random(n_samples) >= self.zeros)
        return torch.stack([torch.from_numpy(x), torch.from_numpy(y).double()], dim=1).to(generator.device)

    @property
    def mean(self) -> Tensor:
        return torch.tensor([1.0, 1 - self.zeros], dtype=torch.float64, device="cpu")

    @property
    def covariance(self) -> Tensor:
        kept = 1 - self.zeros
        return torch.tensor([[1.0, kept], [kept, 3 * kept - kept**2]], dtype=torch.float64, device="cpu")

    @property
    def entropy(self) -> float:
        return -inf

    @property
    def total_correlation(self) -> float:
        marginal = self._inflate(0.5 ** torch.arange(1, 200, dtype=torch.float64, device="cpu"))
        # x = t³, since the entropy is like −x log x at 0 and its slope there has no bound
        conditional = integrate(
            lambda t: 3 * t**2 * torch.exp(-(t**3)) * self._conditional_entropy(t**3), 0.0, 40.0 ** (1 / 3)
        )
        return entr(marginal).sum().item() - conditional

    def _conditional_entropy(self, x: Tensor) -> Tensor:
        """H(Y | X = x); 200 counts hold all but 1e-60 of a Poisson of mean 40."""
        count = torch.arange(200, dtype=torch.float64, device="cpu")
        poisson = torch.exp(xlogy(count, x[..., None]) - x[..., None] - torch.lgamma(count + 1))
        return entr(self._inflate(poisson)).sum(dim=-1)

    def _inflate(self, probability: Tensor) -> Tensor:
        inflated = (1 - self.zeros) * probability
        inflated[..., 0] += self.zeros
        return inflated


def _binary_entropy(probability: float) -> float:
    p = torch.tensor([probability, 1 - probability], dtype=torch.float64, device="cpu")
    return entr(p).sum().item()
