"""Effective rank: the number of dimensions that a layer really uses, from eigenvalues or singular values."""

import torch
from torch import Tensor

from .._base.arrays import Array, as_tensor


def effective_rank_entropy(eigenvalues: Array) -> Tensor:
    r"""Return the exponential of the entropy of the eigenvalues' shares.

    .. math:: \exp\Big(-\sum_k p_k \log p_k\Big), \quad p_k = λ_k / \sum_j λ_j

    Between 1 (one direction) and n (n equal ones). Roy and Vetterli's quantity uses the singular values of a
    matrix; pass those.

    Args:
        eigenvalues: shape (..., n), at least 0; slightly negative ones, from rounding, count as 0.

    Returns:
        Float64, shape (...); NaN where all are 0 or one is not finite.

    References: Roy, Vetterli 2007.

    Example:
        >>> round(effective_rank_entropy(torch.tensor([1.0, 1.0, 1.0, 0.0])).item(), 12)
        3.0
    """
    share = _shares(eigenvalues)
    return torch.where(share.isnan(), share, torch.special.entr(share)).sum(-1).exp()


def effective_rank_participation(eigenvalues: Array) -> Tensor:
    r"""Return the participation ratio of the eigenvalues.

    .. math:: \Big(\sum_k λ_k\Big)^2 \Big/ \sum_k λ_k^2

    Between 1 and n, and never above :func:`effective_rank_entropy`. For the correlation matrix of n units it is
    n / (1 + (n − 1) · mean ρ²).

    Args:
        eigenvalues: shape (..., n), at least 0; slightly negative ones, from rounding, count as 0.

    Returns:
        Float64, shape (...); NaN where all are 0 or one is not finite.

    References: Gao et al. 2017, "A theory of multineuronal dimensionality, dynamics and measurement".

    Example:
        >>> effective_rank_participation(torch.tensor([2.0, 1.0, 1.0]))
        tensor(2.6667, dtype=torch.float64)
    """
    return 1 / _shares(eigenvalues).square().sum(-1)


def _shares(eigenvalues: Array) -> Tensor:
    values = as_tensor(eigenvalues, "eigenvalues").double().clamp(min=0)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError(f"eigenvalues must have shape (..., n) with n at least 1, got {tuple(values.shape)}")
    # divided by the largest first, so that neither huge nor tiny eigenvalues leave the range
    scaled = values / values.amax(-1, keepdim=True)
    return scaled / scaled.sum(-1, keepdim=True)
