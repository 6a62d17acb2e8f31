"""Neuronal correlation of a layer: how strongly its units co-vary on average, and its confidence interval."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._base.arrays import Array, as_samples, check_compute_dtype, working_dtype
from .._base.display import Shown
from .._base.nan_policy import NanPolicy, by_nan_policy, check_nan_policy
from .._base.precision import exactly
from .in_memory import InMemory
from .interval import interval
from .noise_floor import Correction, noise_floor
from .pair_tiles import Pairs
from .row_sample import ELEMENTS, FEWEST, rows_to_keep
from .tile_sums import Means, TileSums


class Counts(NamedTuple):
    """The counts of a summary, in the order of its first fields."""

    n_samples: int
    n_units: int
    n_constant: int
    n_nonfinite: int


@dataclass(frozen=True)
class CorrelationSummary(Shown):
    """Statistics over the pairs of a layer's units; NaN where fewer than two samples or one pair leave them undefined.

    Attributes:
        n_samples: rows seen.
        n_units: units of the layer.
        n_constant: units that never varied; they have no correlation and no pairs.
        n_nonfinite: units that met a NaN or an infinity; also left out.
        n_pairs: pairs of the remaining units, each counted once.
        mean_abs: neuronal correlation (NC), the mean of abs(rho) over pairs.
        mean: mean of rho.
        mean_square: mean of rho².
        rms: root of ``mean_square``.
        noise_floor: expected ``mean_abs`` if all units were independent.
        debiased: ``mean_abs`` without the part that noise adds. It is unbiased rather than confined to [0, 1]: for
            independent units it is as often below 0 as above, by much if there are few pairs and few samples (down to
            -2.1 for three samples, -0.9 for eight). Like the next three it is NaN for two samples, whose correlations
            are all ±1.
        mean_square_debiased: the same for ``mean_square`` (the adjusted R² of a pair, averaged).
        standard_error: standard error of ``debiased``.
        interval: 95 % confidence interval (low, high) of the true mean of abs(rho). It contains ``debiased``: the lower
            end is below 0 only where ``debiased`` is.
    """

    n_samples: int
    n_units: int
    n_constant: int
    n_nonfinite: int
    n_pairs: int
    mean_abs: float = math.nan
    mean: float = math.nan
    mean_square: float = math.nan
    noise_floor: float = math.nan
    debiased: float = math.nan
    mean_square_debiased: float = math.nan
    standard_error: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)

    @property
    def rms(self) -> float:
        """Root of ``mean_square``."""
        return math.sqrt(self.mean_square)


def neuronal_correlation(
    x: Array, *, compute_dtype: torch.dtype = torch.float64, nan: NanPolicy = "propagate"
) -> CorrelationSummary:
    r"""Return a summary of the pairwise correlations of a layer in memory, without building an n_units² array.

    .. math:: ρ(T) = \frac{1}{n(n-1)} \sum_{i≠j} |ρ_{T_i,T_j}|

    Args:
        x: samples, shape (n_samples, n_units); torch or numpy, any real type. Rows are assumed independent: if they are
            not (positions of one image, tokens of one text), the noise floor and the interval are too small.
        compute_dtype: type of the products, ``torch.float64`` (exact) or ``torch.float32`` (half the time; ``mean_abs``
            about 1e-8 off at any mean of the units, up to 5e-7 for near copies; single correlations up to 9e-7).
        nan: policy for samples with a NaN or an infinity: "propagate" leaves out their units, "omit" leaves out the
            samples, and "raise" raises.

    Returns:
        A :class:`CorrelationSummary`.

    Raises:
        ValueError: if ``x`` is not a real matrix, or ``compute_dtype`` is neither of the two.

    Bias:
        ``mean_abs`` is at least the noise floor on average. ``debiased`` subtracts, pair by pair, a smooth function of
        abs(r) that cancels the noise if the true correlation is 0 or beyond three standard errors s. In between it
        subtracts up to 0.34 s too much; s = 1/√(n_samples − 1).

    Interval:
        The standard error comes from the influence of up to 512 single rows on the mean, which assumes no distribution.
        Student's t widens the interval for their number, Fisher's transformation keeps it within 1, and the bias that
        may remain raises its upper end.

    References: Jin, Yi, Huang 2022, Definition 1.

    Example:
        >>> import torch
        >>> z = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))
        >>> noise = torch.randn(2000, 8, generator=torch.Generator().manual_seed(1))
        >>> summary = neuronal_correlation(z + noise)  # every pair correlates at 1/2
        >>> round(summary.mean_abs, 1)
        0.5
    """
    samples = as_samples(x)
    check_nan_policy(nan)
    if nan != "propagate":  # which looks at the means alone, and not at each sample
        samples = next(iter(by_nan_policy(nan, x=samples) or ()))
    work = working_dtype(samples.dtype, check_compute_dtype(compute_dtype))
    with exactly(samples.device):
        source = InMemory(samples, compute_dtype, work)
        rows = source.standardized(_spread_rows(len(samples), samples.shape[1], samples.device))
        counts = Counts(len(samples), samples.shape[1], source.n_constant, source.n_nonfinite)
        return summarize(Pairs(source.tiles, source.defined), counts, rows)


def summarize(pairs: Pairs, counts: Counts, rows: Tensor) -> CorrelationSummary:
    """Return the summary of correlations in one pass over their tiles.

    With A = sign(rho) and z a standardized row, a row changes the mean of abs(rho) by its influence
    zᵀAz − Σ_i z_i² Σ_j abs(rho_ij), over twice the number of pairs. Its scatter over rows gives the standard error.

    Args:
        pairs: the correlations.
        counts: n_samples, n_units, n_constant and n_nonfinite.
        rows: some standardized samples, shape (n_rows, n_units), 0 for undefined units.
    """
    n_samples, n_pairs = counts.n_samples, pairs.n_defined
    if n_pairs == 0:
        return CorrelationSummary(*counts, n_pairs=0, noise_floor=noise_floor(n_samples))
    sums = TileSums(counts.n_units, n_samples, rows.device)
    upper = torch.zeros_like(rows)  # zᵀA, with only the pairs above the diagonal in A
    for tile in pairs.tiles():
        signs = sums.add(tile)
        height, width = signs.shape
        z, row = rows[:, tile.row : tile.row + height], upper[:, tile.column : tile.column + width]
        row.addmm_(z, signs[: z.shape[1], : row.shape[1]])  # without the padding of the tile
    found = sums.means(n_pairs)
    # each pair counts once in ``upper`` and twice in ``strength``
    slope = torch.addcmul(upper, rows, sums.strength.to(rows.dtype), value=-0.5)
    influence = torch.linalg.vecdot(slope, rows).double()
    variance = float(influence.var()) / n_pairs**2 if len(rows) > 1 else math.nan
    return CorrelationSummary(
        *counts,
        n_pairs=n_pairs,
        mean_abs=min(found.magnitude, 1.0),
        mean=max(-1.0, min(found.signed, 1.0)),
        mean_square=min(found.square, 1.0),
        noise_floor=noise_floor(n_samples),
        **_without_noise(found, variance, n_samples, n_pairs, len(rows)),
    )


def _without_noise(
    found: Means, influence_variance: float, n_samples: int, n_pairs: int, n_rows: int
) -> dict[str, Any]:
    """Return the fields of a summary that correct for noise; none for two samples."""
    if n_samples < 3:
        return {}
    unit = 1 / math.sqrt(n_samples - 1)
    error = math.sqrt(influence_variance / n_samples + unit**2 * found.correction_square / n_pairs)
    debiased = min(found.magnitude - unit * found.correction, 1.0)
    return {
        "debiased": debiased,
        "mean_square_debiased": debiased_square(found.square, n_samples),
        "standard_error": error,
        "interval": interval(debiased, error, unit * Correction.of(n_samples).remaining * found.weak, n_rows),
    }


def debiased_square(mean_square: float, n_samples: int) -> float:
    """Return a mean of ρ² without what noise adds: the adjusted R² of a pair, for three samples or more.

    Example:
        >>> round(debiased_square(0.1, 11), 6)
        0.0
    """
    return 1 - (1 - mean_square) * (n_samples - 1) / (n_samples - 2)


def _spread_rows(n_samples: int, n_units: int, device: torch.device) -> Tensor:
    """Return the indices of some evenly spread rows."""
    # of few samples of many units only half as many, because every two rows cost as much as a sample
    usual = rows_to_keep(n_units) if n_samples >= 4 * FEWEST else ELEMENTS // 2 // n_units
    number = min(n_samples, max(usual, FEWEST // 2))
    return torch.tensor([index * n_samples // number for index in range(number)], dtype=torch.int64, device=device)
