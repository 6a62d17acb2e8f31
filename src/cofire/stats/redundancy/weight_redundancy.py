"""Redundancy of a layer by its weights alone: no data, and no table of all pairs of units."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .._base.arrays import Array, working_dtype
from .._base.definitions import COPY, are_nearly_zero
from .._base.display import Shown
from .._base.precision import exactly
from ..weights.cosine_sums import Cosines
from ..weights.unit_vectors import unit_vectors
from .duplicates import Cluster, DuplicateScan
from .effective_rank import effective_rank_entropy
from .lanczos import Estimate, effective_rank_entropy_lanczos

CHUNK_ELEMENTS = 1 << 22
WIDEST = 8192
WIDEST_GROUP = 512
"""Shorter side of a group, such as an expert, above which the spectra of all groups would take minutes: NaN then."""


@dataclass(frozen=True)
class WeightRedundancy(Shown):
    """Redundancy of a layer by its weights; NaN where there is no pair or no spectrum.

    Attributes:
        n_units: incoming vectors, one a unit.
        fan_in: weights of each vector.
        zero_units: units whose weights are all zero, or nearly so beside the layer's others (``NEARLY_ZERO`` of the
            median norm): they are as good as constant, whatever the input. Like zero vectors they form no pairs.
        nonfinite_units: units with a NaN or infinite weight.
        mean_abs: weight correlation (WC), the mean of abs(cosine) over pairs.
        mean: mean of the cosine.
        chance_level: ``mean_abs`` of random weights, about √(2 / (π fan_in)).
        duplicates: clusters of (anti)parallel weight vectors.
        effective_rank_participation: participation ratio of the squared singular values.
        effective_rank_entropy: exponential of the entropy of the singular values' shares (Roy, Vetterli 2007). NaN for
            groups of which each is wide.
        effective_rank_error: its standard error if it is estimated, 0 if it is computed.
    """

    n_units: int
    fan_in: int
    zero_units: tuple[int, ...]
    nonfinite_units: tuple[int, ...]
    mean_abs: float
    mean: float
    chance_level: float
    duplicates: tuple[Cluster, ...]
    effective_rank_participation: float
    effective_rank_entropy: float
    effective_rank_error: float


def weight_redundancy(
    weight: Array,
    *,
    unit_axis: int = 0,
    groups: int = 1,
    threshold: float = COPY,
    significance: float = 0.01,
    exact_up_to: int = WIDEST,
) -> WeightRedundancy:
    """Return weight correlation, duplicate units and effective rank of a weight, in one pass over the pairs of units.

    The bias plays no part: units with parallel weights are affine copies of each other before the activation
    function, whatever their biases.

    Args:
        weight: as torch stores it, shape (out, in, ...); a unit's kernel is taken as one vector.
        unit_axis: 1 for transposed convolutions and embeddings.
        groups: of a convolution. Units of different groups share no input: only pairs within a group are compared, so
            that ``mean_abs`` stands beside the chance level of what was compared. NaN where each unit is a group.
        threshold: abs(cosine) from which on two units count as duplicates.
        significance: chance allowed that random weights show any duplicate at all; raises the threshold where the
            fan-in is small.
        exact_up_to: compute all singular values if the shorter side of the weight is at most this; beyond, estimate
            their entropy: see :func:`~cofire.stats.redundancy.lanczos.effective_rank_entropy_lanczos`.

    Raises:
        ValueError: as for :func:`weight_correlation`, and if a parameter is out of range.

    Example:
        >>> weight = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
        >>> weight[4] = -3 * weight[1]
        >>> found = weight_redundancy(weight)
        >>> [(cluster.units, cluster.signs) for cluster in found.duplicates], round(found.effective_rank_entropy, 1)
        ([((1, 4), (1, -1))], 4.0)
    """
    [(vectors, groups)] = unit_vectors(weight, unit_axis=unit_axis, groups=groups, reading="flattened")
    with exactly(vectors.device):
        norms = torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64)
        dead = are_nearly_zero(norms)
        if dead.any():
            # What is left of their directions is rounding and decay.
            vectors = vectors.masked_fill(dead[:, None], 0)
        defined = norms.isfinite() & ~dead
        lengths = torch.where(defined, norms, 0.0)
        lengths = lengths / lengths.max().clamp(min=torch.finfo(torch.float64).tiny)
        options = {"threshold": threshold, "significance": significance / groups}
        size = len(vectors) // groups
        parts = [
            _one_pass(vectors[first : first + size], lengths[first : first + size], first, **options)
            for first in range(0, len(vectors), size)
        ]
        n_pairs, square = sum(part.n_pairs for part in parts), sum(part.square for part in parts)
        # a grouped weight keeps its zero vectors, or it would no longer divide into its groups
        rank = _entropy_rank(vectors if groups > 1 else vectors[defined], groups, exact_up_to)
        return WeightRedundancy(
            n_units=len(vectors),
            fan_in=vectors.shape[1],
            zero_units=_indices(dead),
            nonfinite_units=_indices(~norms.isfinite()),
            mean_abs=sum(part.magnitude for part in parts) / n_pairs if n_pairs else math.nan,
            mean=sum(part.signed for part in parts) / n_pairs if n_pairs else math.nan,
            chance_level=math.sqrt(2 / (math.pi * vectors.shape[1])),
            duplicates=tuple(cluster for part in parts for cluster in part.clusters),
            effective_rank_participation=float(lengths.square().sum()) ** 2 / square if square else math.nan,
            effective_rank_entropy=rank.value,
            effective_rank_error=rank.error,
        )


@dataclass(frozen=True)
class _Sums:
    """What one group adds: over its pairs, the sums of abs(cosine) and of the cosine; of squared products over all."""

    n_pairs: int
    magnitude: float
    signed: float
    square: float
    clusters: tuple[Cluster, ...]


def _one_pass(vectors: Tensor, lengths: Tensor, first: int, *, threshold: float, significance: float) -> _Sums:
    """Return a group's sums and duplicates; ``first`` is the place of its first unit in the layer."""
    cosines = Cosines(vectors)
    freedom = vectors.shape[1] - 1
    scan = DuplicateScan(cosines.pairs, threshold=threshold, significance=significance, freedom=freedom)
    total = lengths.new_zeros(2)
    for tile in cosines.pairs.tiles():
        scan.take(tile)
        rows = lengths[tile.row : tile.row + tile.values.shape[0]].to(tile.values.dtype)
        columns = lengths[tile.column : tile.column + tile.values.shape[1]].to(tile.values.dtype)
        products = tile.values * rows[:, None] * columns
        total += torch.stack([tile.values.abs().sum(), products.square_().sum()]).double()
    magnitude, square = total.tolist()
    n_pairs = cosines.pairs.n_defined
    return _Sums(
        n_pairs,
        magnitude,
        cosines.signed_mean() * n_pairs if n_pairs else 0.0,
        2 * square + float(lengths.pow(4).sum()),
        tuple(replace(one, units=tuple(unit + first for unit in one.units)) for one in scan.clusters()),
    )


def _entropy_rank(vectors: Tensor, groups: int, exact_up_to: int) -> Estimate:
    if len(vectors) == 0 or not vectors.isfinite().all():
        return Estimate(math.nan, math.nan)
    shorter = min(len(vectors) // groups, vectors.shape[1])
    if groups > 1 and shorter > WIDEST_GROUP:
        return Estimate(math.nan, math.nan)
    if shorter > exact_up_to and groups == 1:
        return effective_rank_entropy_lanczos(vectors.to(working_dtype(vectors.dtype, torch.float32)))
    values = torch.cat([_singular(part) for part in vectors.chunk(groups)])
    return Estimate(float(effective_rank_entropy(values)), 0.0)


def _singular(matrix: Tensor) -> Tensor:
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    peak = tall.abs().max().double().clamp(min=torch.finfo(torch.float64).tiny)
    return torch.linalg.eigvalsh(_exact_gram(tall, float(peak))).clamp(min=0).sqrt().flip(0) * peak


def _exact_gram(tall: Tensor, scale: float) -> Tensor:
    """Return the products of the columns over the scale squared, float64, without a float64 copy of the matrix."""
    gram = torch.zeros(tall.shape[1], tall.shape[1], dtype=torch.float64, device=tall.device)
    for rows in tall.split(max(1, CHUNK_ELEMENTS // tall.shape[1])):
        exact = rows.to(torch.float64, copy=True).div_(scale)
        gram.addmm_(exact.T, exact)
    return gram


def _indices(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero()[:, 0].tolist())
