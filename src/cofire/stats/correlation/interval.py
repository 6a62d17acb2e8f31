"""Confidence interval of a mean magnitude of correlations."""

import math

from .._base.student_t import student_quantile


def interval(center: float, error: float, bias: float, n_rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a mean abs(rho): within [0, 1], but extended to an estimate that lies outside.

    Args:
        center: the estimate; it may lie below 0.
        error: its standard error.
        bias: how far ``center`` may be too low.
        n_rows: rows that the standard error was estimated from.
    """
    t = student_quantile(0.975, max(n_rows - 1, 1))
    if -1 < center < 1:
        # symmetric on Fisher's scale, where the error of a correlation doesn't depend on its size
        reach = t * error / (1 - center**2)
        low, high = (math.tanh(math.atanh(center) + way * reach) for way in (-1, 1))
    else:
        low, high, bias = center - t * error, center + t * error, 0.0
    # an interval that left out its own estimate would read as a mistake
    return min(max(0.0, low), center), min(1.0, max(0.0, high + bias, center))
