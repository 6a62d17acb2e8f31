"""Confidence intervals of a mean magnitude of correlations."""

import math
from statistics import NormalDist


def student_quantile(level: float, freedom: int) -> float:
    """Quantile of Student's t by the Cornish–Fisher series (within 1 % for 5 degrees of freedom, 0.01 % for 30)."""
    z = NormalDist().inv_cdf(level)
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + g1 / freedom + g2 / freedom**2 + g3 / freedom**3


def interval(center: float, error: float, bias: float, n_rows: int) -> tuple[float, float]:
    """Symmetric on Fisher's scale, where the error of a correlation does not depend on its size, within [0, 1].

    ``bias`` is by how much ``center`` may be too low.
    """
    t = student_quantile(0.975, max(n_rows - 1, 1))
    if not -1 < center < 1:
        return max(0.0, center - t * error), min(1.0, max(0.0, center + t * error))
    reach = t * error / (1 - center**2)
    low, high = (math.tanh(math.atanh(center) + way * reach) for way in (-1, 1))
    return max(0.0, low), min(1.0, max(0.0, high + bias))
