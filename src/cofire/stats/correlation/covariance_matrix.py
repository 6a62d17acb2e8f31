"""Checks of covariance matrices that users pass."""

from torch import Tensor

from .._base.arrays import Array, as_tensor

ROUNDING = 1e-6  # of a matrix that was computed in float32


def as_covariance(matrix: Array, name: str) -> Tensor:
    """Return a covariance matrix in float64, shape (n_units, n_units); units may be NaN.

    Raises:
        ValueError: if it is not square or symmetric, or a covariance exceeds what the variances allow.
    """
    found = as_tensor(matrix, name)
    if found.ndim != 2 or found.shape[0] != found.shape[1]:
        raise ValueError(f"{name} must have shape (n_units, n_units), got {tuple(found.shape)}")
    found = found.double()
    scale = found.diagonal().sqrt()  # NaN for a negative variance, which is told from one that was NaN before
    if bool((found.diagonal() < 0).any()):
        raise ValueError(f"{name} has negative variances on its diagonal; pass E[(x − mean)(x − mean)ᵀ]")
    most = scale[:, None] * scale
    if bool(((found - found.T).abs() > ROUNDING * most).any()) or bool((found.abs() > (1 + ROUNDING) * most).any()):
        raise ValueError(
            f"{name} is no covariance matrix: it must be symmetric, and no entry may exceed the product of both "
            "standard deviations; pass E[(x − mean)(x − mean)ᵀ]"
        )
    return found
