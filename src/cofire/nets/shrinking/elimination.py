"""Backward elimination: in which order units go so that those that stay can make up for them best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

RIDGE = 1e-4
FEWER = 0.01
AMPLE = 20
"""With so many rows for each column, chance makes up for little, and a hundredth of the ridge is enough."""
STEPS = 128
"""Into how many removals a group is divided; units of one removal are chosen together."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs of readers, and what an error in them does to the network's output.

    Attributes:
        second: mean of x xᵀ over rows, float64, shape (n_columns, n_columns); a last row and column of ones if every
            reader can add a constant.
        sensitivity: mean over samples of the sum over rows of (Wᵀ g)(Wᵀ g)ᵀ, with g the gradient of a random projection
            of the network's output, shape (n_columns, n_columns) without the ones.
        units: the units that are read here, ascending, shape (n_present,).
        columns: their columns, shape (n_present, n_columns_each).
        ridge: share of the mean second moment, about the means if constants can be added, that is added to each.
    """

    second: Tensor
    sensitivity: Tensor
    units: Tensor
    columns: Tensor
    ridge: float = RIDGE


@dataclass(frozen=True, eq=False)
class Elimination:
    """The order in which the units of a group go.

    Attributes:
        order: the units, the first to go first; those that stay to the end come last, shape (n_units,).
        error: expected squared error of the network's output, summed over its entries, once the first k of the order
            are gone, shape (n_units,): ``error[0]`` is 0.
    """

    order: Tensor
    error: Tensor

    def corrected(self, measured: Mapping[int, float]) -> "Elimination":
        """Return the same order with errors that were measured where some units are gone.

        What was measured beyond the expected error is added; it is interpolated by the number of units gone.

        Args:
            measured: squared errors by the number of units gone.
        """
        places = sorted({0: 0.0, **measured})
        extra = [0.0 if k == 0 else max(0.0, measured[k] - float(self.error[k])) for k in places]
        if len(places) > 1 and places[-1] < len(self.order):  # on as it went
            extra.append(extra[-1] * len(self.order) / places[-1])
            places.append(len(self.order))
        added = np.interp(np.arange(len(self.error)), places, extra)
        return Elimination(self.order, self.error + torch.from_numpy(added))

    def kept(self, n: int) -> Tensor:
        """Return the n units that stay, ascending."""
        return self.order[len(self.order) - n :].sort().values


class _Reader:
    """The state of one set of inputs while units go."""

    def __init__(self, one: Inputs, n_units: int) -> None:
        second = one.second.clone()
        n = one.sensitivity.shape[0]
        scale = float(second.diagonal()[:n].mean())
        if len(second) > n:  # the constant takes up the means
            scale -= float(second[:n, n].square().mean())
        second.diagonal()[:n] += one.ridge * scale if scale > 1e-12 * float(second.diagonal().max()) else 1.0
        self.inverse = solved(second, torch.eye(len(second), dtype=torch.float64))
        self.sensitivity = torch.zeros_like(self.inverse)
        self.sensitivity[:n, :n] = one.sensitivity
        self.columns, self.place = one.columns, torch.full((n_units,), -1)
        self.place[one.units] = torch.arange(len(one.units))
        self.units = one.units
        self.alive = torch.ones(len(one.units), dtype=torch.bool)

    def saliencies(self, total: Tensor) -> None:
        """Add to each unit the error that it would leave."""
        columns = self.columns
        if columns.shape[1] == 1:
            at = columns[:, 0]
            found = self.sensitivity[at, at] / self.inverse[at, at].clamp_min(1e-300)
        else:
            rows, across = columns[:, :, None], columns[:, None, :]
            inverse, sensitivity = self.inverse[rows, across], self.sensitivity[rows, across]
            inverse[~self.alive] = torch.eye(columns.shape[1], dtype=torch.float64)
            found = solved(inverse, sensitivity).diagonal(dim1=1, dim2=2).sum(1)
        total[self.units] += torch.where(self.alive, found.clamp_min(0), 0.0)

    def remove(self, units: Tensor) -> float:
        """Take units out; return the error that they leave."""
        places = self.place[units]
        places = places[places >= 0]
        if not len(places):
            return 0.0
        self.alive[places] = False
        at = self.columns[places].flatten()
        inverse, sensitivity = self.inverse, self.sensitivity
        block = inverse[at][:, at]
        made = solved(block, inverse[at])
        left = float(solved(block, sensitivity[at][:, at]).diagonal().sum())
        cross = sensitivity[:, at] @ made
        sensitivity += made.T @ (sensitivity[at][:, at] @ made) - cross - cross.T
        inverse -= inverse[:, at] @ made
        for matrix in (inverse, sensitivity):
            matrix[at] = 0
            matrix[:, at] = 0
        inverse[at, at] = 1
        return max(left, 0.0)


def solved(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve linear equations whose matrix is symmetric and not negative; least squares where it is singular."""
    found, failed = torch.linalg.solve_ex(matrix, right)
    if bool((failed == 0).all()) and bool(found.isfinite().all()):
        return found
    return torch.linalg.pinv(matrix, hermitian=True) @ right


def ridge_for(n_rows: int, n_columns: int) -> float:
    """Return the ridge for second moments of so many rows."""
    return RIDGE * (FEWER if n_rows >= AMPLE * n_columns else 1.0)


def eliminate(
    inputs: Sequence[Inputs],
    n_units: int,
    *,
    together: Tensor | None = None,
    advance: Callable[[int], None] = lambda number: None,
) -> Elimination:
    """Return the order in which the units of a group go.

    At each step those units go that leave the least error once all others make up for them by least squares. Sets are
    nested, so one run gives the error for every number of units.

    Args:
        inputs: those of all readers of the group; their errors are added.
        n_units: number of units in the group.
        together: for units that are multiplied with one another, as those of queries and keys: mean products of what
            each adds to the output, shape (n_units, n_units). Nothing makes up for them, so an error is a sum of these.
        advance: called with how many more units are done.

    Example:
        >>> x = torch.randn(500, 2, dtype=torch.float64, generator=torch.manual_seed(0))
        >>> x = torch.cat([x, x[:, :1]], 1)  # the third is a copy of the first
        >>> one = Inputs(x.T @ x / 500, torch.eye(3, dtype=torch.float64), torch.arange(3), torch.arange(3)[:, None])
        >>> found = eliminate([one], 3)
        >>> found.order[0].item() in (0, 2), bool(found.error[1] < 1e-3), bool(found.error[2] > 0.5)
        (True, True, True)
    """
    readers = [_Reader(one, n_units) for one in inputs]
    alive = torch.ones(n_units, dtype=torch.bool)
    order: list[int] = []
    errors = [0.0]
    while len(order) < n_units - 1:
        total = torch.zeros(n_units, dtype=torch.float64)
        for reader in readers:
            reader.saliencies(total)
        if together is not None:
            total += (together.diagonal() + 2 * together[:, ~alive].sum(1)).clamp_min(0)
        total[~alive] = torch.inf
        number = min(max(1, n_units // STEPS), n_units - 1 - len(order))
        gone = total.nan_to_num(nan=0.0, posinf=torch.inf).topk(number, largest=False).indices
        before = errors[-1]
        left = sum(reader.remove(gone) for reader in readers)
        if together is not None:
            left += max(0.0, float(together[gone][:, gone].sum() + 2 * together[gone][:, ~alive].sum()))
        for k, unit in enumerate(gone.tolist(), 1):
            order.append(unit)
            errors.append(before + left * k / number)
        alive[gone] = False
        advance(number)
    order += alive.nonzero()[:, 0].tolist()
    return Elimination(torch.tensor(order), torch.tensor(errors, dtype=torch.float64))
