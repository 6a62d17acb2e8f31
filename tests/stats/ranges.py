"""The laws that results of the public functions keep to: types, ranges and symmetry."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def is_scalar(value: Any) -> bool:
    """Return whether a value is a float64 scalar tensor."""
    return isinstance(value, Tensor) and value.ndim == 0 and value.dtype == torch.float64


def within(value: Any, low: float, high: float) -> bool:
    """Return whether numbers lie in a range or are NaN."""
    values = torch.as_tensor(value, dtype=torch.float64)
    return bool((values.isnan() | ((values >= low) & (values <= high))).all())


def an_entropy(value: Any, **_: Any) -> bool:
    """Return whether a value can be an entropy: a number or −∞."""
    return is_scalar(value) and bool(value < math.inf)


def an_information(value: Any, **_: Any) -> bool:
    """Return whether a value can be an estimate of information: a number or ∞."""
    return is_scalar(value) and bool(value > -math.inf)


def or_nan(law: Callable[..., bool]) -> Callable[..., bool]:
    """Return the law that also allows NaN where that is the policy."""
    return lambda value, nan="raise", **rest: (nan == "propagate" and bool(value.isnan())) or law(value, **rest)


def a_summary(found: Any, **_: Any) -> bool:
    """Return whether a summary of correlations keeps to its ranges."""
    low, high = found.interval
    inside = math.isnan(low) or low <= found.debiased <= high
    counts = found.n_units - found.n_constant - found.n_nonfinite
    return (
        inside
        and within([found.mean_abs, found.mean_square, found.noise_floor, found.rms], 0, 1)
        and within([found.mean, found.mean_square_debiased], -1, 1)
        and within(found.debiased, -2.2, 1)
        and within([low, high], -2.2, 1)
        and (found.n_pairs == counts * (counts - 1) // 2 or found.n_samples < 2)
        and (math.isnan(found.standard_error) or found.standard_error >= 0)
    )


def a_matrix(low: float, high: float) -> Callable[..., bool]:
    """Return the law of symmetric matrices with entries in a range."""
    return lambda found, **_: found.ndim == 2 and within(found, low, high) and _symmetric(found)


def a_score(found: Any, **_: Any) -> bool:
    """Return whether a dependence score is one."""
    return (
        _symmetric(found.matrix)
        and bool((found.matrix.isnan() | (found.matrix > -math.inf)).all())
        and found.n_pairs + found.n_constant >= 0
        and (bool(found.standard_error.isnan()) or float(found.standard_error) >= 0)
        and (bool(found.mean.isnan()) or float(found.mean) > -math.inf)
    )


def a_disagreement(found: Any, **_: Any) -> bool:
    """Return whether a disagreement is one."""
    parts = found.information, found.correlation, found.difference
    return all(map(_symmetric, parts)) and within(found.correlation, -1, 1) and within(found.difference, -1, 1)


def of_moments(found: Any, **_: Any) -> bool:
    """Return whether moments keep to their ranges."""
    variance, partner = found.variance(), found.strongest_partner()
    return (
        a_summary(found.summary())
        and _symmetric(found.correlation())
        and within(found.correlation(), -1, 1)
        and within(variance, 0, math.inf)
        and len(found.mean()) == len(variance) == found.n_units
        and within(found.quartiles(), 0, 1)
        and int(found.histogram(7).sum()) == found.summary().n_pairs
        and within(partner[0], -1, 1)
    )


def a_scan(found: Any, **_: Any) -> bool:
    """Return whether a scan of widths keeps to its ranges."""
    return within(found.alignment, 0, 1) and within(found.information, 0, 100) and not found.leave_one_out.isnan().any()


def a_choice(found: Any, **_: Any) -> bool:
    """Return whether a choice of a width is one of its widths."""
    return found.bandwidth in found.bandwidths.tolist() and within(found.correlation, 0, 1)


def of_weights(found: Any, **_: Any) -> bool:
    """Return whether a summary of cosines keeps to its ranges."""
    quartiles = [found.lower_quartile, found.median, found.upper_quartile]
    return within([found.mean_abs, *quartiles], 0, 1) and within(found.mean, -1, 1) and sorted(quartiles) == quartiles


def ranged(low: float, high: float) -> Callable[..., bool]:
    """Return the law of numbers in a range, or NaN."""
    return lambda found, **_: within(found, low, high)


def _symmetric(matrix: Tensor) -> bool:
    return torch.equal(matrix.nan_to_num(), matrix.T.nan_to_num()) and torch.equal(matrix.isnan(), matrix.T.isnan())
