"""Neuronal correlation of a layer: how strongly its units co-vary on average, and how sure that is."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._arrays import Array, as_samples, check_compute_dtype, working_dtype
from ._interval import interval
from ._scale import power_of_two
from ._tile_sums import tile_sums
from .pairs import BLOCK, Pairs, Tile, blocks
from .precision import exactly
from .sketch import rows_to_keep

# At a true correlation of t standard errors, |r| is too large by 2φ(t) − 2tΦ(−t) of them. Taken off instead is
# c(u) = NARROW exp(−2u²) − WIDE exp(−u²/2) of u = |r|/s, whose mean under the noise is exactly that bias at t = 0
# (which fixes WIDE), hardly differs beyond t = 3, and between takes off too much, by no more than REMAINING_BIAS
# times the mean of exp(−u²/2): docs/decisions/0002.
NARROW = 3.0
WIDE = NARROW * math.sqrt(2 / 5) - 2 / math.sqrt(math.pi)
REMAINING_BIAS = 0.57
ROWS_AT_A_TIME, ROWS_A_PRODUCT = 512, 4096
PANEL_BYTES = 16 << 20
REACH = 1e30  # norms between 1 / REACH and REACH have an inverse and a square in float32 and in float64


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
    return min(1.0, math.exp(math.lgamma((n_samples - 1) / 2) - math.lgamma(n_samples / 2)) / math.sqrt(math.pi))


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
        source = _InMemory(samples, compute_dtype, work)
        rows = source.standardized(_spread_rows(len(samples), samples.shape[1], samples.device))
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
        "mean_square_debiased": 1 - (1 - found.square) * (n_samples - 1) / (n_samples - 2),
        "standard_error": error,
        "interval": interval(debiased, error, unit * REMAINING_BIAS * found.weak, n_rows),
    }


class _Means(NamedTuple):
    """Over the defined pairs: of abs(rho), rho, rho², the bias correction c(u), its square, and exp(−u²/2)."""

    magnitude: float
    signed: float
    square: float
    correction: float
    correction_square: float
    weak: float


class _Sums:
    """The sums that a summary needs, collected tile by tile.

    With A = sign(rho) and z a standardized row, the mean of abs(rho) changes with that row by
    zᵀAz − Σ_i z_i² Σ_j abs(rho_ij), up to the number of pairs: its influence.
    """

    def __init__(self, rows: Tensor, n_samples: int) -> None:
        self.rows = rows
        self.freedom = max(n_samples - 1, 1)
        self.entries = 0
        self.sums: list[Tensor] = []
        self.quadratic = rows.new_zeros(len(rows), dtype=torch.float64)
        self.strength = rows.new_zeros(rows.shape[1], dtype=torch.float64)

    def add(self, tile: Tile) -> None:
        # the sums of the correction and of its square are those of powers of w = exp(-u²/2), u = rho √freedom
        found = tile_sums(tile.values, -0.5 * self.freedom)
        self.entries += tile.values.numel()
        self.sums.append(found.sums)
        above, beside = self.rows[:, tile.row :], self.rows[:, tile.column :]
        above, beside = above[:, : len(found.rows)], beside[:, : len(found.columns)]
        n_above, n_beside = above.shape[1], beside.shape[1]  # without the padding
        self.quadratic += (above @ found.signs[:n_above, :n_beside]).mul_(beside).sum(1, dtype=torch.float64)
        self.strength[tile.row : tile.row + n_above] += found.rows[:n_above]
        self.strength[tile.column : tile.column + n_beside] += found.columns[:n_beside]

    def means(self, n_pairs: int) -> _Means:
        """Entries that stand for no pair have rho = 0 and w = 1."""
        rho, square, *powers = torch.stack(self.sums).sum(0).tolist()
        w, w2, w4, w5, w8 = ((power - (self.entries - n_pairs)) / n_pairs for power in powers)
        return _Means(
            magnitude=float(self.strength.sum()) / 2 / n_pairs,
            signed=rho / n_pairs,
            square=square / n_pairs,
            correction=NARROW * w4 - WIDE * w,
            correction_square=NARROW**2 * w8 - 2 * NARROW * WIDE * w5 + WIDE**2 * w2,
            weak=w,
        )

    def influence_variance(self, n_pairs: int) -> float:
        """Variance over the rows of their influence on the mean of abs(rho)."""
        if len(self.rows) < 2:
            return math.nan
        own = (self.rows.double().square() @ self.strength) / 2
        return float(((self.quadratic - own) / n_pairs).var())


class _InMemory:
    """Tiles of the correlation matrix straight from the samples."""

    def __init__(self, samples: Tensor, compute: torch.dtype, work: torch.dtype) -> None:
        self.compute, self.work = compute, work
        self.samples, self.center, self.norm = _in_range(samples, *_center_and_norm(samples))
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
                    yield Tile.of(row * width, column * width, _product(panel, other))

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


def _in_range(samples: Tensor, center: Tensor, norm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same, or a copy in which units of extreme scale are divided by a power of two, if there are any."""
    # only float64 holds values whose squares leave it: a norm of 0 or infinity may then be the squares' fault
    extreme = ((norm < 1 / REACH) | (norm > REACH)) & ((norm > 0) & norm.isfinite() | (samples.dtype == torch.float64))
    if len(samples) < 2 or not extreme.any():
        return samples, center, norm
    wide = samples.double()
    spread = (wide[:, extreme] - wide[0, extreme]).abs().amax(0)
    scale = torch.ones_like(norm)
    scale[extreme] = torch.where(spread > 0, power_of_two(spread), 1.0)
    if (scale == 1).all():
        return samples, center, norm
    scaled = (wide / scale).to(samples.dtype)
    return scaled, *_center_and_norm(scaled)


def _spread_rows(n_samples: int, n_units: int, device: torch.device) -> Tensor:
    """Indices of some rows, evenly spread."""
    number = min(n_samples, rows_to_keep(n_units))
    return torch.arange(number, device=device) * n_samples // max(number, 1)
