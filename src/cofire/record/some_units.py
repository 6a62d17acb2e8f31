"""The neuronal correlation of a wide layer from a random choice of its units: unbiased, with its error."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..stats import Moments
from .measures import Measure, correlation

FEWEST = 64
"""With fewer units, the error due to their choice is no longer small compared to the number itself."""


def of_some_units(measure: Measure, n_units: int, generator: torch.Generator) -> Measure:
    """Return the measure limited to ``n_units`` units of wider layers; measures that can't be limited are unchanged."""
    if measure.statistic is not correlation().statistic:
        return measure

    def statistic(x: Tensor, *, compute_dtype: str) -> dict[str, float]:
        if x.shape[1] <= n_units:
            return measure.values((x,))
        return correlation_of_some(x, n_units, generator, compute_dtype=compute_dtype)

    return replace(measure, statistic=statistic, prepare=None, arrays=None)


def correlation_of_some(x: Tensor, n_units: int, generator: torch.Generator, *, compute_dtype: str) -> dict[str, float]:
    r"""Return what `correlation` records, from the pairs of ``n_units`` random units.

    The mean over the pairs of a random set of units is an unbiased estimate of the mean over all pairs. Its variance
    is estimated by the jackknife over units, with the finite-population factor:

    .. math:: \left(1 - \frac{u}{d}\right) \frac{4 (u - 1)}{u (u - 2)^2} \sum_i (h_i - \bar h)^2

    h_i is the mean abs(rho) of unit i with the other chosen ones. ``nc_low`` and ``nc_high`` are widened by it, within
    [0, 1]; ``nc_unit_error`` is its root, and ``n_units_seen`` the number chosen. ``n_constant`` and ``n_nonfinite``
    are scaled up to all units.

    References: Arvesen 1969 (the jackknife of U-statistics); Nandi, Sen 1963 (finite populations).
    """
    n_all = x.shape[1]
    chosen = torch.randperm(n_all, generator=generator)[:n_units].sort().values.to(x.device)
    x = x[:, chosen]
    found = correlation(compute_dtype=compute_dtype).values((x,))
    error = unit_error(x, n_all)
    spread = 1.96 * error
    return {
        **found,
        # within [0, 1], but extended to a value below 0; the value comes first: max and min then keep NaN
        "nc_low": max(
            found["nc_debiased"] - math.hypot(found["nc_debiased"] - found["nc_low"], spread),
            min(found["nc_debiased"], 0.0),
        ),
        "nc_high": min(found["nc_debiased"] + math.hypot(found["nc_high"] - found["nc_debiased"], spread), 1.0),
        "n_units": n_all,
        "n_constant": found["n_constant"] * n_all / n_units,
        "n_nonfinite": found["n_nonfinite"] * n_all / n_units,
        "n_units_seen": n_units,
        "nc_unit_error": error,
    }


def unit_error(x: Tensor, n_all: int) -> float:
    """Return the standard error of the mean abs(rho) due to the choice of the units of ``x`` among ``n_all``."""
    moments = Moments().update(x)
    defined = moments.defined_units()
    n = int(defined.sum())
    if n < 3:
        return math.nan
    rho = moments.correlation()[defined][:, defined].abs()
    of_unit = (rho.sum(1) - 1) / (n - 1)
    squares = (of_unit - of_unit.mean()).square().sum().item()
    return math.sqrt(max(0.0, 1 - x.shape[1] / n_all) * 4 * (n - 1) / (n * (n - 2) ** 2) * squares)
