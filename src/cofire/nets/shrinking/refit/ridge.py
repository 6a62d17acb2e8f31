"""Refit one weight: least squares toward what it put out before, pulled toward its old entries."""

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from ..elimination import solved

GRID = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
"""Ridges to choose from, as shares of the mean second moment; keeping the old weight is one more choice."""


@dataclass
class Normal:
    """Sums for least squares, in float64: of inputs (n_columns), and of the outputs to reach (n_outputs)."""

    second: Tensor
    cross: Tensor
    inputs: Tensor
    outputs: Tensor
    n: int = 0

    @classmethod
    def empty(cls, n_columns: int, n_outputs: int) -> "Normal":
        """Return sums over nothing."""
        zeros = partial(torch.zeros, dtype=torch.float64)
        return cls(zeros(n_columns, n_columns), zeros(n_columns, n_outputs), zeros(n_columns), zeros(n_outputs))

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add rows of inputs and outputs."""
        self.second += (x.T @ x).double()
        self.cross += (x.T @ y).double()
        self.inputs += x.sum(0, dtype=torch.float64)
        self.outputs += y.sum(0, dtype=torch.float64)
        self.n += len(x)

    def plus(self, other: "Normal") -> "Normal":
        """Return the sums over both."""
        return Normal(
            self.second + other.second,
            self.cross + other.cross,
            self.inputs + other.inputs,
            self.outputs + other.outputs,
            self.n + other.n,
        )

    def centered(self, at: "Normal", *, constant: bool) -> tuple[Tensor, Tensor]:
        """Return mean second and cross moments about the means of other rows; about 0 if no constant is fitted."""
        second, cross = self.second / self.n, self.cross / self.n
        if not constant:
            return second, cross
        x, y = self.inputs / self.n, self.outputs / self.n
        a, b = at.inputs / at.n, at.outputs / at.n
        second = second - torch.outer(x, a) - torch.outer(a, x) + torch.outer(a, a)
        cross = cross - torch.outer(x, b) - torch.outer(a, y) + torch.outer(a, b)
        return second, cross


@dataclass
class Refit:
    """A refitted weight.

    Attributes:
        weight: float64, shape (n_outputs, n_columns).
        constant: to be added to the outputs, shape (n_outputs,); None if none was fitted.
        ridge: the ridge that held-out rows chose; None if the old weight stays.
    """

    weight: Tensor
    constant: Tensor | None
    ridge: float | None


def refit(fit: Normal, held: Normal, old: Tensor, *, constant: bool) -> Refit:
    """Return the weight that reaches the wanted outputs best.

    Solves (XᵀX/n + λ I) (W − W₀)ᵀ = XᵀY/n − XᵀX/n W₀ᵀ, after centering if a constant is fitted; λ is what the held-out
    rows choose.

    Args:
        fit: sums over the rows to fit.
        held: sums over other samples, which choose the ridge.
        old: the old weight's entries for these columns, shape (n_outputs, n_columns).
        constant: whether a constant can be added to the outputs.
    """
    w0 = old.double().T
    second, cross = fit.centered(fit, constant=constant)
    values, vectors = torch.linalg.eigh(second)
    scale = float(second.diagonal().mean())
    right = vectors.T @ (cross - second @ w0)
    second2, cross2 = held.centered(fit, constant=constant)
    right2 = vectors.T @ (cross2 - second2 @ w0)
    second2 = vectors.T @ second2 @ vectors
    best, ridge = 0.0, None
    for one in GRID:
        step = right / (values.clamp_min(0) + max(one, 1e-12) * scale)[:, None] if scale > 0 else right * 0
        change = float(((second2 @ step) * step).sum() - 2 * (step * right2).sum())
        if change < best:
            best, ridge = change, one
    both = fit.plus(held)
    second, cross = both.centered(both, constant=constant)
    weight = w0
    if ridge is not None:
        lifted = second + max(ridge, 1e-10) * scale * torch.eye(len(second), dtype=torch.float64)
        weight = w0 + solved(lifted, cross - second @ w0)
    added = both.outputs / both.n - weight.T @ (both.inputs / both.n) if constant else None
    return Refit(weight.T, added, ridge)


@dataclass
class Rows:
    """Rows of inputs and of the outputs to reach, kept as they are: for more columns than rows."""

    x: list[Tensor] = field(default_factory=list)
    y: list[Tensor] = field(default_factory=list)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add rows."""
        self.x.append(x)
        self.y.append(y)


def refit_wide(fit: Rows, held: Rows, old: Tensor, *, constant: bool) -> Refit:
    """Return what `refit` would, from rows instead of sums: it solves for a number for each row, not each column.

    Args:
        fit: the rows to fit.
        held: rows of other samples, which choose the ridge.
        old: the old weight's entries, shape (n_outputs, n_columns).
        constant: whether a constant can be added to the outputs.
    """
    x, y = torch.cat(fit.x), torch.cat(fit.y)
    x2, y2 = torch.cat(held.x), torch.cat(held.y)
    mean_x, mean_y = (x.mean(0), y.mean(0)) if constant else (x.new_zeros(x.shape[1]), y.new_zeros(y.shape[1]))
    x, x2 = x - mean_x, x2 - mean_x
    old = old.to(x)
    miss, miss2 = (y - mean_y - x @ old.T).double(), (y2 - mean_y - x2 @ old.T).double()
    values, vectors = torch.linalg.eigh((x @ x.T).double() / len(x))
    across = (x2 @ x.T).double() @ vectors
    right = vectors.T @ miss
    scale = float(x.square().mean())
    best, ridge, step = float(miss2.square().sum()), None, None
    for one in GRID:
        here = right / (values.clamp_min(0) + max(one, 1e-8) * scale)[:, None] / len(x)
        left = float((miss2 - across @ here).square().sum())
        if left < best:
            best, ridge, step = left, one, here
    weight = old.double()
    if step is not None:
        weight = weight + ((vectors @ step).T @ x.double())
    added = (mean_y.double() - weight @ mean_x.double()) if constant else None
    return Refit(weight, added, ridge)
