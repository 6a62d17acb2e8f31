"""Entropy of a layer from samples: by nearest neighbors, by bins, as if normal, and as if independent."""

from math import inf, log, pi

import torch
from torch import Tensor

from .._base.argument_checks import check_count, check_flag
from .._base.arrays import Array, as_points
from .._base.nan_policy import NanPolicy, by_nan_policy, undefined
from .._base.precision import exactly
from .cautions import HighDimensionWarning, WhiteningWarning, caution
from .density import enough_points, is_singular, whitening, within_range
from .neighbor_entropy import entropies_alone, joint_entropy
from .neighbors import check_neighbors

HIGH_DIMENSION, HIGH_DIMENSION_WHITENED = 10, 20
FAR_FROM_NORMAL = 0.75  # nats; two clusters of a normal unit are that far at a distance of 8 of their deviations
MIXED = 0.25  # nats
MOST_BINS = 1 << 52  # float64 tells as many cells apart


def entropy_knn(x: Array, n_neighbors: int = 3, whiten: bool = False, *, nan: NanPolicy = "raise") -> Tensor:
    r"""Estimate the joint differential entropy by nearest neighbors (Kozachenko and Leonenko), in nats.

    .. math:: \hat H = \psi(n) - \psi(k) + \frac{d}{n} \sum_i \log \epsilon_i

    where :math:`\epsilon_i` is twice the max-norm distance from sample i to its k-th neighbor. With ``whiten``, the
    distances are Mahalanobis distances, the volume is that of the Euclidean ball, and ½ log det S is added. Then
    H(XA) − H(X) = log |det A| holds to rounding, and correlated units cost no accuracy.

    Ties: if a unit has an atom (the zeros of a ReLU, a constant, integers), or the units are linearly dependent, there
    is no density and the entropy is −∞. It is also −∞ if more than 2 % of the samples coincide with more than
    ``n_neighbors`` others. A few samples that coincide by rounding use the nearest neighbor that differs from them.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,).
        n_neighbors: k; larger values lower the variance and raise the bias.
        whiten: whether to decorrelate first, which needs more samples than units.
        nan: policy for samples with a NaN or an infinity: "raise", "omit" (leave them out) or "propagate".

    Returns:
        Scalar float64. Multiplying ``x`` by c adds exactly n_units·log c.

    Raises:
        ValueError: if there are too few samples for ``n_neighbors`` (or for the units, to whiten), or a value is not
            finite.

    Warns:
        HighDimensionWarning: from 10 units (20 when whitened), where the estimate is far off for any usual n.
        WhiteningWarning: if whitening raised the entropy by more than .25 nats (see Bias).

    Bias: at n = 1000, independent normal units: −.02 nats in 2 dimensions, −.06 in 5, +.2 in 10, +1.9 in 20, +12 in 50
        (whitened +.1, +1.1, +6.5). Sharp edges of the support bias it upwards (5 uniform units: +.5), and so do
        correlations unless whitened (10 normal units at ρ = .9: +.6, whitened +.1). Whitening mixes the units, which
        hurts if one of them has clusters far apart or outliers: for 5 independent units of which one has two clusters
        10, 20 or 100 deviations apart it adds +.3, +.7 and +2.3; for two clusters that differ in all units, +3.

    References:
        Kozachenko and Leonenko 1987; Kraskov et al. 2004, Eq. 20; Zhang et al. 2018, Eq. A.1.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> normal = MultivariateNormal(0.3 * torch.eye(5))
        >>> x = normal.sample(2000, torch.Generator().manual_seed(0))
        >>> round(normal.entropy, 2), abs(entropy_knn(x).item() - normal.entropy) < 0.15
        (4.08, True)
    """
    kept = by_nan_policy(nan, x=as_points(x))
    if kept is None:
        return undefined(x)
    points = within_range(check_neighbors(kept[0], n_neighbors).double())
    _warn_of_dimension(points.shape[1], whiten)
    joint = joint_entropy(points, n_neighbors, whiten)
    if whiten:
        _warn_of_mixing(points, n_neighbors, joint, entropies_alone(points, n_neighbors))
    return joint


def entropy_gaussian(x: Array, *, nan: NanPolicy = "raise") -> Tensor:
    r"""Compute the entropy of the normal distribution with the covariance of the samples, in nats.

    .. math:: \hat H = \tfrac12 \log\det(2\pi e\,S)

    No distribution with this covariance has more entropy, so this is an upper bound for any units (up to the bias
    below). It does not look for atoms.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,).
        nan: policy for samples with a NaN or an infinity: "raise", "omit" (leave them out) or "propagate".

    Returns:
        Scalar float64; −∞ if a unit is constant or the units are linearly dependent.

    Raises:
        ValueError: if there are no more samples than units, or a value is not finite.

    Bias: downwards, by about d(d + 1)/4n for normal units.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> x = MultivariateNormal(torch.eye(5)).sample(5000, torch.Generator().manual_seed(0))
        >>> abs(entropy_gaussian(x).item() - 7.0947) < 0.1
        True
    """
    kept = by_nan_policy(nan, x=as_points(x))
    if kept is None:
        return undefined(x)
    points = enough_points(kept[0])
    with exactly(points.device):
        spread = whitening(points) if not bool((points == points[0]).all(dim=0).any()) else None
        if spread is None or is_singular(spread.eigenvalues):
            return points.new_tensor(-inf)
        return points.shape[1] / 2 * log(2 * pi * torch.e) + spread.half_log_determinant()


def entropy_independence_bound(x: Array, n_neighbors: int = 3, *, nan: NanPolicy = "raise") -> Tensor:
    r"""Sum the entropies of the single units, each by nearest neighbors, in nats: an upper bound on the joint entropy.

    .. math:: \sum_a H(X_a) = H(X) + \mathrm{TC}(X) \ge H(X)

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,).
        n_neighbors: see :func:`entropy_knn`.
        nan: see :func:`entropy_knn`.

    Returns:
        Scalar float64; −∞ if a unit has an atom.

    Raises:
        ValueError: if there are not more samples than neighbors, or a value is not finite.

    Bias: as an estimate of the joint entropy it is too large by the total correlation.

    References:
        Jin et al. 2022, §1; Cover and Thomas 2012, Theorem 2.6.6.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> pair = MultivariateNormal.pair(0.9)
        >>> x = pair.sample(5000, torch.Generator().manual_seed(0))
        >>> overshoot = entropy_independence_bound(x).item() - pair.entropy
        >>> abs(overshoot - pair.total_correlation) < 0.1
        True
    """
    kept = by_nan_policy(nan, x=as_points(x))
    if kept is None:
        return undefined(x)
    return entropies_alone(check_neighbors(kept[0], n_neighbors).double(), n_neighbors).sum()


def total_correlation(x: Array, n_neighbors: int = 3, whiten: bool = True, *, nan: NanPolicy = "raise") -> Tensor:
    r"""Estimate how far the units are from independent, in nats, counting dependence of every order.

    .. math:: \mathrm{TC}(X) = \sum_a H(X_a) - H(X) \ge 0

    This is the independence bound minus the joint entropy, both by nearest neighbors. For two units it is their
    mutual information.

    Args:
        x: samples, shape (n_samples, n_units).
        n_neighbors: see :func:`entropy_knn`.
        whiten: see :func:`entropy_knn`; on by default, as the units usually depend on one another.
        nan: see :func:`entropy_knn`.

    Returns:
        Scalar float64, never clamped: it can be below 0 for independent units. +∞ if units are linearly dependent.

    Raises:
        ValueError: if a unit has an atom, so that a difference of entropies is meaningless; and as :func:`entropy_knn`.

    Warns:
        WhiteningWarning, HighDimensionWarning: as :func:`entropy_knn`.

    Bias: that of the joint entropy with the opposite sign: +.06 for 5 independent normal units at n = 1000, −.1 for 10,
        −1.1 for 20. Whitening hurts units with clusters far apart or outliers: −2.3 for 5 independent units of which
        one has two clusters 100 deviations apart; use ``whiten=False`` for such units.

    References:
        Watanabe 1960, "Information theoretical analysis of multivariate correlation".

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> normal = MultivariateNormal.equicorrelated(4, 0.5)
        >>> x = normal.sample(5000, torch.Generator().manual_seed(0))
        >>> round(normal.total_correlation, 2), abs(total_correlation(x).item() - normal.total_correlation) < 0.1
        (0.58, True)
    """
    kept = by_nan_policy(nan, x=as_points(x))
    if kept is None:
        return undefined(x)
    points = within_range(check_neighbors(kept[0], n_neighbors).double())
    alone = entropies_alone(points, n_neighbors)
    if bool((alone == -inf).any()):
        raise ValueError(
            "total_correlation compares densities, and a unit has none: it is constant, integer-valued or holds an "
            "atom such as a ReLU's zeros; use pre-activations, remove that unit, or sum mutual informations"
        )
    _warn_of_dimension(points.shape[1], whiten)
    joint = joint_entropy(points, n_neighbors, whiten)
    if whiten:
        _warn_of_mixing(points, n_neighbors, joint, alone)
    return alone.sum() - joint


def entropy_binned(x: Array, bins: int = 30, *, nan: NanPolicy = "raise") -> Tensor:
    r"""Compute the discrete joint entropy of the units, each cut into equal bins over its own range, in nats.

    .. math:: \hat H = -\sum_c \frac{n_c}{n} \log \frac{n_c}{n}

    where the sum is over the occupied cells of the joint grid. The result depends on the grid as much as on the layer.
    It is not comparable with a differential entropy, and does not change if a unit is scaled or shifted.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,); ties and constants are allowed.
        bins: number of bins for each unit.
        nan: see :func:`entropy_knn`.

    Returns:
        Scalar float64, from 0 to log n_samples, which it is if no two samples share a cell.

    Raises:
        ValueError: if there are no samples, a value is not finite, or ``bins`` is below 1.

    Bias: downwards, by about (occupied cells − 1)/2n. Beyond a few units, every sample has its own cell and the result
        is log n for any layer.

    References:
        Shwartz-Ziv and Tishby 2017; Saxe et al. 2018.

    Example:
        >>> entropy_binned(torch.tensor([0.0, 0.1, 0.9, 1.0]), bins=2).exp().item()
        2.0
    """
    check_count(bins, "bins", most=MOST_BINS)
    kept = by_nan_policy(nan, x=as_points(x))
    if kept is None:
        return undefined(x)
    points = enough_points(kept[0], least=1)
    with exactly(points.device):
        low, high = points.amin(dim=0), points.amax(dim=0)
        width = torch.where(high > low, high - low, 1.0)
        cells = ((points - low) / width * bins).floor().clamp(max=bins - 1).long()
        share = torch.unique(cells, dim=0, return_counts=True)[1].double() / len(points)
        return -(share * share.log()).sum() + 0.0


def _warn_of_dimension(n_units: int, whiten: bool) -> None:
    check_flag(whiten, "whiten")
    limit = HIGH_DIMENSION_WHITENED if whiten else HIGH_DIMENSION
    if n_units >= limit:
        instead = "entropy_gaussian" if whiten else "whiten=True, entropy_gaussian"
        text = (
            f"nearest neighbors in {n_units} units are far away for any usual number of samples, and the entropy is "
            f"biased by nats; use {instead}, or entropy_kde for bounds"
        )
        caution(HighDimensionWarning(text), stacklevel=3)


def _warn_of_mixing(points: Tensor, n_neighbors: int, whitened: Tensor, alone: Tensor) -> None:
    """Warn if the whitened entropy is far above the plain one, given the entropies of single units.

    The plain one costs a second search. It is only worth it if a unit's entropy is far below that of a normal unit of
    its variance: then it has clusters far apart or outliers.
    """
    if points.shape[1] == 1 or not bool(whitened.isfinite()):
        return
    as_if_normal = log(2 * pi * torch.e) / 2 + points.std(dim=0).log()
    if not bool((as_if_normal - alone > FAR_FROM_NORMAL).any()):
        return
    raised = (whitened - joint_entropy(points, n_neighbors)).item()
    if raised > MIXED:
        text = (
            f"whitening raised the entropy by {raised:.1f} nats: a unit has clusters far apart or outliers, which "
            "whitening mixes into the other units; use whiten=False"
        )
        caution(WhiteningWarning(text), stacklevel=3)
