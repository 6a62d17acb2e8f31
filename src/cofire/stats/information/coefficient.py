"""Conversions between mutual information and correlation, as they hold for two normal units."""

import numpy as np
import torch
from torch import Tensor

from .._base.argument_checks import as_number
from .._base.arrays import Array, as_tensor
from .engine.thresholds import LINEAR


def information_coefficient(information: "Array | float") -> Tensor:
    r"""Convert mutual information to the abs(correlation) of two normal units that have it.

    .. math:: r = \operatorname{sign}(I) \sqrt{1 - e^{-2 |I|}}

    This puts dependence on the scale of a correlation: 0 for independent units, 1 if one determines the other.

    Args:
        information: mutual information in nats, a number or any shape; estimates below 0 give coefficients below 0.

    Returns:
        The same shape; NaN where the information is NaN.

    Bias: the square root magnifies noise near 0: an error of .02 nats becomes .2. Compare with shuffled units.

    References:
        Linfoot 1957, "An informational measure of correlation".

    Example:
        >>> information_coefficient(torch.tensor([0.0, 0.2231, torch.inf], dtype=torch.float64)).round(decimals=3)
        tensor([0.0000, 0.6000, 1.0000], dtype=torch.float64)
    """
    information = _as_floating(information, "information")
    return information.sign() * (-torch.expm1(-2 * information.abs())).sqrt()


def information_of_correlation(rho: "Array | float") -> Tensor:
    r"""Convert a correlation to the mutual information of two normal units that have it, in nats.

    .. math:: I = -\tfrac12 \log(1 - \rho^2)

    Args:
        rho: correlations, a number or any shape.

    Returns:
        The same shape; infinite where 1 − ρ² is rounding error (below 1e-12), NaN where ρ is, or is beyond ±1.

    Example:
        >>> round(information_of_correlation(torch.tensor(0.6, dtype=torch.float64)).item(), 4)
        0.2231
    """
    rho = _as_floating(rho, "rho")
    unexplained = (1 - rho) * (1 + rho)
    beyond = max(LINEAR, 16 * torch.finfo(rho.dtype).eps)  # how far rounding can push ρ² above 1
    linear = (unexplained < LINEAR) & (unexplained > -beyond)
    return -0.5 * torch.where(linear, 0.0, unexplained).log() + 0.0


def _as_floating(value: "Array | float", name: str) -> Tensor:
    """Return a number or any array of numbers as a tensor: its own floating-point type, else float64."""
    if isinstance(value, Tensor | np.ndarray):
        tensor = value if isinstance(value, Tensor) and value.requires_grad else as_tensor(value, name)
        if value.dtype not in (torch.bool, np.bool_) and not tensor.is_complex():
            return tensor if tensor.is_floating_point() else tensor.double()
    elif (number := as_number(value)) is not None:
        return torch.tensor(number, dtype=torch.float64)
    raise ValueError(f"{name} must be a number or an array of real numbers, got {value!r}")
