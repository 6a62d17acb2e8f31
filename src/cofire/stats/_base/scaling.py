"""Scales that add no rounding error."""

import torch
from torch import Tensor


def column_means(points: Tensor) -> Tensor:
    """Return the mean of each column, shape (n_columns,); an offset costs no digits, and no sum overflows by it."""
    return points[0] + (points - points[0]).mean(dim=0)


def power_of_two(spread: Tensor) -> Tensor:
    """Return the power of two above each spread; 0 stays 0, and a non-finite spread becomes 1."""
    exponent = torch.frexp(spread.abs()).exponent.clamp(-1000, 1000)
    power = torch.ldexp(torch.ones_like(spread), exponent)
    return torch.where(spread == 0, 0.0, torch.where(spread.isfinite(), power, 1.0))
