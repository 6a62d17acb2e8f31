"""Greedy choice of a few units whose linear combinations approximate the others."""

import torch
from torch import Tensor

SPARE = 10  # a fit that leaves fewer degrees of freedom than this proves nothing
TIE = 1e-9  # rounding makes exact copies differ by this much; the first of them is chosen


class Selection:
    """Units chosen one by one, and the share of each unit that linear combinations of them leave unexplained.

    This is a pivoted Cholesky factorization of the Gram matrix: choosing a unit subtracts what it explains from all
    others.

    Args:
        gram: covariance of the units, or second moments for combinations without a constant; float64, shape (n_units,
            n_units). Units whose diagonal entry is NaN or infinite take no part.
        freedom: degrees of freedom of ``gram``: n_samples − 1 for a covariance, n_samples for second moments.

    Attributes:
        gram: as given.
        usable: units that are finite, bool, shape (n_units,).
        chosen: indices in order of choice.
        explained: units that :meth:`choose_until_explained` found to be explained, bool, shape (n_units,).

    Example:
        >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> x = torch.cat([x, 2 * x[:, :1] - x[:, 1:2]], dim=1)
        >>> selection = Selection(x.T.cov(), freedom=499)
        >>> selection.choose_until_explained(1e-10)
        >>> len(selection.chosen), bool(selection.unexplained().max() < 1e-10)
        (3, True)
    """

    def __init__(self, gram: Tensor, *, freedom: int) -> None:
        self.freedom = freedom
        variance = gram.diagonal()
        self.usable = variance.isfinite()
        self._norm = torch.where(self.usable & (variance > 0), variance, 1.0).sqrt()
        self.gram = gram
        self._left = (self.usable & (variance > 0)).double()
        self._factor = gram.new_zeros(min(16, len(gram)), len(gram))
        self.chosen: list[int] = []
        self.explained = torch.zeros_like(self.usable)

    @property
    def enough_samples(self) -> bool:
        """Whether there are enough samples to tell a fit by the chosen units from chance."""
        return self.freedom - len(self.chosen) >= SPARE

    def unexplained(self) -> Tensor:
        """Return the share of each unit's variance that is left, adjusted for the noise that a fit explains.

        This is 1 − R² times freedom / (freedom − n_chosen), shape (n_units,). 0 for constant units; NaN for unusable
        ones and, if there are no degrees of freedom left, for all that are not chosen.
        """
        spare = self.freedom - len(self.chosen)
        raised = self._left * (self.freedom / spare) if spare > 0 else self._left * torch.nan
        return torch.where(self.usable, raised.masked_fill(self._left == 0, 0.0), torch.nan)

    def choose(self, unit: int) -> None:
        """Choose a unit."""
        n, norm = len(self.chosen), self._norm
        if n == len(self._factor):
            self._factor = torch.cat([self._factor, torch.zeros_like(self._factor)])  # doubled, as lists grow
        known = self._factor[:n]
        remaining = self.gram[:, unit] / (norm * norm[unit]) - known[:, unit] @ known
        remaining = torch.where(self.usable, remaining / self._left[unit].sqrt(), 0.0)
        self._factor[n] = remaining
        self._left = (self._left - remaining.square()).clamp_(min=0)
        self._left[unit] = 0.0
        self.chosen.append(unit)

    def choose_until_explained(self, tolerance: float | Tensor) -> None:
        """Choose the least explained unit, repeatedly, until at most ``tolerance`` of each unit is unexplained.

        Stops early, with units that are neither chosen nor ``explained``, when samples run short.

        Args:
            tolerance: one share, or one for each unit, shape (n_units,).
        """
        while self.enough_samples:
            self.explained |= self.unexplained() <= tolerance
            if bool((self.explained | ~self.usable).all()):
                return
            self.choose(_first_largest(self._left.masked_fill(self.explained | ~self.usable, -1.0)))

    def choose_among(self, units: Tensor) -> None:
        """Choose those of the given units that earlier choices don't explain, the least explained first.

        Args:
            units: indices, shape (n,).
        """
        among = torch.zeros_like(self._left)
        among[units] = 1.0
        self.choose_by(among / self._norm.square(), len(units))

    def choose_by(self, importance: Tensor, number: int) -> None:
        """Choose until ``number`` units are chosen, each time that with the largest importance × unexplained variance.

        Stops early once the chosen units explain every other unit whose importance is above 0.

        Args:
            importance: weight of a unit's variance, at least 0, shape (n_units,).
            number: how many units to have chosen in the end.
        """
        weight = importance.double() * self._norm.square()
        while len(self.chosen) < number:
            unit = _first_largest(weight * self._left)
            if weight[unit] == 0 or self._left[unit] <= 16 * torch.finfo(torch.float64).eps:
                return
            self.choose(unit)

    def coefficients(self) -> Tensor:
        """Return how the chosen units combine into each unit, shape (n_chosen, n_units); 0 for unusable units."""
        factor = self._factor[: len(self.chosen)]
        own = factor[:, self.chosen]  # upper triangular
        combined = torch.linalg.solve_triangular(own, factor, upper=True)
        return combined * self._norm / self._norm[self.chosen, None]


def _first_largest(values: Tensor) -> int:
    """Return the place of the largest value, the first one where several differ by rounding alone."""
    return int((values >= values.max() * (1 - TIE)).nonzero()[0, 0])
