"""Second moments and correlations of a layer under dropout."""

import torch
from torch import Tensor

from .._base.argument_checks import check_number
from .._base.arrays import Array, as_tensor
from .covariance_matrix import as_covariance


def dropout_second_moment(second_moment: Array, *, keep: float) -> Tensor:
    r"""Return the second moments of units under independent dropout masks, from those without.

    .. math:: E[x_i' x_j'] = p^2 E[x_i x_j] \; (i ≠ j), \quad E[x_i'^2] = p \, E[x_i^2], \quad x_i' = b_i x_i

    The paper's law for "correlations": it is exact for uncentered second moments and masks of zeros and ones.
    ``nn.Dropout`` also divides activations by p: for its second moments, divide the result by ``keep ** 2``.

    Args:
        second_moment: E[x xᵀ], shape (n_units, n_units).
        keep: the probability p that a unit is kept, in (0, 1]; for ``nn.Dropout(rate)`` it is 1 − rate.

    Returns:
        Float64, shape (n_units, n_units).

    Raises:
        ValueError: if ``keep`` is not in (0, 1], or the matrix cannot hold second moments.

    References: Simon 2016, section 2.

    Example:
        >>> dropout_second_moment(torch.tensor([[1.0, 0.8], [0.8, 1.0]]), keep=0.5)
        tensor([[0.5000, 0.2000],
                [0.2000, 0.5000]], dtype=torch.float64)
    """
    check_number(keep, "keep", above=0, most=1)
    moment = as_covariance(second_moment, "second_moment")
    return (keep**2 * moment).diagonal_scatter(keep * moment.diagonal())


def dropout_correlation(covariance: Array, mean: Array, *, keep: float) -> Tensor:
    r"""Return the Pearson correlations of units under independent dropout masks, from covariance and mean without.

    .. math:: ρ_{ij}' = \frac{p \, ρ_{ij}}{\sqrt{(1 + (1 - p) μ_i^2/σ_i^2) (1 + (1 - p) μ_j^2/σ_j^2)}}

    This is p ρ for units of mean 0 and less for others. Rescaling by 1/p, as ``nn.Dropout`` does, changes nothing.

    Args:
        covariance: shape (n_units, n_units).
        mean: shape (n_units,).
        keep: the probability p that a unit is kept, in (0, 1].

    Returns:
        Float64, shape (n_units, n_units), 1 on the diagonal. A constant unit varies under dropout and has a
        correlation of 0 with the others; NaN if it is always 0.

    Raises:
        ValueError: if ``keep`` is not in (0, 1], the shapes do not match, or ``covariance`` cannot be one.

    Example:
        >>> covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
        >>> dropout_correlation(covariance, torch.zeros(2), keep=0.5)[0, 1].item()
        0.4...
        >>> dropout_correlation(covariance, torch.ones(2), keep=0.5)[0, 1].item()
        0.26...
    """
    check_number(keep, "keep", above=0, most=1)
    matrix = as_covariance(covariance, "covariance")
    center = as_tensor(mean, "mean").double()
    if center.shape != matrix.shape[:1]:
        raise ValueError(f"mean must have shape {tuple(matrix.shape[:1])} as covariance has, got {tuple(center.shape)}")
    spread = (matrix.diagonal() + (1 - keep) * center.square()).sqrt()
    rho = (keep * matrix / spread / spread[:, None]).clamp(-1, 1)
    return rho.diagonal_scatter(torch.where(spread == 0, torch.nan, torch.ones_like(spread)))
