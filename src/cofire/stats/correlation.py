"""Neuronal correlation of a layer: how strongly its units co-vary on average, and how sure that is."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ._arrays import Array, as_samples, check_compute_dtype, working_dtype
from .pairs import BLOCK, Pairs, Tile, blocks, half_of_diagonal
from .precision import exactly

# At a true correlation of t standard errors, |r| is too large by 2φ(t) − 2tΦ(−t) of them. Taken off instead is
# c(u) = NARROW exp(−2u²) − WIDE exp(−u²/2) of u = |r|/s, whose mean under the noise is exactly that bias at t = 0
# (which fixes WIDE), hardly differs beyond t = 3, and stays within REMAINING_BIAS of it between: docs/decisions/0002.
NARROW = 3.0
WIDE = NARROW * math.sqrt(2 / 5) - 2 / math.sqrt(math.pi)
REMAINING_BIAS = 0.34
Z_OF_BIAS = 3.0
ROWS_AT_A_TIME, ROWS_A_PRODUCT = 512, 4096
PANEL_BYTES = 16 << 20


class Counts(NamedTuple):
    """What a summary counts, in the order of its first fields."""

    n_samples: int
    n_units: int
    n_constant: int
    n_nonfinite: int


@dataclass(frozen=True)
class CorrelationSummary:
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


def noise_floor(n_samples: int) -> float:
    """Expected abs(Pearson correlation) of two independent normal samples; about √(2/(π(n_samples − 1))).

    .. math:: E|r| = Γ((m-1)/2) / (√π Γ(m/2))

    NaN for fewer than two samples.

    Example:
        >>> round(noise_floor(50), 4)
        0.1146
    """
    if n_samples < 2:
        return math.nan
    return math.exp(math.lgamma((n_samples - 1) / 2) - math.lgamma(n_samples / 2)) / math.sqrt(math.pi)


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
        abs(r) that cancels the noise exactly where the true correlation is 0 or beyond three standard errors s, and to
        within 0.34 s between; s = 1/√(n_samples − 1).

    Interval:
        The influence of single rows on the mean gives its standard error without assuming a distribution (up to
        512 rows are looked at); Student's t widens it for their number, Fisher's transformation bends it near 1, and
        the bias that may remain is added on both sides.

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
        source = _InMemory(samples, compute_dtype, work)
        rows = source.standardized(_spread_rows(len(samples), samples.device))
        return summarize(Pairs(source.tiles, source.defined), source.counts(), rows)


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
    mean_abs, mean, mean_square, correction, squared = sums.means(n_pairs, pairs.n_undefined)
    unit = 1 / math.sqrt(n_samples - 1)
    error = math.sqrt(sums.influence_variance(n_pairs) / n_samples + unit**2 * squared / n_pairs)
    debiased = mean_abs - unit * correction
    return CorrelationSummary(
        *counts,
        n_pairs=n_pairs,
        mean_abs=mean_abs,
        mean=mean,
        mean_square=mean_square,
        noise_floor=noise_floor(n_samples),
        debiased=debiased,
        mean_square_debiased=1 - (1 - mean_square) * (n_samples - 1) / (n_samples - 2) if n_samples > 2 else math.nan,
        standard_error=error,
        interval=_interval(debiased, error, unit * REMAINING_BIAS * sums.share_weak(n_pairs), len(rows)),
    )


def student_quantile(level: float, freedom: int) -> float:
    """Quantile of Student's t by the Cornish–Fisher series (within 1 % for 5 degrees of freedom, 0.01 % for 30)."""
    z = torch.special.ndtri(torch.tensor(level, dtype=torch.float64)).item()
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + g1 / freedom + g2 / freedom**2 + g3 / freedom**3


class _Sums:
    """The sums that a summary needs, collected tile by tile.

    With A = sign(rho) and z a standardized row, the mean of abs(rho) changes with that row by
    zᵀAz − Σ_i z_i² Σ_j abs(rho_ij), up to the number of pairs: its influence.
    """

    def __init__(self, rows: Tensor, n_samples: int) -> None:
        self.rows = rows
        self.scale = math.sqrt(max(n_samples - 1, 1))
        self.sums: list[Tensor] = []
        self.quadratic = rows.new_zeros(len(rows), dtype=torch.float64)
        self.strength = rows.new_zeros(rows.shape[1], dtype=torch.float64)

    def add(self, tile: Tile) -> None:
        values = tile.values
        magnitude = values.abs()
        self._influence(tile, magnitude)
        square = values * values
        wide = torch.exp(square * (-0.5 * self.scale**2))
        correction = wide.square().square_().mul_(NARROW).sub_(wide, alpha=WIDE)
        parts = (
            magnitude,
            values,
            square,
            correction,
            correction * correction,
            magnitude < Z_OF_BIAS / self.scale,
        )
        self.sums.append(torch.stack([half_of_diagonal(tile, part) for part in parts]))

    def means(self, n_pairs: int, n_undefined: int) -> list[float]:
        """Means of abs(rho), rho, rho², the bias correction and its square over the defined pairs."""
        total = torch.stack(self.sums).sum(0)
        at_zero = NARROW - WIDE
        absent = total.new_tensor([0, 0, 0, at_zero, at_zero**2, 1]) * n_undefined
        self._totals = total - absent
        return (self._totals[:5] / n_pairs).tolist()

    def share_weak(self, n_pairs: int) -> float:
        """Share of the pairs within three standard errors of 0, for which some bias may remain."""
        return float(self._totals[5]) / n_pairs

    def influence_variance(self, n_pairs: int) -> float:
        """Variance over the rows of their influence on the mean of abs(rho)."""
        if len(self.rows) < 2:
            return math.nan
        own = (self.rows.double().square() @ self.strength) / 2
        return float(((self.quadratic - own) / n_pairs).var())

    def _influence(self, tile: Tile, magnitude: Tensor) -> None:
        height, width = tile.values.shape
        above, beside = slice(tile.row, tile.row + height), slice(tile.column, tile.column + width)
        signs = tile.values.sign()
        towards = self.rows[:, above] @ signs
        part = (towards * self.rows[:, beside]).sum(1, dtype=torch.float64)
        if tile.on_diagonal:
            diagonal = self.rows[:, above].square() @ signs.diagonal()
            self.quadratic += (part - diagonal) / 2
            self.strength[above] += magnitude.sum(1).double() - magnitude.diagonal().double()
        else:
            self.quadratic += part
            self.strength[above] += magnitude.sum(1).double()
            self.strength[beside] += magnitude.sum(0).double()


class _InMemory:
    """Tiles of the correlation matrix straight from the samples."""

    def __init__(self, samples: Tensor, compute: torch.dtype, work: torch.dtype) -> None:
        self.samples, self.compute, self.work = samples, compute, work
        self.center, self.norm = _center_and_norm(samples)
        self.finite = self.norm.isfinite()
        self.all_finite = bool(self.finite.all())
        self.defined = self.finite & (self.norm > 0) & (len(samples) > 1)
        self.inverse = torch.where(self.defined, 1 / self.norm, 0.0)

    def counts(self) -> Counts:
        several = len(self.samples) > 1
        return Counts(
            n_samples=len(self.samples),
            n_units=self.samples.shape[1],
            n_constant=int((self.norm == 0).sum()) if several else 0,
            n_nonfinite=int((~self.finite).sum()) if len(self.samples) else 0,
        )

    def standardized(self, rows: Tensor) -> Tensor:
        """Chosen rows with mean 0 and variance 1 over all rows; 0 for undefined units."""
        return self._normed(self.samples[rows], slice(None)) * math.sqrt(max(len(self.samples) - 1, 1))

    def tiles(self) -> Iterator[Tile]:
        """Each pass centers the samples anew, some blocks of units at a time, rather than keep a copy of them."""
        n_blocks, width = blocks(self.samples.shape[1])
        held_at_once = max(1, PANEL_BYTES // max(1, len(self.samples) * width * self.compute.itemsize))
        for first in range(0, n_blocks, held_at_once):
            held = [self._panel(block, width) for block in range(first, min(first + held_at_once, n_blocks))]
            for column in range(first, n_blocks):
                other = held[column - first] if column - first < len(held) else self._panel(column, width)
                for row, panel in zip(range(first, column + 1), held, strict=False):
                    yield Tile(row * width, column * width, _product(panel, other).clamp_(-1, 1))

    def _panel(self, block: int, width: int) -> Tensor:
        """The units of a block, centered and of norm 1, shape (n_samples, up to width)."""
        units = slice(block * width, min((block + 1) * width, self.samples.shape[1]))
        shape = len(self.samples), units.stop - units.start
        panel = torch.empty(shape, dtype=self.compute, device=self.samples.device)
        for row in range(0, len(panel), ROWS_AT_A_TIME):
            rows = slice(row, row + ROWS_AT_A_TIME)
            panel[rows] = self._normed(self.samples[rows, units], units)
        return panel

    def _normed(self, values: Tensor, units: slice) -> Tensor:
        """Centering in two steps, so that float32 loses nothing at a large mean."""
        coarse = self.center[units].to(self.work)
        fine = (self.center[units] - coarse.double()).to(self.work)
        normed = (values.to(self.work) - coarse).sub_(fine).mul_(self.inverse[units].to(self.work))
        return (normed if self.all_finite else normed.nan_to_num_(0.0)).to(self.compute)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """leftᵀ·right, summed in float64 over stretches of rows, so that float32 keeps its precision over many."""
    parts = zip(left.split(ROWS_A_PRODUCT), right.split(ROWS_A_PRODUCT), strict=True)
    products = [torch.mm(a.T, b) for a, b in parts]
    return products[0] if len(products) == 1 else torch.stack(products).sum(0, dtype=torch.float64).to(left.dtype)


def _center_and_norm(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each unit and the norm of what is left without it, in float64; a constant unit has norm exactly 0."""
    if len(samples) == 0:
        nothing = torch.full((samples.shape[1],), torch.nan, dtype=torch.float64, device=samples.device)
        return nothing, nothing
    shift = samples[0].double()
    chunks = samples.split(max(1, ROWS_AT_A_TIME * BLOCK // samples.shape[1]))
    offset = torch.stack([(chunk - shift).sum(0) for chunk in chunks]).sum(0) / len(samples)
    square = sum(((chunk - shift).sub_(offset).square_().sum(0) for chunk in chunks), torch.zeros_like(shift))
    return shift + offset, square.sqrt()


def _spread_rows(n_samples: int, device: torch.device, most: int = 512) -> Tensor:
    """Indices of up to ``most`` rows, evenly spread."""
    number = min(n_samples, most)
    return torch.arange(number, device=device) * n_samples // max(number, 1)


def _interval(center: float, error: float, bias: float, n_rows: int) -> tuple[float, float]:
    """Symmetric on Fisher's scale, where the error of a correlation does not depend on its size, within [0, 1]."""
    if not -1 < center < 1:
        return center, center
    reach = student_quantile(0.975, max(n_rows - 1, 1)) * error / (1 - center**2)
    low, high = (math.tanh(math.atanh(center) + way * reach) + way * bias for way in (-1, 1))
    return max(0.0, low), min(1.0, max(0.0, high))
