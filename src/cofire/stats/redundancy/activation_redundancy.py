"""How redundant a layer is: copies, linear dependence, effective rank, and the width it needs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._base.arrays import as_tensor
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

LUCK = 0.1  # noise also tips which units are chosen; simulated, that moves what they leave by up to a tenth
FLOOR = 64 * torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Width(Shown):
    """How many units suffice.

    Attributes:
        units: smallest number of units of which all units are linear combinations, up to the tolerance.
        interval: 95 % interval of that number.
        chosen: which units, in order of choice.
        enough_samples: whether the samples sufficed to tell; if not, ``units`` is the present number of units.
    """

    units: int
    interval: tuple[int, int]
    chosen: tuple[int, ...]
    enough_samples: bool


@dataclass(frozen=True, eq=False)
class Redundancy(Shown):
    """What the moments of a layer say about its redundancy.

    Attributes:
        correlation: neuronal correlation with noise floor, debiased value and interval.
        constant_units: units that never varied.
        nonfinite_units: units that met a NaN or an infinity.
        duplicates: clusters of duplicate and negated units, see :class:`~cofire.stats.redundancy.duplicates.Cluster`.
        explained: how much of each unit's variance a linear combination of all others explains, adjusted for fitting
            noise: 1 − (1 − R²) (n_samples − 1) / (n_samples − n_units). Shape (n_units,); near 0, and as often
            negative, for independent units; NaN for constant and non-finite units, and for all with too few samples.
        explained_in_sample: R² itself, which noise raises to 1 with as many units as samples.
        eigenvalues: of the correlation matrix of the units that vary, descending.
        effective_rank_entropy: exponential of their entropy.
        effective_rank_participation: their participation ratio, n / (1 + (n − 1) · mean ρ²).
        effective_rank_debiased: that with the part of ρ² that noise adds taken off.
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
    """The redundancy of a layer; n_units² memory, n_units³ time.

    Everything is of correlations, so that a unit's scale does not matter. Samples are taken as independent.

    Args:
        moments: of the layer's units.
        threshold: abs(rho) from which on two units count as duplicates.
        significance: chance allowed that independent units show any duplicate at all; raises the threshold where
            there are few samples.
        unexplained: share of the units' variance that the recommended width may leave unexplained, on average over
            the units.

    Raises:
        ValueError: for moments without samples, or a parameter out of range.

    Example:
        >>> x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
        >>> x = torch.cat([x, -x[:, :1], x[:, 1:2] + x[:, 2:], torch.ones(1000, 1)], dim=1)
        >>> found = redundancy(Moments().update(x))
        >>> found.constant_units, [cluster.units for cluster in found.duplicates], found.width.units
        ((5,), [(0, 3)], 3)
    """
    if not moments.count:
        raise ValueError("the moments hold no samples; update them with a batch first")
    summary = moments.summary()
    correlation = moments.correlation()
    with exactly(correlation.device):
        defined = moments.defined_units()
        eigenvalues, in_sample = _spectrum(correlation, defined)
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
            effective_rank_entropy=_rank(effective_rank_entropy, eigenvalues),
            effective_rank_participation=_rank(effective_rank_participation, eigenvalues),
            effective_rank_debiased=_debiased_rank(summary),
            width=_width_of(moments, correlation, unexplained),
        )


def explained_by_others(correlation: Tensor) -> Tensor:
    r"""R² of the regression of each unit on all others, from their correlation matrix.

    .. math:: R_i^2 = 1 - 1 / (C^{-1})_{ii}

    Taken in the limit of ever less noise where C is singular: 1 for the units that are linear combinations of others,
    and the R² on the others for the rest.

    Args:
        correlation: shape (n_units, n_units); NaN on the diagonal for undefined units.

    Returns:
        Float64, shape (n_units,); NaN for undefined units, 0 for a lone one.

    Example:
        >>> explained_by_others(torch.tensor([[1.0, 0.6], [0.6, 1.0]]))
        tensor([0.3600, 0.3600], dtype=torch.float64)
    """
    matrix = as_tensor(correlation, "correlation").double()
    return _spectrum(matrix, ~matrix.diagonal().isnan())[1]


def width_of(moments: Moments, *, unexplained: float = UNEXPLAINED) -> Width:
    """The `recommended_width` of a layer by its moments alone.

    Raises:
        ValueError: for moments without samples, or if ``unexplained`` is out of range.

    Example:
        >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
        >>> width_of(Moments().update(torch.cat([x, x @ torch.ones(3, 5)], 1))).units
        3
    """
    if not moments.count:
        raise ValueError("the moments hold no samples; update them with a batch first")
    with exactly(moments.mean().device):
        return _width_of(moments, moments.correlation(), unexplained)


def _width_of(moments: Moments, correlation: Tensor, unexplained: float) -> Width:
    rows = standardized_rows(moments.state()).to(moments.compute_dtype)
    return recommended_width(correlation, n_samples=moments.count, rows=rows, unexplained=unexplained)


def recommended_width(
    correlation: Tensor, *, n_samples: int, rows: Tensor, unexplained: float = UNEXPLAINED, confidence: float = 0.95
) -> Width:
    """The smallest number of units of which all units are linear combinations, up to a tolerance.

    Units are chosen one by one, each time the one least explained by those before (a pivoted Cholesky factorization),
    until the variance left, on average over the units, is ``unexplained``. The greedy choice may be some units above
    the best. What is left is raised by n_samples' worth of fitting noise.

    Args:
        correlation: shape (n_units, n_units), float64; NaN for undefined units, which need no width.
        n_samples: behind the correlations.
        rows: some standardized samples, shape (n_rows, n_units), 0 for undefined units. How much they scatter in what
            they leave unexplained gives the interval, whatever their distribution.
        unexplained: the tolerance, from 0 (exclusive) to 1.
        confidence: of the interval.

    Raises:
        ValueError: if ``unexplained`` is out of range.
    """
    if not 0 < unexplained <= 1:
        raise ValueError(f"unexplained must be a share above 0 and at most 1, got {unexplained}")
    if n_samples < 2:
        return Width(len(correlation), (0, len(correlation)), (), enough_samples=False)
    selection = Selection(correlation, freedom=n_samples - 1)
    number = int(selection.usable.sum())
    shares = _shares_left(selection, number, unexplained)
    if shares[-1] > unexplained:
        return Width(number, (len(shares) - 1, number), tuple(selection.chosen), enough_samples=False)
    units = len(shares) - 1
    chosen = tuple(selection.chosen)
    quantile = student_quantile((1 + confidence) / 2, max(len(rows) - 1, 1))
    reach = quantile * _error(selection, rows, n_samples) + LUCK * unexplained
    low = next(k for k, share in enumerate(shares) if share <= unexplained + reach)
    beyond = _shares_left(selection, number, unexplained - reach)
    high = units + len(beyond) - 1 if beyond[-1] <= unexplained - reach else number
    return Width(units, (low, high), chosen, enough_samples=True)


def _shares_left(selection: Selection, number: int, until: float) -> list[float]:
    """Mean share unexplained before and after each further choice, until it is small enough or samples run short."""
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
    """Standard error of the mean share unexplained, from how the rows scatter in it."""
    usable = selection.usable
    if len(rows) < 2 or not usable.any():
        return 0.0
    z = rows.double()
    rest = z - z[:, selection.chosen] @ selection.coefficients() if selection.chosen else z
    influence = rest.square() - selection.unexplained().nan_to_num() * z.square()
    return float(influence[:, usable].mean(1).std()) / math.sqrt(n_samples)


def _spectrum(correlation: Tensor, defined: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of the defined units' correlations, descending, and R² of each unit on the others."""
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


def _debiased_rank(summary: CorrelationSummary) -> float:
    """Participation ratio from the debiased mean of ρ², within 1 and the number of units that vary."""
    n = summary.n_units - summary.n_constant - summary.n_nonfinite
    return rank_of_square(summary.mean_square_debiased, n)


def rank_of_square(mean_square: float, n_units: int) -> float:
    """The participation ratio of correlations by the mean of ρ² over their pairs, within 1 and the number of units.

    Args:
        mean_square: over all pairs, debiased or not; of a single unit, which has none, it does not matter.
        n_units: those that vary.

    Example:
        >>> rank_of_square(0.0, 8), rank_of_square(1.0, 8)
        (8.0, 1.0)
    """
    if n_units < 2 or math.isnan(mean_square):
        return 1.0 if n_units == 1 else math.nan
    return n_units / (1 + (n_units - 1) * min(max(mean_square, 0.0), 1.0))


def _rank(rank: Callable[[Tensor], Tensor], eigenvalues: Tensor) -> float:
    return float(rank(eigenvalues)) if len(eigenvalues) else math.nan


def _indices(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero()[:, 0].tolist())
