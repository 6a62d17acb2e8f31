"""How likely chance alone makes two units look alike."""

import math

TINY = 1e-300
MOST_TERMS = 100_000
HALVINGS = 200


def chance_of_correlation(r: float, *, freedom: int) -> float:
    r"""Probability that two independent normal samples correlate by abs(r) or more.

    .. math:: P(|R| \ge |r|) = I_{1 - r^2}(f / 2, 1 / 2)

    with I the regularized incomplete beta function. The cosine of two random directions in d dimensions has the same
    law with f = d − 1.

    Args:
        r: correlation or cosine, from -1 to 1.
        freedom: n_samples − 2 for correlations, dimensions − 1 for cosines; below 1 any r is chance, and the answer 1.

    Raises:
        ValueError: if ``r`` is outside [-1, 1].

    References: Fisher 1915.

    Example:
        >>> round(chance_of_correlation(0.632, freedom=8), 3)  # the table's 5 % point for ten samples
        0.05
    """
    if not -1 <= r <= 1:
        raise ValueError(f"r must be a correlation from -1 to 1, got {r}")
    return incomplete_beta((1 - r) * (1 + r), freedom / 2, 0.5) if freedom >= 1 else 1.0


def critical_correlation(chance: float, *, freedom: int) -> float:
    """The abs(r) that chance alone exceeds with the given probability; 1 where no smaller one is safe.

    Args:
        chance: probability, above 0 and at most 1.
        freedom: as for :func:`chance_of_correlation`.

    Raises:
        ValueError: if ``chance`` is no such probability.

    Example:
        >>> round(critical_correlation(0.05, freedom=8), 3)
        0.632
    """
    if not 0 < chance <= 1:
        raise ValueError(f"chance must be a probability above 0, got {chance}")
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if chance_of_correlation(middle, freedom=freedom) > chance:
            low = middle
        else:
            high = middle
    return high


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularized incomplete beta function I_x(a, b), by its continued fraction (modified Lentz).

    Example:
        >>> round(incomplete_beta(0.3, 1, 1), 12)
        0.3
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) * _continued_fraction(x, a, b) / a


def _continued_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
