"""The base class of distributions with known answers, and ways to make new ones from others."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from .._base.wording import plural


class Distribution(ABC):
    """A distribution over ``n_units`` units whose true statistics are known.

    A truth without a closed form is NaN, so that comparing an estimate with it fails. Entropies and informations are in
    nats.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> pair = MultivariateNormal.pair(0.6)
        >>> pair.sample(1000, torch.Generator().manual_seed(0)).shape
        torch.Size([1000, 2])
        >>> round(pair.mutual_information, 4)
        0.2231
    """

    @property
    @abstractmethod
    def n_units(self) -> int:
        """Number of units: the columns of a sample."""

    @abstractmethod
    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        """Draw independent rows: float64, shape (n_samples, n_units), on the generator's device."""

    @property
    def mean(self) -> Tensor:
        """Expectation of each unit, shape (n_units,)."""
        return float64([nan] * self.n_units)

    @property
    def covariance(self) -> Tensor:
        """Covariance of the units, shape (n_units, n_units)."""
        return float64([[nan] * self.n_units] * self.n_units)

    @property
    def correlation(self) -> Tensor:
        """Pearson correlation of the units, shape (n_units, n_units); NaN beside a constant unit."""
        scale = self.covariance.diagonal().sqrt()
        return self.covariance / scale.outer(scale)

    @property
    def mean_abs_correlation(self) -> float:
        """Mean absolute correlation over pairs of distinct units: the true neuronal correlation."""
        above = torch.ones_like(self.covariance, dtype=torch.bool).triu(diagonal=1)
        return self.correlation[above].abs().nanmean().item()

    @property
    def entropy(self) -> float:
        """Joint differential entropy in nats; −inf if a unit has an atom."""
        return nan

    @property
    def total_correlation(self) -> float:
        """Sum of the units' own entropies less the joint entropy, in nats."""
        return nan

    @property
    def mutual_information(self) -> float:
        """Mutual information of a pair of units, in nats.

        Raises:
            ValueError: if there are not exactly two units.
        """
        if self.n_units != 2:
            raise ValueError(
                f"mutual_information needs exactly two units, and this distribution has {self.n_units}; "
                "use total_correlation"
            )
        return self.total_correlation


class Pair(Distribution):
    """A distribution over two units."""

    @property
    def n_units(self) -> int:
        return 2


class MixedPair(Pair):
    """A pair of which a unit takes some value with positive probability (an atom), so that its entropy is −inf."""

    @property
    def entropy(self) -> float:
        return -inf


@dataclass(frozen=True, eq=False)
class Independent(Distribution):
    """Independent parts side by side: entropies and total correlations add, and the covariance is block-diagonal.

    Args:
        parts: the distributions, in the order of their columns.

    Example:
        >>> from cofire.stats.truth import Exponential, Uniform
        >>> Independent([Uniform(), Exponential()]).mutual_information
        0.0
    """

    parts: Sequence[Distribution]

    @property
    def n_units(self) -> int:
        return sum(part.n_units for part in self.parts)

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        return torch.cat([part.sample(n_samples, generator) for part in self.parts], dim=1)

    @property
    def mean(self) -> Tensor:
        return torch.cat([part.mean for part in self.parts])

    @property
    def covariance(self) -> Tensor:
        return torch.block_diag(*(part.covariance for part in self.parts))

    @property
    def entropy(self) -> float:
        return sum(part.entropy for part in self.parts)

    @property
    def total_correlation(self) -> float:
        return float(sum(part.total_correlation for part in self.parts if part.n_units > 1))


@dataclass(frozen=True, eq=False)
class Monotone(Distribution):
    """Every unit of ``base`` under its own strictly monotone map, which leaves information unchanged.

    Args:
        base: the distribution to map.
        maps: one strictly monotone function for each unit, elementwise on tensors.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> pair = MultivariateNormal.pair(0.9)
        >>> Monotone(pair, [torch.exp, lambda y: -(y**3)]).mutual_information == pair.mutual_information
        True
    """

    base: Distribution
    maps: Sequence[Callable[[Tensor], Tensor]]

    def __post_init__(self) -> None:
        if len(self.maps) != self.base.n_units:
            raise ValueError(
                f"got {plural(len(self.maps), 'map')} for {plural(self.base.n_units, 'unit')}; expected one for each"
            )

    @property
    def n_units(self) -> int:
        return self.base.n_units

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        columns = self.base.sample(n_samples, generator).unbind(dim=1)
        return torch.stack([apply(column) for apply, column in zip(self.maps, columns, strict=True)], dim=1)

    @property
    def total_correlation(self) -> float:
        return self.base.total_correlation


@dataclass(frozen=True, eq=False)
class Affine(Distribution):
    r"""The rows of ``base`` times a square matrix, plus an offset: :math:`H(XA + b) = H(X) + \log|\det A|`.

    Args:
        base: the distribution to map.
        matrix: invertible, shape (n_units, n_units); columns are the new units.
        offset: added to every row, shape (n_units,) or a number.

    Example:
        >>> from cofire.stats.truth import Uniform
        >>> round(Affine(Uniform(2), 2 * torch.eye(2)).entropy, 4)
        1.3863
    """

    base: Distribution
    matrix: Tensor
    offset: Tensor | float = 0.0

    @property
    def n_units(self) -> int:
        return self.base.n_units

    @property
    def _matrix(self) -> Tensor:
        return self.matrix.to("cpu", torch.float64)

    def _shift(self, rows: Tensor) -> Tensor:
        return rows + torch.as_tensor(self.offset, dtype=torch.float64, device=rows.device)

    def sample(self, n_samples: int, generator: Generator) -> Tensor:
        rows = self.base.sample(n_samples, generator)
        return self._shift(rows @ self._matrix.to(rows.device))

    @property
    def mean(self) -> Tensor:
        return self._shift(self.base.mean @ self._matrix)

    @property
    def covariance(self) -> Tensor:
        return self._matrix.T @ self.base.covariance @ self._matrix

    @property
    def entropy(self) -> float:
        return self.base.entropy + torch.linalg.slogdet(self._matrix).logabsdet.item()


def float64(values: Any) -> Tensor:
    """Return numbers, in nested lists or not, as a float64 tensor on the CPU, whatever the default device."""
    return torch.tensor(values, dtype=torch.float64, device="cpu")


def uniform(n_samples: int, n_units: int, generator: Generator) -> Tensor:
    """Draw float64 numbers from [0, 1), shape (n_samples, n_units), on the generator's device."""
    return torch.rand(n_samples, n_units, generator=generator, dtype=torch.float64, device=generator.device)


def numpy_generator(generator: Generator) -> np.random.Generator:
    """Return a numpy generator seeded by a torch one, for distributions that torch only draws from its global state."""
    seed = torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device)
    return np.random.default_rng(int(seed))
