"""Multivariate normal and Student-t distributions."""

from dataclasses import dataclass
from math import inf, lgamma, log, nan, pi

import torch
from torch import Generator, Tensor

from .distribution import Distribution, float64, numpy_generator


@dataclass(frozen=True, eq=False)
class MultivariateNormal(Distribution):
    r"""Zero-mean normal units of any covariance.

    .. math:: H = \tfrac12 \log\det(2\pi e\,\Sigma), \qquad \mathrm{TC} = -\tfrac12 \log\det R

    Args:
        matrix: covariance, shape (n_units, n_units); a singular one is allowed (its entropy is −inf).

    Raises:
        ValueError: for a matrix that is not symmetric or not positive semidefinite.

    Example:
        >>> round(MultivariateNormal(0.3 * torch.eye(5)).entropy, 4)
        4.0848
        >>> round(MultivariateNormal.equicorrelated(100, 0.25).mean_abs_correlation, 4)
        0.25
    """

    matrix: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", _covariance(self.matrix))

    @classmethod
    def pair(cls, rho: float) -> "MultivariateNormal":
        """Return two unit-variance units of correlation ``rho``; their information is −½ log(1 − ρ²)."""
        return cls.equicorrelated(2, rho)

    @classmethod
    def equicorrelated(cls, n_units: int, rho: float) -> "MultivariateNormal":
        """Return units of variance 1 and one correlation, at least −1/(n_units − 1), for every pair."""
        return cls(_equicorrelation(n_units, rho))

    @classmethod
    def blocks(cls, n_blocks: int, block_size: int, rho: float) -> "MultivariateNormal":
        """Return independent blocks of equicorrelated unit-variance units."""
        return cls(torch.block_diag(*[_equicorrelation(block_size, rho)] * n_blocks))

    @classmethod
    def additive_noise(cls, noise: float) -> "MultivariateNormal":
        """Return a unit normal X, and X plus a normal of deviation ``noise``: I = ½ log(1 + 1/noise²)."""
        return cls(float64([[1.0, 1.0], [1.0, 1.0 + noise**2]]))

    @property
    def n_units(self) -> int:
        return len(self.matrix)

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        device = generator.device
        normal = torch.randn(n_samples, self.n_units, generator=generator, dtype=torch.float64, device=device)
        return normal @ _square_root(self.matrix).to(device)

    @property
    def mean(self) -> Tensor:
        return torch.zeros_like(self.matrix[0])

    @property
    def covariance(self) -> Tensor:
        return self.matrix

    @property
    def entropy(self) -> float:
        return 0.5 * (self.n_units * (1 + log(2 * pi)) + _log_det(self.matrix))

    @property
    def total_correlation(self) -> float:
        return -0.5 * _log_det(self.correlation)


@dataclass(frozen=True, eq=False)
class MultivariateStudentT(Distribution):
    r"""Normal rows, each over its own :math:`\sqrt{\chi^2_\nu / \nu}`: heavy tails, dependent even at ρ = 0.

    .. math:: H = \tfrac12\log\det\Sigma + \log\frac{\Gamma(\nu/2)\,(\nu\pi)^{d/2}}{\Gamma((\nu+d)/2)}
              + \tfrac{\nu+d}{2}\left[\psi(\tfrac{\nu+d}{2}) - \psi(\tfrac{\nu}{2})\right]

    Args:
        degrees: degrees of freedom ν > 0; the mean exists above 1, the covariance above 2 (NaN otherwise).
        matrix: scale matrix Σ, shape (n_units, n_units).

    References:
        Guerrero-Cusumano 1998, "Measures of dependence for the multivariate t distribution".

    Example:
        >>> MultivariateStudentT.pair(3, rho=0.0).mutual_information > 0
        True
    """

    degrees: float
    matrix: Tensor

    def __post_init__(self) -> None:
        if not self.degrees > 0:
            raise ValueError(f"got degrees={self.degrees}; expected a number above 0")
        object.__setattr__(self, "matrix", _covariance(self.matrix))

    @classmethod
    def pair(cls, degrees: float, rho: float) -> "MultivariateStudentT":
        """Return two units with unit scales."""
        return cls(degrees, _equicorrelation(2, rho))

    @classmethod
    def single(cls, degrees: float) -> "MultivariateStudentT":
        """Return the standard one-dimensional Student-t."""
        return cls(degrees, _equicorrelation(1, 0.0))

    @property
    def n_units(self) -> int:
        return len(self.matrix)

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        normal = MultivariateNormal(self.matrix).sample(n_samples, generator)
        squares = numpy_generator(generator).chisquare(self.degrees, size=(n_samples, 1))
        return normal / torch.from_numpy(squares / self.degrees).sqrt().to(normal.device)

    @property
    def mean(self) -> Tensor:
        return torch.full_like(self.matrix[0], 0.0 if self.degrees > 1 else nan)

    @property
    def covariance(self) -> Tensor:
        return self.matrix * (self.degrees / (self.degrees - 2) if self.degrees > 2 else nan)

    @property
    def entropy(self) -> float:
        return 0.5 * _log_det(self.matrix) + self._standard_entropy(self.n_units)

    @property
    def total_correlation(self) -> float:
        scale = self.matrix.diagonal().sqrt()
        shared = -0.5 * _log_det(self.matrix / scale.outer(scale))
        return shared + self.n_units * self._standard_entropy(1) - self._standard_entropy(self.n_units)

    def _standard_entropy(self, n_units: int) -> float:
        """Return the entropy for the identity as scale matrix."""
        half, joint = self.degrees / 2, (self.degrees + n_units) / 2
        log_constant = lgamma(half) - lgamma(joint) + n_units / 2 * log(self.degrees * pi)
        return log_constant + joint * (digamma(joint) - digamma(half))


def digamma(x: float) -> float:
    """Return ψ(x), the derivative of log Γ."""
    return torch.special.digamma(float64(x)).item()


def _equicorrelation(n_units: int, rho: float) -> Tensor:
    return torch.full((n_units, n_units), rho, dtype=torch.float64, device="cpu").fill_diagonal_(1.0)


def _covariance(matrix: Tensor) -> Tensor:
    matrix = torch.as_tensor(matrix).to("cpu", torch.float64)
    if matrix.ndim != 2 or not torch.equal(matrix, matrix.T):
        raise ValueError(
            f"got a matrix of shape {tuple(matrix.shape)} that is not symmetric; expected (d, d), symmetric"
        )
    spectrum = torch.linalg.eigvalsh(matrix)
    if spectrum[0] < -_tolerance(spectrum):
        raise ValueError(f"smallest eigenvalue {spectrum[0]:.3g} is negative; expected a positive semidefinite matrix")
    return matrix


def _tolerance(spectrum: Tensor) -> Tensor:
    """Return how far from 0 rounding may carry a zero eigenvalue."""
    return len(spectrum) * torch.finfo(spectrum.dtype).eps * spectrum[-1].abs()


def _square_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def _log_det(matrix: Tensor) -> float:
    spectrum = torch.linalg.eigvalsh(matrix)
    return spectrum.log().sum().item() if spectrum[0] > _tolerance(spectrum) else -inf
