"""Correlation of a layer's units before their activation function, from weights and the input's covariance."""

from collections.abc import Iterator

import torch
from torch import Tensor

from .._base.arrays import Array, as_tensor
from .._base.scaling import power_of_two
from .pair_tiles import Pairs, Tile, blocks


def preactivation_correlation(weight: Array, input_covariance: Array) -> Tensor:
    r"""Correlation matrix of the units' pre-activations U = W x + b; the bias does not matter.

    .. math:: \mathrm{cov}(U_i, U_j) = w_i^\top \Sigma\, w_j, \qquad
              \rho(U_i, U_j) = \frac{\mathrm{cov}(U_i, U_j)}{\sqrt{\mathrm{cov}(U_i, U_i)\,\mathrm{cov}(U_j, U_j)}}

    It equals the cosine of the weights only where Σ is a multiple of the identity. Exact for any distribution of the
    input whose covariance is Σ.

    Args:
        weight: shape (n_units, n_inputs), or (n_units, in, ...) with Σ over flattened patches.
        input_covariance: Σ, shape (n_inputs, n_inputs), for example ``Moments.covariance()``.

    Returns:
        Float64, shape (n_units, n_units); NaN for a unit whose variance cannot be told from rounding.

    Raises:
        ValueError: if the shapes do not fit.

    References:
        Jin, Yi, Huang 2022, Eq. 12, with the square root over the variances that the paper drops.

    Example:
        >>> preactivation_correlation(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.eye(2))
        tensor([[1.0000, 0.7071],
                [0.7071, 1.0000]], dtype=torch.float64)
    """
    directions = _Directions(weight, input_covariance)
    everything = slice(0, len(directions.weight))
    rho = directions.correlation(everything, everything).fill_diagonal_(1.0)
    return rho.masked_fill_(~(directions.defined[:, None] & directions.defined), torch.nan)


def preactivation_neuronal_correlation(weight: Array, input_covariance: Array) -> Tensor:
    """Neuronal correlation before the activation function: the mean of abs(rho) over pairs of units, in tiles.

    Args:
        weight: as for :func:`preactivation_correlation`, and so are the errors.
        input_covariance: shape (n_inputs, n_inputs).

    Returns:
        Scalar tensor, float64. Constant units are left out; NaN with fewer than two others.

    References: Jin, Yi, Huang 2022, Eq. 13 (the paper says Def. 2 and means Def. 1).

    Example:
        >>> preactivation_neuronal_correlation(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.eye(2))
        tensor(0.7071, dtype=torch.float64)
    """
    directions = _Directions(weight, input_covariance)
    pairs = Pairs(directions.tiles, directions.defined)
    return pairs.total(torch.abs) / pairs.n_defined


def epsilon(after: float, before: float) -> float:
    """What the activation function does to a layer's neuronal correlation: ε = abs(NC after − NC before).

    Args:
        after: neuronal correlation of the activations.
        before: neuronal correlation of the pre-activations.

    Example:
        >>> round(epsilon(0.3, 0.5), 12)
        0.2
    """
    return abs(after - before)


class _Directions:
    """Weight vectors and their images under Σ, with the standard deviation of each unit."""

    def __init__(self, weight: Array, input_covariance: Array) -> None:
        self.weight = as_tensor(weight, "weight").double()
        covariance = as_tensor(input_covariance, "input_covariance").double().to(self.weight.device)
        _check_shapes(self.weight, covariance)
        self.weight = self.weight.flatten(1)
        peak = power_of_two(self.weight.abs().amax(1, keepdim=True))
        self.weight = self.weight / torch.where(peak > 0, peak, 1.0)  # the scale of a unit's weights does not matter
        self.image = self.weight @ covariance
        variance = (self.image * self.weight).sum(1)
        # no sum can exceed that of perfectly correlated inputs, so below this share of it there is only rounding
        largest = (self.weight.abs() @ covariance.diagonal().clamp_min(0).sqrt()).square()
        noise = self.weight.shape[1] * torch.finfo(torch.float64).eps * largest
        self.defined = variance.isfinite() & (variance > noise)
        self.inverse = torch.where(self.defined, variance.rsqrt(), 0.0)

    def correlation(self, rows: slice, columns: slice) -> Tensor:
        """Tile of the correlation matrix; 0 for undefined units."""
        left, right = (self._usable(part, units) for part, units in ((self.image, rows), (self.weight, columns)))
        return (left @ right.T).clamp_(-1, 1)

    def tiles(self) -> Iterator[Tile]:
        n_units = len(self.weight)
        _, width = blocks(n_units, self.weight.device)
        for column in range(0, n_units, width):
            for row in range(0, column + 1, width):
                rows, columns = slice(row, row + width), slice(column, column + width)
                yield Tile(row, column, self.correlation(rows, columns))

    def _usable(self, vectors: Tensor, units: slice) -> Tensor:
        scaled = vectors[units] * self.inverse[units, None]
        return torch.where(self.defined[units, None], scaled, 0.0)


def _check_shapes(weight: Tensor, covariance: Tensor) -> None:
    if weight.ndim < 2 or weight.numel() == 0:
        raise ValueError(f"weight must have shape (n_units, n_inputs), got {tuple(weight.shape)}")
    n_inputs = weight[0].numel()
    if covariance.shape != (n_inputs, n_inputs):
        raise ValueError(
            f"input_covariance must have shape ({n_inputs}, {n_inputs}) for a weight of shape {tuple(weight.shape)}, "
            f"got {tuple(covariance.shape)}"
        )
