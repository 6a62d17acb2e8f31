"""The penalty on a layer's weights, for units that read their input alike."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd import Function

from ...stats._base.arrays import Array, working_dtype
from .batch_arithmetic import dense

TILE_ROWS = 1024


def weight_correlation_penalty(weight: Array, *, groups: int = 1) -> Tensor:
    r"""Return the mean magnitude of the cosine between the incoming weight vectors of two units.

    .. math:: \frac{1}{n(n-1)} \sum_{i≠j} \frac{|w_i \cdot w_j|}{‖w_i‖ ‖w_j‖}

    Zero vectors have no direction: their pairs are left out and their gradient is 0. A NaN or an infinity makes the
    penalty NaN. The gradient takes the sign of 0 as 0 and costs one more product; derivatives of any order are right
    wherever no product is 0. No table of all pairs is stored.

    Args:
        weight: units on the first axis, shape (n_units, ...), as linear and convolution layers store it.
        groups: the groups of a convolution. Units of different groups share no input; their cosine counts as 0.

    Returns:
        Scalar tensor, float32 (float64 for float64 input), computed outside autocast; 0 for fewer than two vectors.

    Raises:
        ValueError: if the weight is not dense and real, has fewer than two axes, or ``groups`` does not divide n_units.

    Bias:
        Random vectors are not orthogonal: independent weights give about √(2 / (π fan-in)).

    References: Jin et al. 2020; Jin, Yi, Huang 2022, Definition 2.

    Example:
        >>> weight_correlation_penalty(torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]))
        tensor(0.3333)
    """
    weights = dense(weight, "weights")
    if weights.ndim < 2 or groups < 1 or len(weights) % groups:
        raise ValueError(
            f"a weight must be of shape (n_units, ...) with at least two axes and n_units a multiple of groups; got "
            f"{tuple(weights.shape)}, groups={groups}"
        )
    units, nonzero = _directions(weights.to(working_dtype(weights.dtype, torch.float32)).flatten(1))
    n_units = nonzero.sum()
    learns = torch.is_grad_enabled() and units.requires_grad
    total = sum(_AbsoluteProducts.apply(part, learns)[0] for part in units.chunk(groups))  # type: ignore[misc, index]  # apply is untyped
    return total / (n_units * (n_units - 1)).clamp(min=1)


def _directions(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return vectors of length 1 (0 where they were 0), and which were not 0; at any scale."""
    peak = vectors.detach().abs().amax(1, keepdim=True) if vectors.numel() else vectors.new_zeros(len(vectors), 1)
    nonzero = peak != 0
    # the length has no derivative at 0, so zero vectors are replaced before it is taken
    scaled = torch.where(nonzero, vectors / peak.where(nonzero, 1.0), 1.0)
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return torch.where(nonzero, scaled / length, 0.0), nonzero


class _AbsoluteProducts(Function):
    """Sum over ordered pairs i ≠ j of the magnitude of the product of rows i and j.

    The second output is what the backward formula needs, computed with the products at hand if there will be one.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(units: Tensor, learns: bool) -> tuple[Tensor, Tensor]:
        total = units.new_zeros((), dtype=torch.float64)
        slopes = [units.new_zeros(0, units.shape[1])]
        with torch.autocast(units.device.type, enabled=False):
            for tile in _tiles(units):
                total += tile.abs().sum()
                if learns:
                    slopes.append(tile.sign_() @ units)
        return total.to(units.dtype), torch.cat(slopes)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, bool], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(inputs[0], output[1])

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]  # the second is no gradient
        units, slopes = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient itself will be differentiated
            slopes = _SignedSums.apply(units, units)
        return slopes * (2 * grads[0]), None


class _SignedSums(Function):
    """For each row i, the sum over the other rows j of vector j with the sign of the product of rows i and j."""

    generate_vmap_rule = True

    @staticmethod
    def forward(units: Tensor, vectors: Tensor) -> Tensor:
        with torch.autocast(units.device.type, enabled=False):
            return torch.cat([vectors[:0], *(tile.sign_() @ vectors for tile in _tiles(units))])

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]  # one output has one gradient
        return None, _SignedSums.apply(*ctx.saved_tensors, grads[0])


def _tiles(units: Tensor) -> Iterator[Tensor]:
    """Yield the products of some rows with all, with a diagonal of 0."""
    for start in range(0, len(units), TILE_ROWS):
        tile = units[start : start + TILE_ROWS] @ units.T
        tile.diagonal(start).zero_()
        yield tile
