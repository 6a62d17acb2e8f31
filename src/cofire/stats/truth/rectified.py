"""A pair of normal units after a ReLU: half an atom at zero, half a density."""

from dataclasses import dataclass
from math import asin, log, pi, sqrt

import torch
from torch import Generator, Tensor
from torch.special import log_ndtr

from .distribution import MixedPair, float64
from .elliptical import MultivariateNormal
from .quadrature import integrate


@dataclass(frozen=True)
class RectifiedNormal(MixedPair):
    r"""max(0, X), max(0, Y) of a standard normal pair of correlation ρ.

    With :math:`s = \sqrt{1-\rho^2}`, both are zero with probability
    :math:`P = \tfrac14 + \arcsin\rho / 2\pi`, and E[XY] is the arc-cosine kernel :math:`\rho P + s / 2\pi`. The
    information sums E[log(joint / product of marginals)] over the quadrants: both zero gives
    :math:`P \log 4P`, each edge

    .. math:: \int_0^\infty \varphi(x)\, q \log 2q\, dx, \qquad q(x) = \Phi(-\rho x / s)

    by quadrature, and the open quadrant truncated normal moments.

    Args:
        rho: correlation before the ReLU, strictly between −1 and 1.

    References:
        Cho and Saul 2009, "Kernel methods for deep learning" (arc-cosine kernel).

    Example:
        >>> pair = RectifiedNormal(0.6)
        >>> round(pair.correlation[0, 1].item(), 4), round(pair.mutual_information, 4)
        (0.527, 0.1528)
    """

    rho: float

    def __post_init__(self) -> None:
        if not abs(self.rho) < 1:
            raise ValueError(f"got rho={self.rho}; expected a number strictly between −1 and 1")

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        return MultivariateNormal.pair(self.rho).sample(n_samples, generator).relu()

    @property
    def mean(self) -> Tensor:
        return float64([1 / sqrt(2 * pi)] * 2)

    @property
    def covariance(self) -> Tensor:
        product = self._product_moment
        return float64([[0.5, product], [product, 0.5]]) - self.mean.outer(self.mean)

    @property
    def total_correlation(self) -> float:
        both = self._quadrant
        return both * log(4 * both) + 2 * self._edge + self._open_quadrant

    @property
    def _residual(self) -> float:
        return sqrt((1 - self.rho) * (1 + self.rho))

    @property
    def _quadrant(self) -> float:
        """P(X > 0, Y > 0), which is also P(both are zero)."""
        return 0.25 + asin(self.rho) / (2 * pi)

    @property
    def _product_moment(self) -> float:
        return self.rho * self._quadrant + self._residual / (2 * pi)

    @property
    def _edge(self) -> float:
        """E[log(joint / product); one unit on, the other at zero]."""
        # x = t·s makes the integrand as smooth at ρ near 1 as elsewhere

        def integrand(t: Tensor) -> Tensor:
            log_off = log_ndtr(-self.rho * t)
            density = self._residual * torch.exp(-0.5 * (self._residual * t) ** 2) / sqrt(2 * pi)
            return density * torch.exp(log_off) * (log_off + log(2))

        return integrate(integrand, 0.0, 40 / self._residual)

    @property
    def _open_quadrant(self) -> float:
        """E[log φ₂/(φφ); both on], a quadratic form in x and y."""
        square = self._quadrant + self.rho * self._residual / (2 * pi)
        form = self.rho**2 * 2 * square - 2 * self.rho * self._product_moment
        return -log(self._residual) * self._quadrant - form / (2 * self._residual**2)
