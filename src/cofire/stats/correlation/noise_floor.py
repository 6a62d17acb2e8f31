"""The magnitude that noise adds to a correlation, and the function of it that corrects for it."""

import math
from functools import lru_cache
from typing import NamedTuple

from .._base.argument_checks import as_number

NARROW = 3.0
WIDE, REMAINING = NARROW * math.sqrt(2 / 5) - 2 / math.sqrt(math.pi), 0.57  # for many samples
LARGE, HUGE = 1e3, 1e90
REACH, PANELS = 12.0, 400  # the integral over the noise ends after so many standard errors; its number of panels


def noise_floor(n_samples: int) -> float:
    """Return the expected abs(Pearson correlation) of independent normal samples, about √(2/(π(n_samples − 1))).

    .. math:: E|r| = Γ((m-1)/2) / (√π Γ(m/2))

    Args:
        n_samples: number of samples; NaN and fewer than two give NaN.

    Raises:
        TypeError: if ``n_samples`` is no number, or a bool.

    Example:
        >>> round(noise_floor(50), 4)
        0.1146
    """
    number = as_number(n_samples)
    if number is None:
        raise TypeError(f"n_samples must be a number of samples, got {n_samples!r}")
    if not number >= 2:
        return math.nan
    z = (number - 1) / 2
    if z > HUGE:  # where the squares of the series would overflow
        return 1 / math.sqrt(math.pi * z) if z < math.inf else 0.0
    if z > LARGE:  # the difference of two large logarithms would lose digits: Γ(z) / Γ(z + ½) by its series instead
        return (1 + 1 / (8 * z) + 1 / (128 * z**2) - 5 / (1024 * z**3)) / math.sqrt(math.pi * z)
    return min(1.0, math.exp(math.lgamma(z) - math.lgamma(z + 0.5)) / math.sqrt(math.pi))


class Correction(NamedTuple):
    r"""The correction s c(u) that is subtracted from |r| = u s, with s = 1/√(n_samples − 1).

    .. math:: c(u) = narrow \exp(−2u²) − wide \exp(−u²/2)

    At a true correlation of t standard errors, |r| is too large by 2φ(t) − 2tΦ(−t) of them. The mean of c(u) under the
    noise is exactly that bias at t = 0, which determines ``wide``, and nearly so beyond t = 3. In between it is too
    large by at most ``remaining`` times the mean of exp(−u²/2): docs/decisions/0002.
    """

    narrow: float
    wide: float
    remaining: float

    @classmethod
    @lru_cache
    def of(cls, n_samples: int) -> "Correction":
        """Return the correction that is exact for independent normal units; for two samples, that of three."""
        n_samples = max(n_samples, 3)
        freedom = n_samples - 1
        sharp, blunt = (_mean_under_noise(n_samples, decay * freedom) for decay in (2.0, 0.5))
        wide = (NARROW * sharp - noise_floor(n_samples) * math.sqrt(freedom)) / blunt
        return cls(NARROW, wide, REMAINING + (WIDE - wide))


def _mean_under_noise(n_samples: int, decay: float) -> float:
    """Return the mean of exp(−decay r²) over independent normal samples.

    Their r is the sine of an angle of density cos^(n − 3); the trapezoidal rule is very accurate for such a peak.
    """
    step = min(math.pi / 2, REACH / math.sqrt(n_samples)) / PANELS
    total = mean = 0.0
    for panel in range(PANELS + 1):
        density = math.cos(panel * step) ** (n_samples - 3) * (0.5 if panel in (0, PANELS) else 1.0)
        total += density
        mean += density * math.exp(-decay * math.sin(panel * step) ** 2)
    return mean / total
