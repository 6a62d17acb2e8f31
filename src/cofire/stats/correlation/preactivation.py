"""Correlation of a layer's units before their activation function, from weights and input covariance."""

from collections.abc import Iterator

import torch
from torch import Tensor

from .._base.argument_checks import as_number
from .._base.arrays import Array, as_tensor
from .._base.scaling import power_of_two
from .covariance_matrix import as_covariance
from .pair_tiles import Pairs, Tile, blocks


def preactivation_correlation(weight: Array, input_covariance: Array) -> Tensor:
    r"""Return the correlation matrix of the units' pre-activations U = W x + b; the bias does not matter.

    .. math:: \mathrm{cov}(U_i, U_j) = w_i^\top \Sigma\, w_j, \qquad
              \rho(U_i, U_j) = \frac{\mathrm{cov}(U_i, U_j)}{\sqrt{\mathrm{cov}(U_i, U_i)\,\mathrm{cov}(U_j, U_j)}}

    It equals the cosine of the weights only if Σ is a multiple of the identity. It is exact for any input distribution
    with covariance Σ.

    Args:
        weight: shape (n_units, n_inputs), or (n_units, in, ...) with Σ over flattened patches.
        input_covariance: Σ, shape (n_inputs, n_inputs), for example ``Moments.covariance()``.

    Returns:
        Float64, shape (n_units, n_units); NaN for a unit whose variance is no larger than rounding.

    Raises:
        ValueError: if the shapes do not match, or ``input_covariance`` cannot be one.

    References:
        Jin, Yi, Huang 2022, Eq. 12, with the square root over the variances that the paper drops.

    Example:
        >>> preactivation_correlation(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.eye(2))
        tensor([[1.0000, 0.7071],
                [0.7071, 1.0000]], dtype=torch.float64)
    """
    directions = _Directions(weight, input_covariance)
    everything = slice(0, len(directions.vectors))
    rho = directions.correlation(everything, everything).fill_diagonal_(1.0)
    rho = rho.triu() + rho.triu(1).T  # rounding differs on either side of the diagonal
    return rho.masked_fill_(~(directions.defined[:, None] & directions.defined), torch.nan)


def preactivation_neuronal_correlation(weight: Array, input_covariance: Array) -> Tensor:
    """Return the neuronal correlation before the activation function: the mean of abs(rho) over pairs of units.

    Args:
        weight: shape (n_units, n_inputs), as for :func:`preactivation_correlation`.
        input_covariance: shape (n_inputs, n_inputs).

    Returns:
        Scalar tensor, float64. Constant units are left out; NaN if fewer than two units remain.

    Raises:
        ValueError: if the shapes do not match, or ``input_covariance`` cannot be one.

    References: Jin, Yi, Huang 2022, Eq. 13 (the paper says Def. 2 and means Def. 1).

    Example:
        >>> preactivation_neuronal_correlation(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.eye(2))
        tensor(0.7071, dtype=torch.float64)
    """
    directions = _Directions(weight, input_covariance)
    return Pairs(directions.tiles, directions.defined).mean_abs()


def epsilon(after: float, before: float) -> float:
    """Return by how much the activation function changes a layer's neuronal correlation: ε = abs(NC after − NC before).

    Args:
        after: neuronal correlation of the activations.
        before: neuronal correlation of the pre-activations.

    Raises:
        ValueError: if one is no number or beyond ±1. NaN, for a correlation that is not defined, gives NaN.

    Example:
        >>> round(epsilon(0.3, 0.5), 12)
        0.2
    """
    for name, given in (("after", after), ("before", before)):
        number = as_number(given)
        if number is None or abs(number) > 1:
            raise ValueError(f"{name} must be a neuronal correlation, from -1 to 1 or NaN, got {given!r}")
    return float(abs(after - before))


class _Directions:
    """Weight vectors w and their images Σ w, both over the standard deviation of the unit; 0 for undefined units."""

    def __init__(self, weight: Array, input_covariance: Array) -> None:
        vectors = as_tensor(weight, "weight").double()
        covariance = as_covariance(input_covariance, "input_covariance").to(vectors.device)
        if vectors.ndim < 2 or vectors.numel() == 0:
            raise ValueError(f"weight must have shape (n_units, n_inputs), got {tuple(vectors.shape)}")
        n_inputs = vectors[0].numel()
        if covariance.shape != (n_inputs, n_inputs):
            raise ValueError(
                f"input_covariance must have shape ({n_inputs}, {n_inputs}) for a weight of shape "
                f"{tuple(vectors.shape)}, got {tuple(covariance.shape)}"
            )
        vectors = vectors.flatten(1)
        peak = power_of_two(vectors.abs().amax(1, keepdim=True))
        vectors = vectors / torch.where(peak > 0, peak, 1.0)  # the scale of a unit's weights does not matter
        image = vectors @ covariance
        variance = (image * vectors).sum(1)
        # perfectly correlated inputs would give the largest variance; a tiny share of it is only rounding
        largest = (vectors.abs() @ covariance.diagonal().clamp_min(0).sqrt()).square()
        noise = n_inputs * torch.finfo(torch.float64).eps * largest
        self.defined = variance.isfinite() & (variance > noise)
        # a mask rather than a product with 0, which would leave the NaNs of undefined units
        known = self.defined[:, None]
        self.vectors, self.image = (
            torch.where(known, part * variance.rsqrt()[:, None], 0.0) for part in (vectors, image)
        )

    def correlation(self, rows: slice, columns: slice) -> Tensor:
        """Return a tile of the correlation matrix; 0 for undefined units."""
        return (self.image[rows] @ self.vectors[columns].T).clamp_(-1, 1)

    def tiles(self) -> Iterator[Tile]:
        """Yield the tiles on and above the diagonal."""
        n_units = len(self.vectors)
        _, width = blocks(n_units, self.vectors.device)
        for column in range(0, n_units, width):
            for row in range(0, column + 1, width):
                rows, columns = slice(row, row + width), slice(column, column + width)
                yield Tile(row, column, self.correlation(rows, columns))
