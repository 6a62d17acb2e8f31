"""Integrals of smooth functions on an interval."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def integrate(function: Callable[[Tensor], Tensor], low: float, high: float, *, panels: int = 256) -> float:
    """Return an integral by a Gauss–Legendre rule of 16 nodes on each of equal panels.

    Args:
        function: works elementwise on a float64 tensor.
        low: lower end.
        high: upper end.
        panels: number of equal parts; the integrand should be close to a polynomial on each.

    Example:
        >>> round(integrate(torch.exp, 0.0, 1.0), 12)
        1.718281828459
    """
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(16))
    width = (high - low) / panels
    middles = low + width * (torch.arange(panels, dtype=torch.float64, device="cpu") + 0.5)
    values = function(middles[:, None] + width / 2 * nodes)  # (panels, 16)
    return (values @ weights).sum().item() * width / 2
