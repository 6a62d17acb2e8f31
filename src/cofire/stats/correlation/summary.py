"""Neuronal correlation of a layer: how strongly its units co-vary on average, and how sure that is."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._base.arrays import Array, as_samples, check_compute_dtype, working_dtype
from .._base.display import Shown
from .._base.precision import exactly
from .in_memory import InMemory
from .interval import interval
from .noise_floor import Correction, noise_floor
from .pair_tiles import Pairs, Tile
from .row_sample import ELEMENTS, FEWEST, rows_to_keep
from .tile_sums import TileSums


class Counts(NamedTuple):
    """What a summary counts, in the order of its first fields."""

    n_samples: int
    n_units: int
    n_constant: int
    n_nonfinite: int


@dataclass(frozen=True)
class CorrelationSummary(Shown):
    """What the pairs of a layer's units say together; NaN where fewer than two samples or one pair leave it undefined.

    Attributes:
        n_samples: rows seen.
        n_units: units of the layer.
        n_constant: units that never varied; they have no correlation and no pair.
        n_nonfinite: units that met a NaN or an infinity; likewise left out.
        n_pairs: pairs of the remaining units, each counted once.
        mean_abs: neuronal correlation (NC), the mean of abs(rho) over pairs.
        mean: mean of rho.
        mean_square: mean of rho².
        rms: its root.
        noise_floor: what ``mean_abs`` is expected to be if all units were independent.
        debiased: ``mean_abs`` less the part that noise adds; near 0, and as often negative, for independent units.
            Like the next three it is NaN for two samples, whose every correlation is ±1.
        mean_square_debiased: likewise for ``mean_square`` (the adjusted R² of a pair, averaged).
        standard_error: of ``debiased``.
        interval: 95 % confidence interval (low, high) of the true mean of abs(rho).
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


def neuronal_correlation(x: Array, *, compute_dtype: torch.dtype = torch.float64) -> CorrelationSummary:
    r"""Summary of the pairwise correlations of a layer whose samples are in memory; no n_units² array is built.

    .. math:: ρ(T) = \frac{1}{n(n-1)} \sum_{i≠j} |ρ_{T_i,T_j}|

    Args:
        x: samples, shape (n_samples, n_units); torch or numpy, any real type. Rows are taken as independent: where they
            are not (positions of one image, tokens of one text), the noise floor and the interval are too small.
        compute_dtype: type of the products, ``torch.float64`` (exact) or ``torch.float32`` (about 4e-8 off, at any
            mean of the units, and half the time).

    Returns:
        A :class:`CorrelationSummary`.

    Raises:
        ValueError: if ``x`` is not a real matrix, or ``compute_dtype`` is neither of the two.

    Bias:
        ``mean_abs`` is at least the noise floor on average. ``debiased`` takes off, pair by pair, a smooth function of
        abs(r) that cancels the noise where the true correlation is 0 or beyond three standard errors s; between, it
        takes off up to 0.34 s too much; s = 1/√(n_samples − 1).

    Interval:
        The influence of single rows on the mean gives its standard error without assuming a distribution (up to
        512 rows are looked at); Student's t widens it for their number, Fisher's transformation bends it near 1, and
        the bias that may remain raises its upper end.

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
    work = working_dtype(samples.dtype, check_compute_dtype(compute_dtype))
    with exactly(samples.device):
        source = InMemory(samples, compute_dtype, work)
        rows = source.standardized(_spread_rows(len(samples), samples.shape[1], samples.device))
        counts = Counts(len(samples), samples.shape[1], source.n_constant, source.n_nonfinite)
        return summarize(Pairs(source.tiles, source.defined), counts, rows)


def summarize(pairs: Pairs, counts: Counts, rows: Tensor) -> CorrelationSummary:
    """One pass over the tiles.

    Args:
        pairs: the correlations.
        counts: n_samples, n_units, n_constant and n_nonfinite.
        rows: some standardized samples, shape (n_rows, n_units), 0 for undefined units, from which the standard error
            is estimated.
    """
    n_samples, n_pairs = counts.n_samples, pairs.n_defined
    if n_pairs == 0:
        return CorrelationSummary(*counts, n_pairs=0, noise_floor=noise_floor(n_samples))
    sums = _Sums(rows, n_samples)
    for tile in pairs.tiles():
        sums.add(tile)
    found = sums.means(n_pairs)
    return CorrelationSummary(
        *counts,
        n_pairs=n_pairs,
        mean_abs=min(found.magnitude, 1.0),
        mean=max(-1.0, min(found.signed, 1.0)),
        mean_square=min(found.square, 1.0),
        noise_floor=noise_floor(n_samples),
        **_without_noise(found, sums.influence_variance(n_pairs), n_samples, n_pairs, len(rows)),
    )


def _without_noise(
    found: "_Means", influence_variance: float, n_samples: int, n_pairs: int, n_rows: int
) -> dict[str, Any]:
    """The fields of a summary that say what the samples' noise leaves; none for two samples."""
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
    """A mean of ρ² without what noise adds: the adjusted R² of a pair; of three samples on.

    Example:
        >>> round(debiased_square(0.1, 11), 6)
        0.0
    """
    return 1 - (1 - mean_square) * (n_samples - 1) / (n_samples - 2)


class _Means(NamedTuple):
    """Over the defined pairs: of rho, rho², exp(−u²/2), the bias correction c(u), its square, and abs(rho)."""

    signed: float
    square: float
    weak: float
    correction: float
    correction_square: float
    magnitude: float


class _Sums:
    """The sums that a summary needs, collected tile by tile.

    With A = sign(rho) and z a standardized row, the mean of abs(rho) changes with that row by
    zᵀAz − Σ_i z_i² Σ_j abs(rho_ij), up to the number of pairs: its influence.
    """

    def __init__(self, rows: Tensor, n_samples: int) -> None:
        self.rows = rows
        self.signed = torch.zeros_like(rows)  # zᵀA
        self.sums = TileSums(rows.shape[1], n_samples, rows.device)

    def add(self, tile: Tile) -> None:
        signs = self.sums.add(tile)
        above, beside = self.rows[:, tile.row :][:, : len(signs)], self.signed[:, tile.column :][:, : signs.shape[1]]
        beside.addmm_(above, signs[: above.shape[1], : beside.shape[1]])  # without the padding

    def means(self, n_pairs: int) -> _Means:
        no_pair = self.sums.entries - n_pairs
        sums = self.sums.sums.tolist()
        means = ((total - no_pair * at_zero) / n_pairs for total, at_zero in zip(sums, self.sums.at_zero, strict=True))
        return _Means(*means, magnitude=float(self.sums.strength.sum()) / 2 / n_pairs)

    def influence_variance(self, n_pairs: int) -> float:
        """Variance over the rows of their influence on the mean of abs(rho)."""
        if len(self.rows) < 2:
            return math.nan
        # zᵀA less what the row's own squares take off, still to be multiplied with z
        slope = torch.addcmul(self.signed, self.rows, self.sums.strength.to(self.rows.dtype), value=-0.5)
        influence = torch.linalg.vecdot(slope, self.rows).double() / n_pairs
        return float(influence.var())


def _spread_rows(n_samples: int, n_units: int, device: torch.device) -> Tensor:
    """Indices of some rows, evenly spread; of few samples of many units half as many, or they would cost a product."""
    usual = rows_to_keep(n_units) if n_samples >= 4 * FEWEST else ELEMENTS // 2 // n_units
    number = min(n_samples, max(usual, FEWEST // 2))
    return torch.arange(number, device=device) * n_samples // max(number, 1)
