"""Measures of correlation: how strongly units co-vary, and how the activation function changes that."""

from typing import Any, Literal

import torch
from torch import Tensor

from ...stats._base.definitions import are_copies
from ...stats.correlation.moments import Moments
from ...stats.correlation.preactivation import epsilon as change_in_correlation
from ...stats.correlation.summary import CorrelationSummary, neuronal_correlation
from .activation_sample import evenly_spaced, sample_arrays
from .measure import WIDE, Measure

HEAT_MAP_UNITS = 256


def compute_dtype(n_units: int) -> str:
    """Return the type of the products: ``"float32"``, twice as fast and 4e-7 off, from 512 units on; ``"float64"``."""
    return "float32" if n_units >= WIDE else "float64"


def correlation(
    *, sites: Any = "*", stage: Literal["post", "pre"] = "post", every: Any = None, compute_dtype: Any = compute_dtype
) -> Measure:
    """Return the measure of neuronal correlation: how strongly the units of a layer co-vary on average.

    Rows: ``nc`` (mean abs(rho)), ``nc_debiased``, ``nc_low`` and ``nc_high`` (95 % interval),
    ``nc_noise_floor``, ``nc_rms``, ``nc_mean`` (signed), ``n_units``, ``n_constant``, ``n_nonfinite`` (units that met a
    NaN or an infinity). Arrays: ``histogram`` (50 counts of abs(rho)), ``correlation`` with ``correlation_units`` (at
    most 256 units, evenly spaced), ``constant_units``, ``duplicates`` (rows i, j, rho: each copy with its strongest
    partner, abs(rho) ≥ 0.99), and ``sample`` with ``sample_range`` and ``sample_units``: at most 256 rows of at
    most 128 units, from which a report draws one unit against another.

    Args:
        sites: which layers; by default all with units of their own, see `Measure`.
        stage: after (``"post"``) or before (``"pre"``) the activation function.
        every: when; None leaves it to the tracker.
        compute_dtype: ``"float32"`` or ``"float64"`` for the products; by default float32 from 512 units on.

    Example:
        >>> import torch
        >>> values = correlation().values((torch.randn(100, 4),))
        >>> sorted(values)[:4]
        ['n_constant', 'n_nonfinite', 'n_units', 'nc']
    """
    parameters = {"compute_dtype": compute_dtype}
    shown = {"prepare": _summary, "arrays": _correlation_arrays}
    return Measure(_correlation, parameters, sites, every, stage=stage, name="correlation", **shown)


def _summary(x: Tensor, *, compute_dtype: str) -> CorrelationSummary:
    return neuronal_correlation(x, compute_dtype=getattr(torch, compute_dtype))


def _correlation(found: CorrelationSummary) -> dict[str, float]:
    low, high = found.interval
    return {
        "nc": found.mean_abs,
        "nc_debiased": found.debiased,
        "nc_low": low,
        "nc_high": high,
        "nc_noise_floor": found.noise_floor,
        "nc_rms": found.rms,
        "nc_mean": found.mean,
        "n_units": found.n_units,
        "n_constant": found.n_constant,
        "n_nonfinite": found.n_nonfinite,
    }


def _correlation_arrays(x: Tensor, *, compute_dtype: str) -> dict[str, Tensor]:
    moments = Moments(compute_dtype=getattr(torch, compute_dtype)).update(x)
    shown = evenly_spaced(x.shape[1], HEAT_MAP_UNITS).to(x.device)
    # The map is float64. Where the moments are too and have no more units, they hold it already.
    of_shown = moments if len(shown) == x.shape[1] and compute_dtype == "float64" else Moments().update(x[:, shown])
    return {
        "histogram": moments.histogram(bins=50),
        "correlation": of_shown.correlation().to(torch.float16),
        "correlation_units": shown,
        "constant_units": moments.constant_units().nonzero()[:, 0],
        "duplicates": _duplicates(*moments.strongest_partner()),
        **sample_arrays(x),
    }


def _duplicates(rho: Tensor, partner: Tensor) -> Tensor:
    """Return pairs (k, 3) of i < j and rho; two units that are each other's partner make one pair."""
    first = are_copies(rho).nonzero()[:, 0]
    pairs = torch.stack([first, partner[first].to(first.dtype)], 1).sort(1).values
    found = torch.cat([pairs.to(torch.float64), rho[first, None].to(torch.float64)], 1)
    order = {(int(i), int(j)): index for index, (i, j) in enumerate(pairs.tolist())}
    return found[sorted(order.values(), key=lambda index: pairs[index].tolist())]


def epsilon(*, sites: Any = "*", every: Any = None, compute_dtype: Any = compute_dtype) -> Measure:
    """Return the measure of how the activation function changes the correlation: ε = abs(NC after − NC before).

    Row: ``epsilon``, at the site's name; 0 where no activation function follows.

    Args:
        sites: which layers; by default all with units of their own, see `Measure`.
        every: when; None leaves it to the tracker.
        compute_dtype: as for `correlation`.

    Example:
        >>> import torch
        >>> x = torch.randn(100, 4)
        >>> epsilon().values((x, x))
        {'epsilon': 0.0}
    """
    parameters = {"compute_dtype": compute_dtype}
    return Measure(_epsilon, parameters, sites, every, stage="both", name="epsilon", prepare=_summary)


def _epsilon(before: CorrelationSummary, after: CorrelationSummary) -> float:
    return change_in_correlation(after.mean_abs, before.mean_abs)
