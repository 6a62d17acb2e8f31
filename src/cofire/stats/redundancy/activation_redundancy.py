"""Redundancy of a layer by its activations: copies, linear dependence, effective rank and the width it needs."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._base.definitions import COPY, UNEXPLAINED
from .._base.display import Shown
from .._base.precision import exactly
from .._base.student_t import student_quantile
from ..correlation.moment_state import standardized_rows
from ..correlation.moments import Moments
from ..correlation.summary import CorrelationSummary
from .duplicates import Cluster, duplicate_clusters, whole_matrix
from .effective_rank import effective_rank_entropy, effective_rank_participation
from .selection import Selection

LUCK = 0.1  # noise also decides which units are chosen; in simulations that changes what they leave by up to a tenth
FLOOR = 64 * torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Width(Shown):
    """The number of units that suffice.

    Attributes:
        units: smallest number of units that span all units linearly, up to the tolerance.
        interval: 95 % interval of that number.
        chosen: the units, in order of choice.
        enough_samples: whether there were enough samples to find it; if not, ``units`` is the present number of units.
    """

    units: int
    interval: tuple[int, int]
    chosen: tuple[int, ...]
    enough_samples: bool


@dataclass(frozen=True, eq=False)
class Redundancy(Shown):
    """Redundancy of a layer by the moments of its units.

    Attributes:
        correlation: neuronal correlation with noise floor, debiased value and interval.
        constant_units: units that never varied.
        nonfinite_units: units that met a NaN or an infinity.
        duplicates: clusters of duplicate and negated units, see :class:`~cofire.stats.redundancy.duplicates.Cluster`.
        explained: share of each unit's variance that a linear combination of all others explains, adjusted for fitting
            noise: 1 − (1 − R²) (n_samples − 1) / (n_samples − n_units). Shape (n_units,); near 0, and as often
            negative, for independent units; NaN for constant and non-finite units, and for all with too few samples.
        explained_in_sample: R² itself, which noise raises to 1 with as many units as samples.
        eigenvalues: eigenvalues of the correlation matrix of the units that vary, descending.
        effective_rank_entropy: exponential of the entropy of the eigenvalues' shares.
        effective_rank_participation: their participation ratio, n / (1 + (n − 1) · mean ρ²).
        effective_rank_debiased: the participation ratio without the part of ρ² that noise adds.
        width: the recommended width.
    """

    correlation: CorrelationSummary
    constant_units: tuple[int, ...]
    nonfinite_units: tuple[int, ...]
    duplicates: tuple[Cluster, ...]
    explained: Tensor
    explained_in_sample: Tensor
    eigenvalues: Tensor
    effective_rank_entropy: float
    effective_rank_participation: float
    effective_rank_debiased: float
    width: Width

    @property
    def n_units(self) -> int:
        """Units of the layer."""
        return self.correlation.n_units

    @property
    def width_is_known(self) -> bool:
        """Whether a width can be recommended: enough samples, and no unit that met a NaN or an infinity."""
        return self.width.enough_samples and not self.nonfinite_units

    @property
    def superfluous_share(self) -> float:
        """Share of the units beyond the recommended width."""
        return 1 - self.width.units / self.n_units


def redundancy(
    moments: Moments, *, threshold: float = COPY, significance: float = 0.01, unexplained: float = UNEXPLAINED
) -> Redundancy:
    """Return the redundancy of a layer; needs n_units² memory and n_units³ time.

    Everything is computed from correlations, so a unit's scale does not matter. Samples are assumed independent.

    Args:
        moments: moments of the layer's units.
        threshold: abs(rho) from which on two units count as duplicates.
        significance: chance allowed that independent units show any duplicate at all; raises the threshold where
            there are few samples.
        unexplained: share of a unit's variance that the recommended width may leave unexplained, on average over the
            units.

    Raises:
        ValueError: for moments without samples, or a parameter out of range.

    Example:
        >>> x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
        >>> x = torch.cat([x, -x[:, :1], x[:, 1:2] + x[:, 2:], torch.ones(1000, 1)], dim=1)
        >>> found = redundancy(Moments().update(x))
        >>> found.constant_units, [cluster.units for cluster in found.duplicates], found.width.units
        ((5,), [(0, 3)], 3)
    """
    _check_samples(moments)
    summary = moments.summary()
    correlation = moments.correlation()
    with exactly(correlation.device):
        defined = moments.defined_units()
        eigenvalues, in_sample = _spectrum(correlation, defined)
        spectrum = eigenvalues if len(eigenvalues) else eigenvalues.new_full((1,), torch.nan)  # whose ranks are NaN
        return Redundancy(
            correlation=summary,
            constant_units=_indices(moments.constant_units()),
            nonfinite_units=_indices(~moments.mean().isfinite()),
            duplicates=duplicate_clusters(
                whole_matrix(correlation), threshold=threshold, significance=significance, freedom=moments.count - 2
            ),
            explained=_adjusted(in_sample, moments.count, int(defined.sum())),
            explained_in_sample=in_sample,
            eigenvalues=eigenvalues,
            effective_rank_entropy=float(effective_rank_entropy(spectrum)),
            effective_rank_participation=float(effective_rank_participation(spectrum)),
            effective_rank_debiased=rank_of_square(summary.mean_square_debiased, int(defined.sum())),
            width=_width_of(moments, correlation, unexplained),
        )


def width_of(moments: Moments, *, unexplained: float = UNEXPLAINED) -> Width:
    """Return the `recommended_width` of a layer from its moments.

    Raises:
        ValueError: for moments without samples, or if ``unexplained`` is out of range.

    Example:
        >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
        >>> width_of(Moments().update(torch.cat([x, x @ torch.ones(3, 5)], 1))).units
        3
    """
    _check_samples(moments)
    with exactly(moments.mean().device):
        return _width_of(moments, moments.correlation(), unexplained)


def _check_samples(moments: Moments) -> None:
    if not moments.count:
        raise ValueError("the moments hold no samples; update them with a batch first")


def _width_of(moments: Moments, correlation: Tensor, unexplained: float) -> Width:
    rows = standardized_rows(moments.state()).to(moments.compute_dtype)
    return recommended_width(correlation, n_samples=moments.count, rows=rows, unexplained=unexplained)


def recommended_width(
    correlation: Tensor, *, n_samples: int, rows: Tensor, unexplained: float = UNEXPLAINED, confidence: float = 0.95
) -> Width:
    """Return the smallest number of units that span all units linearly, up to a tolerance.

    Units are chosen one by one, each time the one that those before explain least (a pivoted Cholesky factorization),
    until the share of variance left, on average over the units, is ``unexplained``. The share is adjusted for the noise
    that the fit explains.

    Args:
        correlation: shape (n_units, n_units), float64; NaN for undefined units, which need no width.
        n_samples: number of samples behind the correlations.
        rows: some standardized samples, shape (n_rows, n_units), 0 for undefined units. The scatter of what the choice
            leaves unexplained in them gives the interval, whatever their distribution.
        unexplained: the tolerance, from 0 (exclusive) to 1.
        confidence: confidence level of the interval.

    Raises:
        ValueError: if ``unexplained`` is out of range.

    Bias:
        The greedy choice may take a few units more than the best one would.
    """
    if not 0 < unexplained <= 1:
        raise ValueError(f"unexplained must be above 0 and at most 1, got {unexplained}")
    if n_samples < 2:
        return Width(len(correlation), (0, len(correlation)), (), enough_samples=False)
    selection = Selection(correlation, freedom=n_samples - 1)
    number = int(selection.usable.sum())
    shares = _shares_left(selection, number, unexplained)
    if shares[-1] > unexplained:
        return Width(number, (len(shares) - 1, number), tuple(selection.chosen), enough_samples=False)
    units, chosen = len(shares) - 1, tuple(selection.chosen)
    quantile = student_quantile((1 + confidence) / 2, max(len(rows) - 1, 1))
    reach = quantile * _error(selection, rows, n_samples) + LUCK * unexplained
    # the same course read at a higher and at a lower tolerance; the lower one may take further choices
    low = next(k for k, share in enumerate(shares) if share <= unexplained + reach)
    beyond = _shares_left(selection, number, unexplained - reach)
    high = units + len(beyond) - 1 if beyond[-1] <= unexplained - reach else number
    return Width(units, (low, high), chosen, enough_samples=True)


def _shares_left(selection: Selection, number: int, until: float) -> list[float]:
    """Return the mean share unexplained before and after each further choice, until it is small or samples run out."""
    shares = [_mean_left(selection)]
    while shares[-1] > until and len(selection.chosen) < number and selection.enough_samples:
        before = len(selection.chosen)
        selection.choose_by(torch.ones_like(selection.usable, dtype=torch.float64), before + 1)
        if len(selection.chosen) == before:
            break
        shares.append(_mean_left(selection))
    return shares


def _mean_left(selection: Selection) -> float:
    left = selection.unexplained()[selection.usable]
    return float(left.mean()) if len(left) else 0.0


def _error(selection: Selection, rows: Tensor, n_samples: int) -> float:
    """Return the standard error of the mean share unexplained, from its scatter over the rows."""
    usable = selection.usable
    if len(rows) < 2 or not usable.any():
        return 0.0
    z = rows.double()
    rest = z - z[:, selection.chosen] @ selection.coefficients() if selection.chosen else z
    influence = rest.square() - selection.unexplained().nan_to_num() * z.square()
    return float(influence[:, usable].mean(1).std()) / math.sqrt(n_samples)


def _spectrum(correlation: Tensor, defined: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues of the defined units' correlations, descending, and R² of each unit on all others.

    R² is 1 − 1 / (C⁻¹)_ii. Where C is singular it is the limit of ever less added noise: 1 for units that are linear
    combinations of others, and the R² on the others for the rest.
    """
    explained = correlation.new_full((len(defined),), torch.nan)
    if not defined.any():
        return correlation.new_empty(0), explained
    values, vectors = torch.linalg.eigh(correlation[defined][:, defined])
    values = values.clamp(min=0)
    floor = FLOOR * len(values) * values[-1]
    inverse = (vectors.square() / torch.maximum(values, floor)).sum(1)
    explained[defined] = (1 - 1 / inverse).clamp(0, 1)
    return values.flip(0), explained


def _adjusted(in_sample: Tensor, n_samples: int, n_units: int) -> Tensor:
    spare = n_samples - n_units
    return 1 - (1 - in_sample) * ((n_samples - 1) / spare if spare > 0 else math.nan)


def rank_of_square(mean_square: float, n_units: int) -> float:
    """Return the participation ratio of correlations from the mean of ρ², within 1 and the number of units.

    Args:
        mean_square: mean of ρ² over all pairs, debiased or not; ignored for a single unit, which has no pair.
        n_units: number of units that vary.

    Example:
        >>> rank_of_square(0.0, 8), rank_of_square(1.0, 8)
        (8.0, 1.0)
    """
    if n_units < 2 or math.isnan(mean_square):
        return 1.0 if n_units == 1 else math.nan
    return n_units / (1 + (n_units - 1) * min(max(mean_square, 0.0), 1.0))


def _indices(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero()[:, 0].tolist())
