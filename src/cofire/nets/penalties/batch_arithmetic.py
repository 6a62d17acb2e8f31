"""Shared arithmetic of the penalties on activations: centering, standardizing and products of columns.

Autograd would take two more products on the way back from the product of a matrix with itself; written out, it takes
one. Each backward formula uses differentiable operations on the inputs and outputs only, so second derivatives are
right as well.
"""

from math import ceil

import torch
from torch import Tensor
from torch.autograd import Function

from ...stats._base.arrays import Array, as_tensor, working_dtype
from ..layers.sample_rows import rows
from .process_group import Ranks


def dense(x: Array, name: str) -> Tensor:
    """Return the same numbers as a tensor, with its gradient.

    Raises:
        ValueError: for anything but a dense array of real numbers.
    """
    tensor = x if isinstance(x, Tensor) else as_tensor(x, name)
    if tensor.is_meta:
        raise ValueError(f"{name} are on the meta device and hold no numbers; give a tensor that does")
    if tensor.is_complex() or tensor.is_quantized or tensor.is_nested or tensor.layout != torch.strided:
        kind = "nested" if tensor.is_nested else f"{tensor.dtype}, {tensor.layout}"
        raise ValueError(f"{name} must be a dense tensor of real numbers, got {kind}; convert it first")
    return tensor


def as_rows(x: Array, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
    """Return activations as (n_samples, n_units), float32 or float64, with their gradient.

    Raises:
        ValueError: if the activations are not dense and real, have no axis ``unit_axis``, or the mask does not fit.
    """
    activations = dense(x, "activations")
    if not -activations.ndim <= unit_axis < activations.ndim:
        raise ValueError(
            f"expected activations with units on axis {unit_axis}, got shape {tuple(activations.shape)}; set unit_axis "
            "to the axis of the units"
        )
    moved = activations.movedim(unit_axis, -1)
    if mask is not None:
        shape = tuple(moved.shape[:-1])
        if mask.is_floating_point() or not 0 < mask.ndim <= len(shape) or tuple(mask.shape) != shape[: mask.ndim]:
            raise ValueError(
                f"expected a bool or integer mask (true keeps a sample) whose shape is {shape} or a beginning of it, "
                f"got shape {tuple(mask.shape)}, {mask.dtype}"
            )
        moved = moved[mask.bool()]
    return rows(moved.to(working_dtype(moved.dtype, torch.float32)))


def centered(x: Tensor, ranks: Ranks) -> tuple[Tensor, int]:
    """Return the samples minus their mean, and the number of samples, over all processes."""
    n_samples = ranks.count(len(x), x.device)
    return _Center.apply(x, n_samples, ranks), n_samples  # type: ignore[return-value]  # apply is untyped


def standardized(x: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor, int]:
    """Return columns of mean 0 and length 1, the number of units that vary, and the number of samples.

    The products of these columns are correlations. A unit that does not vary becomes 0 and has gradient 0. So does
    one whose squares underflow (in float32, a standard deviation below about 1e-19): the gradient of its correlation
    would be of the order of 1e19. A unit that holds a NaN or an infinity, or whose squares overflow, becomes NaN.
    """
    n_samples = ranks.count(len(x), x.device)
    units, inverse = _Standardize.apply(x, n_samples, ranks)  # type: ignore[misc]  # apply is untyped
    return units, (inverse.detach() != 0).sum(), n_samples


def squared_correlations(units: Tensor, n_units: Tensor, top: float, ranks: Ranks) -> tuple[Tensor, Tensor]:
    """Return the sum of squared correlations over ordered pairs, and how many pairs it has, diagonal included.

    Args:
        units: standardized columns, shape (n_samples, n_units).
        n_units: how many of them vary.
        top: the share of pairs that count, the strongest first. The diagonal always counts.
        ranks: the processes that hold samples.
    """
    if top == 1.0:
        # ‖UᵀU‖ = ‖UUᵀ‖, and the smaller of the two tables is cheaper; across processes only UᵀU is a sum
        by_samples = ranks.alone and len(units) < units.shape[1]
        return _product(units if by_samples else units.T, ranks=ranks).square().sum(), n_units * n_units
    n_pairs = n_units * (n_units - 1) // 2
    # rounded up, except where the product is a whole number but for rounding; always at least one pair
    n_wanted = torch.ceil(top * n_pairs.double() - 1e-6).long().clamp(min=1).minimum(n_pairs)
    width = units.shape[1]
    rows_above, columns_above = torch.triu_indices(width, width, 1, device=units.device)
    table = _product(units.T, ranks=ranks)
    squares = table.flatten().index_select(0, rows_above * width + columns_above).square()
    # n_wanted stays on the device, so as not to wait for it; this is the most it can be, when every unit varies
    most = min(ceil(top * len(squares)), len(squares))
    strongest = squares.topk(most).values
    # a NaN sorts first and must reach the sum even if no pair is wanted
    counts = (torch.arange(most, device=units.device) < n_wanted) | strongest.isnan()
    return n_units + 2 * strongest.where(counts, 0.0).sum(), n_units + 2 * n_wanted


def squared_covariances(units: Tensor, divisor: int, ranks: Ranks) -> Tensor:
    """Return the sum of squared covariances over ordered pairs of different units.

    The diagonal is left out before squaring: one large unit's variance, squared, may exceed all the rest by more than
    the digits of the type.

    Args:
        units: centered columns, shape (n_samples, n_units).
        divisor: what divides the sums over samples.
        ranks: the processes that hold samples.
    """
    n_samples, n_units = units.shape
    if not ranks.alone or n_units <= 2 * n_samples:
        table = _product(units.T, ranks=ranks) / divisor
        return (table - table.diagonal().diag()).square().sum()
    # Few samples: the table of samples is cheaper, but its sum of squares ‖UUᵀ‖² includes the diagonal, Σ |u|⁴, and
    # subtracting that loses digits where some units are much larger than the others. The n_samples largest units are
    # therefore paired with all units directly. The rest loses at most a factor of about n_units: centered on their
    # mean, n_samples vectors at least as long as the longest of the rest cannot be orthogonal to one another.
    largest = units.detach().square().sum(0).topk(n_samples).indices
    own = largest[:, None] == torch.arange(n_units, device=units.device)
    is_large = own.any(0)
    table = _product(units[:, largest].T, units.T) / divisor
    # subtracted rather than filled in, so that a NaN on the diagonal stays one
    direct = (table - table.where(own, 0.0)).square() * (2 - is_large.to(units.dtype))
    rest = units.masked_fill(is_large, 0.0)
    by_samples = _product(rest) / divisor
    return direct.sum() + by_samples.square().sum() - (rest.square().sum(0) / divisor).square().sum()


def _product(a: Tensor, b: Tensor | None = None, *, ranks: Ranks | None = None) -> Tensor:
    """Return a bᵀ, or a aᵀ without ``b``; summed over processes if there are several."""
    product: Tensor = _Product.apply(a, b)  # type: ignore[assignment]  # apply is untyped
    return product if ranks is None else ranks.total(product)


class _Product(Function):
    """a bᵀ, or a aᵀ with one product on the way back instead of two; outside autocast both ways."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor | None) -> Tensor:
        with torch.autocast(a.device.type, enabled=False):
            return a @ (a if b is None else b).T

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor | None], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, Tensor | None]:
        (a, b), (grad,) = ctx.saved_tensors, grads
        with torch.autocast(a.device.type, enabled=False):
            if b is not None:
                return grad @ b, grad.T @ a
            both = grad + grad.T
            # laid out in memory as a is: the steps that follow would be slow on a mixture of layouts
            return both @ a if a.is_contiguous() else (a.T @ both).T, None


def _minus_mean(x: Tensor, n_samples: int, ranks: Ranks) -> Tensor:
    # one of the samples is subtracted first: then a constant unit is exactly 0, and an offset costs no digits
    x = x - ranks.reference(x)
    return x.sub_(ranks.sum(x.sum(0)) / max(n_samples, 1))


class _Center(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, n_samples: int, ranks: Ranks) -> Tensor:
        return _minus_mean(x, n_samples, ranks)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, int, Ranks], output: Tensor) -> None:
        _, ctx.n_samples, ctx.ranks = inputs

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grads
        return grad - ctx.ranks.sum(grad.sum(0)) / max(ctx.n_samples, 1), None, None


class _Standardize(Function):
    """Columns of mean 0 and length 1, and the inverse of the length each had (0 for a constant one).

    The inverse is an output because the backward formula uses it: second derivatives flow through outputs only.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, n_samples: int, ranks: Ranks) -> tuple[Tensor, Tensor]:
        units = _minus_mean(x, n_samples, ranks)
        squares = ranks.sum((units * units).sum(0))
        # not 1 / length: where squares overflow it must become NaN, not 0
        inverse = (squares.sqrt() / squares).masked_fill_(squares == 0, 0.0)
        units *= inverse
        return units, inverse

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, int, Ranks], output: tuple[Tensor, Tensor]) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output)
        _, ctx.n_samples, ctx.ranks = inputs

    @staticmethod
    def backward(ctx, *grads: Tensor | None) -> tuple[Tensor, None, None]:
        """Return the gradient minus what would lengthen a column or move its mean, which standardizing undoes."""
        (units, inverse), (grad, grad_inverse) = ctx.saved_tensors, grads
        grad = torch.zeros_like(units) if grad is None else grad
        along, total = ctx.ranks.sum((units * grad).sum(0)), ctx.ranks.sum(grad.sum(0))
        if grad_inverse is not None:
            along = along + inverse * grad_inverse
        across = torch.addcmul(grad, units, along, value=-1).sub_(total / max(ctx.n_samples, 1))
        return across.mul_(inverse), None, None
