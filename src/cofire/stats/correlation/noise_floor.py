"""What noise adds to the magnitude of a correlation, and the function of it that takes this off again."""

import math
from functools import lru_cache
from typing import NamedTuple

NARROW = 3.0
WIDE, REMAINING = NARROW * math.sqrt(2 / 5) - 2 / math.sqrt(math.pi), 0.57  # for many samples
LARGE = 1e3
REACH, PANELS = 12.0, 400  # of the integral over the noise: standard errors, and panels


def noise_floor(n_samples: int) -> float:
    """Expected abs(Pearson correlation) of two independent normal samples; about √(2/(π(n_samples − 1))).

    .. math:: E|r| = Γ((m-1)/2) / (√π Γ(m/2))

    NaN for fewer than two samples, or no number of them.

    Example:
        >>> round(noise_floor(50), 4)
        0.1146
    """
    if not n_samples >= 2:
        return math.nan
    z = (n_samples - 1) / 2
    if z > LARGE:  # where the difference of two logarithms would lose digits: Γ(z) / Γ(z + ½) by its series
        return (1 + 1 / (8 * z) + 1 / (128 * z**2) - 5 / (1024 * z**3)) / math.sqrt(math.pi * z)
    return min(1.0, math.exp(math.lgamma(z) - math.lgamma(z + 0.5)) / math.sqrt(math.pi))


class Correction(NamedTuple):
    """What is taken off |r| = u s: s c(u), with c(u) = narrow exp(−2u²) − wide exp(−u²/2), s = 1/√(n_samples − 1).

    At a true correlation of t standard errors, |r| is too large by 2φ(t) − 2tΦ(−t) of them. The mean of c(u) under the
    noise is exactly that bias at t = 0, which fixes ``wide``; beyond t = 3 it hardly differs, and between takes off
    too much, by no more than ``remaining`` times the mean of exp(−u²/2): docs/decisions/0002.
    """

    narrow: float
    wide: float
    remaining: float

    @classmethod
    @lru_cache
    def of(cls, n_samples: int) -> "Correction":
        """Exact for independent normal units at any number of samples from three on; for two as for three."""
        n_samples = max(n_samples, 3)
        freedom = n_samples - 1
        sharp, blunt = (_mean_under_noise(n_samples, decay * freedom) for decay in (2.0, 0.5))
        wide = (NARROW * sharp - noise_floor(n_samples) * math.sqrt(freedom)) / blunt
        return cls(NARROW, wide, REMAINING + (WIDE - wide))


def _mean_under_noise(n_samples: int, decay: float) -> float:
    """Mean of exp(−decay r²) over independent normal samples: r is the sine of an angle of density cos^(n − 3)."""
    step = min(math.pi / 2, REACH / math.sqrt(n_samples)) / PANELS
    total = mean = 0.0
    for panel in range(PANELS + 1):
        density = math.cos(panel * step) ** (n_samples - 3) * (0.5 if panel in (0, PANELS) else 1.0)
        total += density
        mean += density * math.exp(-decay * math.sin(panel * step) ** 2)
    return mean / total
