"""Entropy of a layer from samples: by nearest neighbors, by bins, as if normal, and as if independent."""

from math import inf, lgamma, log, pi

import torch
from torch import Tensor

from .._base.arrays import Array
from .._base.precision import exactly
from .density import (
    finite_points,
    has_density,
    is_singular,
    too_many_ties,
    units_without_density,
    warn_of_dimension,
    whitening,
    within_range,
)
from .neighbors import check_points, kth_distance_on_lines, kth_euclidean_distance, kth_neighbor_distance

HIGH_DIMENSION, HIGH_DIMENSION_WHITENED = 10, 20
EUCLIDEAN, MAXIMUM = 2.0, inf
DISTANCES_AT_A_TIME = 1 << 22


def entropy_knn(x: Array, n_neighbors: int = 3, whiten: bool = False) -> Tensor:
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

    Returns:
        Scalar float64. Multiplying ``x`` by c adds exactly n_units·log c.

    Raises:
        ValueError: if there are too few samples for ``n_neighbors`` (or for the units, to whiten), or a value is not
            finite.

    Warns:
        HighDimensionWarning: from 10 units (20 when whitened), where the estimate is far off for any usual n.

    Bias: at n = 1000, independent normal units: −.02 nats in 2 dimensions, −.06 in 5, +.2 in 10, +1.9 in 20, +12 in 50
        (whitened +.1, +1.1, +6.5). Sharp edges of the support bias it upwards (5 uniform units: +.5), and so do
        correlations unless whitened (10 normal units at ρ = .9: +.6, whitened +.1). Outliers bias it too, as for two
        clusters far apart: there the whitened estimate can be off by more than 1 nat.

    References:
        Kozachenko and Leonenko 1987; Kraskov et al. 2004, Eq. 20; Zhang et al. 2018, Eq. A.1.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> normal = MultivariateNormal(0.3 * torch.eye(5))
        >>> x = normal.sample(2000, torch.Generator().manual_seed(0))
        >>> round(normal.entropy, 2), abs(entropy_knn(x).item() - normal.entropy) < 0.15
        (4.08, True)
    """
    points = within_range(check_points(x, n_neighbors).double())
    _warn_of_dimension(points.shape[1], whiten)
    return joint_entropy(points, n_neighbors, whiten)


def entropy_gaussian(x: Array) -> Tensor:
    r"""Compute the entropy of the normal distribution with the covariance of the samples, in nats.

    .. math:: \hat H = \tfrac12 \log\det(2\pi e\,S)

    No distribution with this covariance has more entropy, so this is an upper bound for any units (up to the bias
    below). It does not look for atoms.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,).

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
    points = finite_points(x)
    with exactly(points.device):
        spread = whitening(points) if not bool((points == points[0]).all(dim=0).any()) else None
        if spread is None or is_singular(spread.eigenvalues):
            return points.new_tensor(-inf)
        return points.shape[1] / 2 * log(2 * pi * torch.e) + spread.half_log_determinant()


def entropy_independence_bound(x: Array, n_neighbors: int = 3) -> Tensor:
    r"""Sum the entropies of the single units, each by nearest neighbors, in nats: an upper bound on the joint entropy.

    .. math:: \sum_a H(X_a) = H(X) + \mathrm{TC}(X) \ge H(X)

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,).
        n_neighbors: see :func:`entropy_knn`.

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
    points = check_points(x, n_neighbors).double()
    with exactly(points.device):
        if bool(units_without_density(points, n_neighbors).any()):
            return points.new_tensor(-inf)
        ordered = points.sort(dim=0).values
        distances = kth_distance_on_lines(ordered, n_neighbors)
        tied = (distances == 0).any(dim=0)
        clear = _digamma(len(points)) - _digamma(n_neighbors) + (2 * distances[:, ~tied]).log().mean(dim=0)
        return clear.sum() + sum(
            kozachenko_leonenko(ordered[:, [unit]], distances[:, unit], n_neighbors, MAXIMUM)
            for unit in tied.nonzero().flatten().tolist()
        )


def total_correlation(x: Array, n_neighbors: int = 3, whiten: bool = True) -> Tensor:
    r"""Estimate how far the units are from independent, in nats, counting dependence of every order.

    .. math:: \mathrm{TC}(X) = \sum_a H(X_a) - H(X) \ge 0

    This is the independence bound minus the joint entropy, both by nearest neighbors. For two units it is their
    mutual information.

    Args:
        x: samples, shape (n_samples, n_units).
        n_neighbors: see :func:`entropy_knn`.
        whiten: see :func:`entropy_knn`; on by default, as the units usually depend on one another.

    Returns:
        Scalar float64, never clamped: it can be below 0 for independent units. +∞ if units are linearly dependent.

    Raises:
        ValueError: if a unit has an atom, so that a difference of entropies is meaningless; and as :func:`entropy_knn`.

    Bias: that of the joint entropy with the opposite sign: +.06 for 5 independent normal units at n = 1000, −.1 for 10,
        −1.1 for 20. Whitening mixes clusters far apart into all units: −1.3 for independent units of which one has two
        clusters 100 deviations apart; use ``whiten=False`` for such units.

    References:
        Watanabe 1960, "Information theoretical analysis of multivariate correlation".

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> normal = MultivariateNormal.equicorrelated(4, 0.5)
        >>> x = normal.sample(5000, torch.Generator().manual_seed(0))
        >>> round(normal.total_correlation, 2), abs(total_correlation(x).item() - normal.total_correlation) < 0.1
        (0.58, True)
    """
    alone = entropy_independence_bound(x, n_neighbors)
    if bool(alone == -inf):
        raise ValueError(
            "total_correlation compares densities, and a unit has none: it is constant, integer-valued or holds an "
            "atom such as a ReLU's zeros; use pre-activations, remove that unit, or sum mutual informations"
        )
    return alone - entropy_knn(x, n_neighbors, whiten)


def entropy_binned(x: Array, bins: int = 30) -> Tensor:
    r"""Compute the discrete joint entropy of the units, each cut into equal bins over its own range, in nats.

    .. math:: \hat H = -\sum_c \frac{n_c}{n} \log \frac{n_c}{n}

    where the sum is over the occupied cells of the joint grid. The result depends on the grid as much as on the layer.
    It is not comparable with a differential entropy, and does not change if a unit is scaled or shifted.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,); ties and constants are allowed.
        bins: number of bins for each unit.

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
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    points = finite_points(x, least=1)
    with exactly(points.device):
        low, high = points.amin(dim=0), points.amax(dim=0)
        width = torch.where(high > low, high - low, 1.0)
        cells = ((points - low) / width * bins).floor().clamp(max=bins - 1).long()
        share = torch.unique(cells, dim=0, return_counts=True)[1].double() / len(points)
        return -(share * share.log()).sum() + 0.0


def joint_entropy(points: Tensor, n_neighbors: int, whiten: bool = False) -> Tensor:
    """Compute :func:`entropy_knn` of float64 samples that were checked before, without a warning for the dimension."""
    with exactly(points.device):
        if not has_density(points, n_neighbors):
            return points.new_tensor(-inf)
        if not whiten:
            return kozachenko_leonenko(points, kth_neighbor_distance(points, n_neighbors), n_neighbors, MAXIMUM)
        spread = whitening(points)
        white = spread.samples()
        distance = kth_euclidean_distance(white, n_neighbors)
        return kozachenko_leonenko(white, distance, n_neighbors, EUCLIDEAN) + spread.half_log_determinant()


def kozachenko_leonenko(points: Tensor, distances: Tensor, n_neighbors: int, norm: float) -> Tensor:
    """Return the entropy from the distances to the k-th neighbors under a norm; −∞ if too many of them are 0."""
    n_samples, n_units = points.shape
    coinciding = (distances == 0).nonzero().flatten()
    if too_many_ties(len(coinciding), n_samples):
        return points.new_tensor(-inf)
    ranks = torch.full_like(distances, n_neighbors)
    if len(coinciding):
        distances = distances.clone()
        distances[coinciding], ranks[coinciding] = _first_apart(points, coinciding, norm)
    mean_digamma = torch.special.digamma(ranks).mean()
    # of the unit ball
    log_volume = n_units / 2 * log(pi) - lgamma(n_units / 2 + 1) if norm == EUCLIDEAN else n_units * log(2)
    return _digamma(n_samples) - mean_digamma + log_volume + n_units * distances.log().mean()


def _first_apart(points: Tensor, which: Tensor, norm: float) -> tuple[Tensor, Tensor]:
    """Return, for samples that coincide with others, the nearest distance above 0 and which neighbor has it."""
    nearest, ranks = [], []
    for some in which.split(max(1, DISTANCES_AT_A_TIME // len(points))):
        far = torch.cdist(points[some], points, p=norm, compute_mode="donot_use_mm_for_euclid_dist")
        ranks.append((far == 0).sum(dim=1))  # counts the sample itself, so this is the rank of the first one apart
        nearest.append(far.masked_fill_(far == 0, inf).amin(dim=1))
    return torch.cat(nearest), torch.cat(ranks).to(points.dtype)


def _digamma(value: int) -> float:
    return torch.special.digamma(torch.tensor(float(value), dtype=torch.float64, device="cpu")).item()


def _warn_of_dimension(n_units: int, whiten: bool) -> None:
    limit = HIGH_DIMENSION_WHITENED if whiten else HIGH_DIMENSION
    if n_units >= limit:
        instead = "entropy_gaussian" if whiten else "whiten=True, entropy_gaussian"
        warn_of_dimension(
            f"nearest neighbors in {n_units} units are far away for any usual number of samples, and the entropy is "
            f"biased by nats; use {instead}, or entropy_kde for bounds",
            stacklevel=3,
        )
