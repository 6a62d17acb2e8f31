"""Squared correlations of a plain batch in the host's memory: one step there and one back, little beside the products.

Fewer steps and less memory that is written anew are what it is for: on small batches they cost as much as a product.
"""

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from .batch_arithmetic import Squares, n_strongest, standardized_back
from .process_group import Alone, Ranks


def fits(x: Tensor, ranks: Ranks) -> bool:
    """Whether compiled loops can take the batch: nothing out of the ordinary, all of it here, and nobody traces."""
    plain = type(x) is Tensor and x.dtype in (torch.float32, torch.float64) and x.numel() > 0
    return plain and x.device.type == "cpu" and ranks.alone and not torch.compiler.is_compiling()


def squared_correlations(x: Tensor, top: float) -> Squares:
    """What the penalty is made of, for samples of shape (n_samples, n_units).

    Constant units, overflow and NaN as for `standardized`.
    """
    squares, _, inverse = _Squares.apply(x.contiguous(), top)  # type: ignore[misc]  # apply is untyped
    n_units = _n_varying(inverse.detach())
    return Squares(squares, n_units, 2 * n_strongest(n_units, top), len(x))


class _Squares(Function):
    """The sum of squares, preceding standardized columns and the inverse of the length each had.

    These are outputs for the sake of second derivatives, which are taken of tensor operations on them.
    """

    @staticmethod
    def forward(ctx, x: Tensor, top: float) -> tuple[Tensor, Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        units, inverse = _standardize(x)
        ctx.by_rows, ctx.top = top == 1.0 and len(x) < x.shape[1], top
        with torch.autocast("cpu", enabled=False):
            pairs = units @ units.T if ctx.by_rows else units.T @ units
        n_units = _n_varying(inverse)
        if not ctx.by_rows:
            _keep(pairs.fill_diagonal_(0.0), n_units, top)
        ctx.save_for_backward(units, inverse, pairs)
        return x.new_tensor(_sum_of_squares(pairs) - ctx.by_rows * n_units), units, inverse

    @staticmethod
    def backward(ctx, *grads: Tensor | None) -> tuple[Tensor, None]:
        (units, inverse, pairs), (slope, grad_units, grad_inverse) = ctx.saved_tensors, grads
        if slope is not None and grad_units is None and grad_inverse is None and not torch.is_grad_enabled():
            return _back(units, inverse, pairs, ctx.by_rows, 4 * slope.item()), None
        grad = torch.zeros_like(units) if grad_units is None else grad_units
        if slope is not None:
            grad = grad + 4 * slope * _again(units, pairs, ctx.by_rows, ctx.top)
        grad_inverse = torch.zeros_like(inverse) if grad_inverse is None else grad_inverse
        return standardized_back(units, inverse, grad, grad_inverse, len(units), Alone()), None


def _again(units: Tensor, pairs: Tensor, by_rows: bool, top: float) -> Tensor:
    """The products with the pairs that count, as a function of the columns."""
    with torch.autocast("cpu", enabled=False):
        if by_rows:
            return units @ units.T @ units
        counts = pairs != 0 if top < 1.0 else ~torch.eye(len(pairs), dtype=torch.bool)
        return units @ (units.T @ units * counts)


def _standardize(x: Tensor) -> tuple[Tensor, Tensor]:
    # compiled code is imported when it is first wanted: loading it takes half a second
    from .cpu_numba import standardize_columns

    units, inverse = torch.empty_like(x), torch.empty_like(x[0])
    standardize_columns(x.detach().numpy(), units.numpy(), inverse.numpy())
    return units, inverse


def _n_varying(inverse: Tensor) -> int:
    return int(np.count_nonzero(inverse.numpy()))


def _sum_of_squares(pairs: Tensor) -> float:
    from .cpu_numba import sum_of_squares

    return sum_of_squares(pairs.numpy())


def _keep(pairs: Tensor, n_units: int, top: float) -> None:
    from .cpu_numba import keep_strongest

    n_wanted = n_strongest(n_units, top)
    if top < 1.0 and n_wanted:
        table = pairs.numpy()
        keep_strongest(table, table.view(f"u{table.itemsize}"), n_wanted)


def _back(units: Tensor, inverse: Tensor, pairs: Tensor, by_rows: bool, scale: float) -> Tensor:
    from .cpu_numba import standardize_back

    with torch.autocast("cpu", enabled=False):
        grad = pairs @ units if by_rows else units @ pairs
    standardize_back(units.detach().numpy(), inverse.detach().numpy(), grad.numpy(), scale)
    return grad
