"""Choosing few units of a layer of which the others are linear combinations, as far as may be."""

import torch
from torch import Tensor

SPARE = 10  # samples beyond those that fitting uses up, below which a good fit is no evidence
TIE = 1e-9


class Selection:
    """Units chosen one by one, and how much of each unit a linear combination of the chosen leaves unexplained.

    A pivoted Cholesky factorization of the Gram matrix: choosing a unit takes what it explains off all others.

    Args:
        gram: covariance of the units, or second moments for combinations without a constant; float64, shape (n_units,
            n_units). Units with a NaN or an infinity anywhere on their diagonal take no part.
        freedom: samples behind it: n_samples − 1 for a covariance, n_samples for second moments.

    Attributes:
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
        self._gram = gram
        self._left = (self.usable & (variance > 0)).double()
        self._factor = gram.new_zeros(min(16, len(gram)), len(gram))
        self.chosen: list[int] = []
        self.explained = torch.zeros_like(self.usable)

    @property
    def enough_samples(self) -> bool:
        """Whether the samples tell a fit by the chosen units from chance."""
        return self.freedom - len(self.chosen) >= SPARE

    def unexplained(self) -> Tensor:
        """Share of each unit's variance that is left, shape (n_units,), raised by what fitting noise explains.

        The adjusted 1 − R²: times freedom / (freedom − n_chosen). 0 for constant units, NaN for unusable ones and,
        where the samples do not suffice, for all that the chosen are to explain.
        """
        spare = self.freedom - len(self.chosen)
        raised = self._left * (self.freedom / spare) if spare > 0 else self._left * torch.nan
        return torch.where(self.usable, raised.masked_fill(self._left == 0, 0.0), torch.nan)

    def choose(self, unit: int) -> None:
        """Take a unit among the chosen."""
        n, norm = len(self.chosen), self._norm
        if n == len(self._factor):
            self._factor = torch.cat([self._factor, torch.zeros_like(self._factor)])
        known = self._factor[:n]
        remaining = self._gram[:, unit] / (norm * norm[unit]) - known[:, unit] @ known
        remaining = torch.where(self.usable, remaining / self._left[unit].sqrt(), 0.0)
        self._factor[n] = remaining
        self._left = (self._left - remaining.square()).clamp_(min=0)
        self._left[unit] = 0.0
        self.chosen.append(unit)

    def choose_until_explained(self, tolerance: float | Tensor) -> None:
        """Choose the least explained unit, again and again, until none is left unexplained by more than ``tolerance``.

        Stops before the samples no longer suffice; units that are neither chosen nor ``explained`` are then left.

        Args:
            tolerance: one share, or one for each unit, shape (n_units,).
        """
        while self.enough_samples:
            self.explained |= self.unexplained() <= tolerance
            if bool((self.explained | ~self.usable).all()):
                return
            self.choose(_first_largest(self._left.masked_fill(self.explained | ~self.usable, -1.0)))

    def choose_among(self, units: Tensor) -> None:
        """Choose all of these units that those before do not explain, the least explained first.

        Args:
            units: indices, shape (n,).
        """
        among = torch.zeros_like(self._left)
        among[units] = 1.0
        self.choose_by(among / self._norm.square(), len(units))

    def choose_by(self, importance: Tensor, number: int) -> None:
        """Choose ``number`` units, each time the one of which most is unexplained, in units of its importance.

        Fewer where the chosen explain all others that are of any importance.

        Args:
            importance: what a unit's variance is worth, at least 0, shape (n_units,).
            number: of units.
        """
        weight = importance.double() * self._norm.square()
        while len(self.chosen) < number:
            unit = _first_largest(weight * self._left)
            if weight[unit] == 0 or self._left[unit] <= 16 * torch.finfo(torch.float64).eps:
                return
            self.choose(unit)

    def coefficients(self) -> Tensor:
        """How the chosen units combine into each unit, shape (n_chosen, n_units); 0 for unusable units."""
        factor = self._factor[: len(self.chosen)]
        own = factor[:, self.chosen]  # upper triangular
        combined = torch.linalg.solve_triangular(own, factor, upper=True)
        return combined * self._norm / self._norm[self.chosen, None]


def _first_largest(values: Tensor) -> int:
    """The first of the largest values; rounding does not tell copies apart."""
    return int((values >= values.max() * (1 - TIE)).nonzero()[0, 0])
