"""The arithmetic that penalties share: center, standardize, multiply, with gradients that cost no extra product.

Left to autograd a product of a matrix with itself takes two more on the way back; written out it takes one. The
formulas on the way back consist of differentiable operations on inputs and outputs, so second derivatives are right
as well.
"""

from math import ceil
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function

from ...stats._base.arrays import Array, as_tensor, working_dtype
from ..layers.sample_rows import rows
from .process_group import Ranks


def as_rows(x: Array, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
    """Activations as (n_samples, n_units), float32 or float64, with their gradient.

    Raises:
        ValueError: if they are not real numbers with an axis of units, or the mask does not fit.
    """
    activations = x if isinstance(x, Tensor) else as_tensor(x)
    if activations.is_complex() or not -activations.ndim <= unit_axis < activations.ndim:
        raise ValueError(
            f"activations are real numbers with units on axis {unit_axis}, got shape {tuple(activations.shape)}, "
            f"{activations.dtype}"
        )
    moved = activations.movedim(unit_axis, -1)
    samples = moved if mask is None else moved[_fitting(mask, tuple(moved.shape[:-1]))]
    return rows(samples.to(working_dtype(samples.dtype, torch.float32)))


def _fitting(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    if mask.is_floating_point() or not 0 < mask.ndim <= len(shape) or tuple(mask.shape) != shape[: mask.ndim]:
        raise ValueError(
            f"a mask is a bool or integer tensor, true is keep, over the axes of the samples, {shape} or the first of "
            f"them; got shape {tuple(mask.shape)}, {mask.dtype}"
        )
    return mask.bool()


def centered(x: Tensor, ranks: Ranks) -> tuple[Tensor, int]:
    """Samples less their mean, and how many there are, on all processes."""
    n_samples = ranks.count(len(x), x.device)
    return _Center.apply(x, n_samples, ranks), n_samples  # type: ignore[return-value]  # apply is untyped


def standardized(x: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor, int]:
    """Columns of mean 0 and length 1, whose products are correlations; which of them vary; number of samples.

    A unit that does not vary is 0 and its gradient is 0. One whose squares underflow (in float32 a standard
    deviation below about 1e-19) counts as such: the gradient of its correlation, of the order of its inverse,
    serves nobody. One that holds a NaN or an infinity, or whose squares overflow, becomes NaN.
    """
    n_samples = ranks.count(len(x), x.device)
    units, inverse = _Standardize.apply(x, n_samples, ranks)  # type: ignore[misc]  # apply is untyped
    return units, inverse.detach() != 0, n_samples


def products(units: Tensor, ranks: Ranks) -> Tensor:
    """The products of all pairs of columns, (n_units, n_units), over all processes."""
    return ranks.total(_Gram.apply(units.T)[1])  # type: ignore[index]  # apply is untyped


def cross_squares(units: Tensor, squares: Tensor, ranks: Ranks) -> Tensor:
    """Sum over ordered pairs i ≠ j of the squared product of columns i and j.

    Args:
        units: shape (n_samples, n_units).
        squares: the squared length of each column, shape (n_units,).
        ranks: the processes that hold samples.

    With fewer samples than units it is taken from the products of rows, as ‖UᵀU‖ = ‖UUᵀ‖. With more, the diagonal is
    left out before squaring: the rest may be far smaller.
    """
    if ranks.alone and len(units) < units.shape[1]:
        return _Gram.apply(units)[0] - squares.square().sum()  # type: ignore[index]  # apply is untyped
    pairs = products(units, ranks)
    return (pairs - pairs.diagonal().diag()).square().sum()


class Squares(NamedTuple):
    """What a penalty on correlations is made of: their squares, summed over ordered pairs of different units."""

    total: Tensor
    n_units: Tensor | int  # that vary
    n_pairs: Tensor | int  # that count, in both orders
    n_samples: int


def squared_correlations(x: Tensor, top: float, ranks: Ranks) -> Squares:
    """Of the strongest share of pairs, the squared correlations."""
    units, varies, n_samples = standardized(x, ranks)
    n_units = varies.sum()
    n_wanted = n_strongest(n_units, top)
    if top == 1.0:
        total = cross_squares(units, varies.to(units.dtype), ranks)
    else:
        total = _strongest(products(units, ranks), n_wanted, n_strongest(len(varies), top))
    return Squares(total, n_units, 2 * n_wanted, n_samples)


Number = TypeVar("Number", int, Tensor)


def n_strongest(n_units: Number, top: float) -> Number:
    """How many pairs of so many units are the strongest: rounded up, but not for a rounding error; one, if there is."""
    pairs = n_units * (n_units - 1) // 2
    if top == 1.0:
        return pairs
    if isinstance(pairs, int):
        return min(pairs, max(1, ceil(top * pairs - 1e-6)))
    return torch.ceil(top * pairs.double() - 1e-6).long().clamp(min=1).minimum(pairs)


def _strongest(pairs: Tensor, n_wanted: Tensor, most: int) -> Tensor:
    """Sum of squares over the strongest pairs, each counted in both orders."""
    strongest = pairs.triu(1).square().flatten().topk(most).values
    # a NaN sorts as the strongest, and must be seen however few are wanted
    counts = (torch.arange(most, device=pairs.device) < n_wanted) | strongest.isnan()
    return 2 * strongest.where(counts, 0.0).sum()


def _less_mean(x: Tensor, n_samples: int, ranks: Ranks) -> Tensor:
    """Measured from one of the samples first: then a constant unit is exactly 0, and an offset costs nothing."""
    x = x - ranks.reference(x)
    return x.sub_(ranks.sum(x.sum(0)) / max(n_samples, 1))


class _Center(Function):
    @staticmethod
    def forward(ctx, x: Tensor, n_samples: int, ranks: Ranks) -> Tensor:
        ctx.n_samples, ctx.ranks = n_samples, ranks
        return _less_mean(x, n_samples, ranks)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grads
        return grad - ctx.ranks.sum(grad.sum(0)) / max(ctx.n_samples, 1), None, None


class _Standardize(Function):
    """Columns of mean 0 and length 1, and the inverse of the length each had (0 for a constant one)."""

    @staticmethod
    def forward(ctx, x: Tensor, n_samples: int, ranks: Ranks) -> tuple[Tensor, Tensor]:
        units, inverse = _standardize(x, n_samples, ranks)
        ctx.save_for_backward(units, inverse)
        ctx.n_samples, ctx.ranks = n_samples, ranks
        return units, inverse

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None, None]:
        (units, inverse), (grad, grad_inverse) = ctx.saved_tensors, grads
        return standardized_back(units, inverse, grad, grad_inverse, ctx.n_samples, ctx.ranks), None, None


def standardized_back(
    units: Tensor, inverse: Tensor, grad: Tensor, grad_inverse: Tensor, n_samples: int, ranks: Ranks
) -> Tensor:
    """The gradient less what would lengthen a column or move its mean, which standardizing undoes."""
    along, total = ranks.sum(torch.stack([(units * grad).sum(0), grad.sum(0)])).unbind()
    along = along + inverse * grad_inverse
    across = torch.addcmul(grad, units, along, value=-1).sub_(total / max(n_samples, 1))
    return across.mul_(inverse)


def _standardize(x: Tensor, n_samples: int, ranks: Ranks) -> tuple[Tensor, Tensor]:
    units = _less_mean(x, n_samples, ranks)
    squares = ranks.sum((units * units).sum(0))
    # not 1 / length: where squares overflow it must become NaN, not 0
    inverse = (squares.sqrt() / squares).masked_fill_(squares == 0, 0.0)
    return units.mul_(inverse), inverse


class _Gram(Function):
    """The products of all pairs of rows, preceded by the sum of their squares."""

    @staticmethod
    def forward(ctx, a: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        with torch.autocast(a.device.type, enabled=False):
            gram = a @ a.T
        ctx.save_for_backward(a, gram)
        return torch.linalg.vector_norm(gram).square(), gram

    @staticmethod
    def backward(ctx, *grads: Tensor | None) -> Tensor | None:
        (a, gram), (grad_squares, grad_gram) = ctx.saved_tensors, grads
        weights = [] if grad_squares is None else [gram * (4 * grad_squares)]
        weights += [] if grad_gram is None else [grad_gram + grad_gram.T]
        with torch.autocast(a.device.type, enabled=False):
            return sum(weights) @ a if weights else None
