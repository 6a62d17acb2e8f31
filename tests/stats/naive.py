"""Loop twins of the fast paths over samples: slow, obvious, in 60-digit arithmetic where it matters."""

import mpmath
import numpy as np


def correlation(x: np.ndarray) -> np.ndarray:
    """Pearson correlation pair by pair in 60 digits; NaN for constant units."""
    with mpmath.workdps(60):
        columns = [[mpmath.mpf(float(value)) for value in column] for column in np.asarray(x, dtype=np.float64).T]
        centered = [[v - mpmath.fsum(column) / len(column) for v in column] for column in columns]
        norms = [mpmath.sqrt(mpmath.fsum(v * v for v in column)) for column in centered]
        rho = np.full((len(columns), len(columns)), np.nan)
        for i, a in enumerate(centered):
            for j, b in enumerate(centered):
                if norms[i] and norms[j]:
                    rho[i, j] = float(mpmath.fsum(p * q for p, q in zip(a, b, strict=True)) / norms[i] / norms[j])
        return rho


def magnitudes(rho: np.ndarray) -> np.ndarray:
    """|rho| of every defined pair."""
    values = np.abs(rho[np.triu_indices(len(rho), 1)])
    return values[~np.isnan(values)]
