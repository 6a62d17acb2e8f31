"""The measure of weights: how alike the incoming weights of two units are."""

from typing import Any

from torch import Tensor

from ...stats.weights.weight_correlation import weight_correlation_summary
from .measure import Measure


def weight_correlation(*, sites: Any = "*", every: Any = None) -> Measure:
    """Return the measure of weight correlation: the mean cosine between the incoming weights of two units.

    Rows: ``wc`` (of the absolute cosine), ``wc_signed``, and ``wc_lower_quartile``, ``wc_median``,
    ``wc_upper_quartile`` of the absolute cosine; ``wc_left_out`` counts units whose weights are all zero or not
    finite, which have no direction. It needs no forward pass. Kernels of convolutions are flattened; recurrent gates
    and attention's projections are layers of their own.

    Args:
        sites: which layers; by default all with units of their own, see `Measure`.
        every: when; None leaves it to the tracker.
    """
    return Measure(_weight_correlation, {}, sites, every, stage="weights", name="weight_correlation")


def _weight_correlation(weight: Tensor, groups: int = 1) -> dict[str, float]:
    found = weight_correlation_summary(weight, groups=groups)
    return {
        "wc": found.mean_abs,
        "wc_signed": found.mean,
        "wc_lower_quartile": found.lower_quartile,
        "wc_median": found.median,
        "wc_upper_quartile": found.upper_quartile,
        "wc_left_out": found.n_zero + found.n_nonfinite,
    }
