"""The mutual information of all pairs of units of a layer, its mean, and what chance alone gives."""

from dataclasses import dataclass, field, replace
from math import ceil, comb

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._base.argument_checks import check_choice, check_count, check_number, check_seed
from .._base.arrays import Array, as_samples
from .._base.display import Shown
from .._base.nan_policy import NanPolicy, by_nan_policy, undefined
from .._base.precision import exactly
from .chance_level import shuffled
from .neighbors import check_neighbors

MOST_PERMUTATIONS = 1 << 20  # each costs as much as a score
METHODS = ("3h", "ksg", "default")


@dataclass(frozen=True)
class DependenceScore(Shown):
    """Mutual information over the pairs of a layer's units, in nats.

    Attributes:
        mean: mean over the measured pairs, ι of Zhang et al.; scalar float64, NaN if there is no pair.
        standard_error: standard error of ``mean``, from the spread of the pairs; pairs that share a unit count as
            correlated. It covers the choice of pairs and the noise that differs from unit to unit, which is all of the
            noise for independent units. Scalar float64, NaN below two pairs.
        n_pairs: number of measured pairs, each counted once.
        n_constant: number of units that never varied; they have no pairs.
        matrix: information of each pair, float64, shape (n_units, n_units), symmetric. NaN on the diagonal, for
            constant units and for pairs that were not drawn.
        unit: the unit of the information.
    """

    mean: Tensor
    standard_error: Tensor
    n_pairs: int
    n_constant: int
    matrix: Tensor
    unit: str = field(default="nats", init=False)

    def finite(self) -> "DependenceScore":
        """Return the score over the pairs whose information is finite; copies are left out, and NaN in the matrix."""
        pairs = self.matrix.isfinite().triu().nonzero()
        return _score(self.matrix[pairs[:, 0], pairs[:, 1]], pairs, len(self.matrix), self.n_constant)


@dataclass(frozen=True)
class PermutationThreshold(Shown):
    """What independent units with the same marginals stay below.

    Attributes:
        mean: the score that they exceed with probability 1 − level; scalar float64.
        pair: the information of a single pair that they exceed with probability 1 − level; scalar float64.
        unit: the unit of both.
    """

    mean: Tensor
    pair: Tensor
    unit: str = field(default="nats", init=False)


def dependence_score(
    x: Array,
    n_neighbors: int = 3,
    method: str = "3h",
    max_pairs: int | None = None,
    seed: int = 0,
    *,
    nan: NanPolicy = "raise",
) -> DependenceScore:
    r"""Compute the mean mutual information over the pairs of a layer's units, in nats.

    .. math:: \iota = \binom{d}{2}^{-1} \sum_{i<j} \hat I(X_i; X_j)

    By default, all pairs are measured, in compiled code on as many threads as torch uses. The first call compiles for
    some seconds, as does the first one with another ``n_neighbors`` up to 16. In a terminal, a progress bar appears
    after a second; Ctrl-C stops the search.

    The search runs on the host: samples on a GPU are copied there, and the results return to the device.

    Args:
        x: samples, shape (n_samples, n_units), any real type.
        n_neighbors: k of the estimators, any number below that of the samples.
        method: "3h" as in Zhang et al. (:func:`mutual_information_3h`, standardized); "ksg"
            (:func:`mutual_information_ksg`); "default" (:func:`mutual_information`), for units with atoms and ties, as
            after a ReLU, and for heavy tails.
        max_pairs: number of pairs to draw at random without replacement; None measures all pairs.
        seed: random seed for that draw. Global generators are not used.
        nan: policy for samples with a NaN or an infinity: "raise"; "omit" (leave them out, in all units); "propagate"
            (NaN for the pairs of those units, and for the mean).

    Returns:
        The mean, its standard error and the matrix. Negative estimates are kept. A pair in which one unit determines
        the other is infinite, which makes the mean infinite too.

    Raises:
        ValueError: if there are too few samples for ``n_neighbors``, a value is not finite, or an option is unknown;
            for "3h" and "ksg" also if a unit that varies has an atom or many ties.

    Bias: for independent normal units at n = 1000, k = 3: +.012 with "3h", so compare with
        :func:`permutation_threshold`, not with 0; less than .003 with the others. Distances are computed in float32
        after standardizing in float64, which changes a pair by about 1e-6.

    References:
        Zhang et al. 2018, §4; Aronow, Samii and Assenova 2015 (standard error).

    Example:
        >>> shared = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
        >>> x = shared + torch.randn(1000, 6, generator=torch.Generator().manual_seed(1))
        >>> score = dependence_score(x, method="ksg")  # every pair correlates at 1/2: .144
        >>> abs(score.mean.item() - 0.144) < 0.05, score.n_pairs
        (True, 15)
    """
    check_choice(method, "method", METHODS)
    samples = as_samples(x)
    kept = by_nan_policy(nan, x=samples)
    if kept is not None:
        return _score_of(check_neighbors(kept[0], n_neighbors), n_neighbors, method, max_pairs, seed)
    # the finite units, and NaN for the others
    finite = torch.isfinite(samples).all(dim=0).nonzero()[:, 0]
    found = _score_of(check_neighbors(samples[:, finite], n_neighbors), n_neighbors, method, max_pairs, seed)
    matrix = found.matrix.new_full((samples.shape[1],) * 2, torch.nan)
    matrix[finite[:, None], finite] = found.matrix
    return replace(found, matrix=matrix, mean=undefined(samples), standard_error=undefined(samples))


def permutation_threshold(
    x: Array,
    n_neighbors: int = 3,
    method: str = "3h",
    n_permutations: int = 20,
    level: float = 0.95,
    max_pairs: int | None = None,
    seed: int = 0,
    *,
    nan: NanPolicy = "raise",
) -> PermutationThreshold:
    """Compute what :func:`dependence_score` stays below when the samples of each unit are shuffled separately.

    A score above ``mean`` shows dependence at the given level. So does a value above ``pair``, for one pair chosen
    beforehand. Both hold for any marginals and any bias of the method.

    Args:
        x: samples, shape (n_samples, n_units).
        n_neighbors: k of the score to be judged.
        method: method of that score.
        n_permutations: number of shuffles, at least level / (1 − level); each costs as much as a score.
        level: probability that independent units stay below.
        max_pairs: number of pairs of that score.
        seed: random seed for the shuffles and the draw of pairs. Global generators are not used.
        nan: see :func:`dependence_score`; "propagate" gives NaN.

    Returns:
        The two thresholds, NaN if there is no pair.

    Raises:
        ValueError: as :func:`dependence_score`, and if the level is not in (0, 1) or needs more permutations.

    Example:
        >>> x = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
        >>> threshold = permutation_threshold(x)
        >>> bool(threshold.mean < 0.05 < threshold.pair)
        True
    """
    check_number(level, "level", above=0, below=1)
    if ceil(level * (check_count(n_permutations, "n_permutations", most=MOST_PERMUTATIONS) + 1)) > n_permutations:
        raise ValueError(
            f"level must be between 0 and 1, with at least level / (1 - level) permutations, "
            f"got level={level} with n_permutations={n_permutations}"
        )
    kept = by_nan_policy(nan, x=as_samples(x))
    if kept is None:
        return PermutationThreshold(undefined(x), undefined(x))
    points = kept[0]
    generator = torch.Generator(points.device).manual_seed(check_seed(seed))
    scores = [
        dependence_score(shuffled(points, generator), n_neighbors, method, max_pairs, seed)
        for _ in range(n_permutations)
    ]
    pairs = torch.stack([score.matrix for score in scores])
    means = torch.stack([score.mean for score in scores])
    return PermutationThreshold(_exceeded_rarely(means, level), _exceeded_rarely(pairs[~pairs.isnan()], level))


def _score_of(points: Tensor, n_neighbors: int, method: str, max_pairs: int | None, seed: int) -> DependenceScore:
    from .engine.pair_search import pair_information  # compiles, so it is imported at the first use

    with exactly(points.device):
        varying = (points != points[0]).any(dim=0).nonzero()[:, 0]
        pairs = _pairs(len(varying), max_pairs, seed)
        values = points.new_empty(0, dtype=torch.float64)
        if len(pairs):
            values = pair_information(points[:, varying].double(), pairs, method, n_neighbors)
        measured = varying[torch.from_numpy(pairs).to(varying.device)]
        return _score(values, measured, points.shape[1], points.shape[1] - len(varying))


def _pairs(n_units: int, max_pairs: int | None, seed: int) -> NDArray[np.intp]:
    """Return all pairs, or some drawn at random, in ascending order; shape (n_pairs, 2)."""
    check_seed(seed)
    if max_pairs is not None:
        check_count(max_pairs, "max_pairs")
    n_pairs = comb(n_units, 2)
    if max_pairs is None or max_pairs >= n_pairs:
        return np.stack(np.triu_indices(n_units, 1), axis=1)
    drawn = np.random.default_rng(seed).choice(n_pairs, max_pairs, replace=False, shuffle=False)
    # Pairs are numbered backwards from the last one, row by row: the row is then the inverse of a triangular number,
    # and no table of all pairs is needed to draw some.
    behind = n_pairs - 1 - np.sort(drawn)
    row = ((np.sqrt(8.0 * behind + 1) - 1) / 2).astype(np.intp)
    return np.stack([n_units - 2 - row, n_units - 1 - (behind - row * (row + 1) // 2)], axis=1)


def _score(values: Tensor, pairs: Tensor, n_units: int, n_constant: int) -> DependenceScore:
    matrix = values.new_full((n_units, n_units), torch.nan)
    matrix[pairs[:, 0], pairs[:, 1]] = values
    matrix[pairs[:, 1], pairs[:, 0]] = values
    return DependenceScore(
        mean=values.mean(),
        standard_error=_standard_error(values, pairs, n_units),
        n_pairs=len(values),
        n_constant=n_constant,
        matrix=matrix,
    )


def _standard_error(values: Tensor, pairs: Tensor, n_units: int) -> Tensor:
    """Return the standard error of the mean over pairs that correlate where they share a unit.

    The variance is Σ r_p r_q over all p, q that share a unit or are the same, but at least that of independent pairs.
    """
    if len(values) < 2:
        return values.new_tensor(torch.nan)
    residuals = values - values.mean()
    of_units = values.new_zeros(n_units).index_add_(0, pairs.flatten(), residuals.repeat_interleave(2))
    alone = residuals.square().sum()
    # the squares of both of its units contain the pair's own square
    shared = of_units.square().sum() - alone
    return (torch.maximum(shared, alone * len(values) / (len(values) - 1))).sqrt() / len(values)


def _exceeded_rarely(values: Tensor, level: float) -> Tensor:
    """Return the smallest value that another draw of their kind exceeds with probability at most 1 − level."""
    if len(values) == 0:
        return values.new_tensor(torch.nan)
    return values.sort().values[min(ceil(level * (len(values) + 1)), len(values)) - 1]
