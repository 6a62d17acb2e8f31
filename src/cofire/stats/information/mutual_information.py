"""Mutual information of two variables from samples: for any units, by nearest neighbors, and for normal units."""

from math import inf

import numpy as np
import torch
from torch import Tensor

from .._base.argument_checks import check_flag
from .._base.arrays import Array, as_points
from .._base.nan_policy import NanPolicy, by_nan_policy, undefined
from .._base.precision import exactly
from .density import NO_DENSITY, is_singular, refuse_ties, whitening
from .engine.thresholds import FEW_SAMPLES, LINEAR
from .neighbors import check_neighbors, count_nearer, kth_neighbor_distance

N_NEIGHBORS = 3


def mutual_information(x: Array, y: Array, *, nan: NanPolicy = "raise") -> Tensor:
    r"""Estimate the mutual information of two units, in nats, whatever their distribution.

    Let A be the atom that holds a sample of x, or 0 if it is in no atom, and B the same for y. The zeros of a ReLU are
    an atom, and so is each value of a discrete unit. Then

    .. math:: I(X;Y) = I(A;B) + I(A;Y|B) + I(X;B|A) + I(X;Y|A,B)

    The first term is counted (Miller–Madow), the middle two are Ross's estimator, and the last is Kraskov's, with
    k = 3, applied to normal scores: ranks mapped to quantiles of the normal distribution. So no monotone map of
    either unit changes the answer, neither a scale of 1e-4 nor heavy tails. Other ties (rounding, counts) are broken at
    random by a seed made from the ranks: equal input gives equal bits, and no random generator is used.

    The result is infinite if one unit determines the other: if both have the same or the reversed order throughout
    (x against x, before against after a ReLU), if the samples lie on a smooth curve, or if one is a smooth function of
    the other however often it turns (from 500 samples on). If the repeated values of one unit determine the other, it
    is the entropy of that other one instead. Against a constant it is 0.

    Args:
        x: samples of one unit, shape (n_samples,), any real type.
        y: samples of the other unit, likewise.
        nan: policy for samples with a NaN or an infinity in either unit: "raise", "omit" (leave them out) or
            "propagate" (the result is NaN).

    Returns:
        Scalar float64, on the device of the samples. Never clamped: for independent units it is below 0 as often as
        above.

    Raises:
        ValueError: if the lengths differ, there are not more than 3 samples, or a value is not finite.

    Bias: at n = 1000, less than .005 for independent units (standard deviation .02, .016 after a ReLU), +.01 for
        normal pairs up to ρ = .9. Information above about log n − 1 nats cannot be detected. Sharp edges of the
        support bias it downwards: −.05 of .94 for uniform noise of a quarter of the range. So does structure finer than
        the distance between neighbors: for a checkerboard of 8 × 8 fields .46, and .57 at n = 4000, of .69. Discrete
        units with many cells of the table for few samples are biased upwards: +.15 for 10 × 10 levels at n = 100.

    References:
        Kraskov, Stögbauer and Grassberger 2004; Ross 2014; Gao et al. 2017.

    Example:
        >>> from cofire.stats.truth import RectifiedNormal
        >>> pair = RectifiedNormal(0.6)  # two units after a ReLU
        >>> x, y = pair.sample(5000, torch.Generator().manual_seed(0)).T
        >>> round(pair.mutual_information, 1), round(mutual_information(x, y).item(), 1)
        (0.2, 0.2)
        >>> mutual_information(x, x).item()
        inf
    """
    from .engine.pair_search import pair_information  # compiles, so it is imported at the first use

    kept = _by_policy(x, y, nan)
    if kept is None:
        return undefined(x)
    both = torch.cat(_two_units(*kept, N_NEIGHBORS), dim=1)
    with exactly(both.device):
        return pair_information(both, np.array([[0, 1]]), "default", N_NEIGHBORS)[0]


def mutual_information_ksg(x: Array, y: Array, n_neighbors: int = 3, *, nan: NanPolicy = "raise") -> Tensor:
    r"""Estimate mutual information by Kraskov's first estimator, in nats, for variables with a density.

    .. math:: \hat I = \psi(k) + \psi(n) - \frac1n \sum_i [\psi(n_x(i) + 1) + \psi(n_y(i) + 1)]

    where :math:`n_x(i)` is the number of other samples whose x is nearer to that of sample i than its k-th neighbor in
    the joint space (max-norm). Every unit is divided by its standard deviation first.

    Args:
        x: samples, shape (n_samples,) or (n_samples, n_units).
        y: likewise.
        n_neighbors: k; larger values lower the variance and raise the bias.
        nan: see :func:`mutual_information`.

    Returns:
        Scalar float64, on the device of the samples. Never clamped at 0. Infinite if the two are linearly
        dependent, or are single units in the same or in reversed order.

    Raises:
        ValueError: if the lengths differ, there are too few samples for ``n_neighbors``, a value is not finite, or
            more samples are tied than rounding explains; use :func:`mutual_information` for those.

    Bias: negligible for independent units at n = 1000, k = 3 (standard deviation .024). Far too low for heavy tails
        (gamma–exponential .5: −.5 of .73) and for information above log n − 1.

    References:
        Kraskov, Stögbauer and Grassberger 2004, Eq. 8.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> pair = MultivariateNormal.pair(0.9)
        >>> x, y = pair.sample(5000, torch.Generator().manual_seed(0)).T
        >>> round(pair.mutual_information, 2), round(mutual_information_ksg(x, y).item(), 2)
        (0.83, 0.84)
    """
    kept = _by_policy(x, y, nan)
    if kept is None:
        return undefined(x)
    points = _two_densities(*kept, n_neighbors)
    with exactly(points[0].device):
        a, b = (_standardized(unit) for unit in points)
        if _determine_each_other(a, b):
            return a.new_tensor(inf)
        radius = kth_neighbor_distance(torch.cat([a, b], dim=1), n_neighbors)
        # A sample that coincides with its neighbors has radius 0; it counts itself, as ψ(0) is infinite.
        counts = torch.stack([count_nearer(unit, radius) for unit in (a, b)]).clamp_(min=1)
        ends = torch.digamma(a.new_tensor([n_neighbors, len(a)])).sum()
        return ends - torch.digamma(counts.double()).sum(0).mean()


def mutual_information_3h(
    x: Array, y: Array, n_neighbors: int = 3, standardize: bool = True, *, nan: NanPolicy = "raise"
) -> Tensor:
    r"""Estimate mutual information as H(x) + H(y) − H(x, y), each entropy by nearest neighbors, in nats.

    .. math:: \hat I = \psi(n) - \psi(k) + \frac1n \sum_i [d_x \log\epsilon^x_i + d_y \log\epsilon^y_i
        - (d_x + d_y) \log\epsilon^{xy}_i]

    This is the estimator of Zhang et al. (2018). Its three biases do not cancel, see the values below;
    :func:`mutual_information_ksg` has less bias.

    Args:
        x: samples, shape (n_samples,) or (n_samples, n_units).
        y: likewise.
        n_neighbors: k; see :func:`mutual_information_ksg`.
        standardize: whether to divide every unit by its standard deviation first. If not, the answer depends on the
            units of measurement: for x on a scale of 1e-4 it is −3.2 at any correlation.
        nan: see :func:`mutual_information`.

    Returns:
        Scalar float64, on the device of the samples. Never clamped at 0. Infinite if the two are linearly
        dependent, or are single units in the same or in reversed order.

    Raises:
        ValueError: as :func:`mutual_information_ksg`, and if more than ``n_neighbors`` samples share a value.

    Bias: at n = 1000, k = 3, for normal pairs: +.012 (standard deviation .043) when independent, +.017 at ρ = .6,
        +.023 at .9. Zhang et al. read the .012 of independent units as their threshold.

    References:
        Zhang et al. 2018, §4 and A.1.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> pair = MultivariateNormal.pair(0.9)
        >>> x, y = pair.sample(5000, torch.Generator().manual_seed(0)).T
        >>> round(pair.mutual_information, 2), round(mutual_information_3h(x, y).item(), 2)
        (0.83, 0.83)
    """
    check_flag(standardize, "standardize")
    kept = _by_policy(x, y, nan)
    if kept is None:
        return undefined(x)
    points = _two_densities(*kept, n_neighbors)
    with exactly(points[0].device):
        scaled = a, b = tuple(_standardized(unit) for unit in points)
        if _determine_each_other(a, b):
            return a.new_tensor(inf)
        a, b = scaled if standardize else points
        sums = [
            unit.shape[1] * kth_neighbor_distance(unit, n_neighbors).log().mean()
            for unit in (a, b, torch.cat([a, b], dim=1))
        ]
        if not bool(torch.stack(sums[:2]).isfinite().all()):
            raise ValueError(NO_DENSITY.format("a value is shared by more than n_neighbors samples"))
        ends = torch.digamma(a.new_tensor([len(a), n_neighbors]))
        return ends[0] - ends[1] + sums[0] + sums[1] - sums[2]


def mutual_information_gaussian(x: Array, y: Array, *, nan: NanPolicy = "raise") -> Tensor:
    r"""Compute the mutual information of a normal pair with the correlation of the samples, in nats.

    .. math:: \hat I = -\tfrac12 \log(1 - \hat\rho^2)

    No pair with normal marginals and this correlation has less; for other pairs it is the linear part.

    Args:
        x: samples of one unit, shape (n_samples,).
        y: likewise.
        nan: see :func:`mutual_information`.

    Returns:
        Scalar float64; infinite if the two are linearly dependent (1 − ρ² < 1e-12), 0 against a constant.

    Raises:
        ValueError: if the lengths differ, there are fewer than 3 samples, or a value is not finite.

    Bias: upwards, by about 1/2n for independent normal units.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> x, y = MultivariateNormal.pair(0.6).sample(5000, torch.Generator().manual_seed(0)).T
        >>> round(mutual_information_gaussian(x, y).item(), 1)
        0.2
    """
    kept = _by_policy(x, y, nan)
    if kept is None:
        return undefined(x)
    a, b = _two_units(*kept, 2)
    with exactly(a.device):
        u, v = (_standardized(unit)[:, 0] / len(a) ** 0.5 for unit in (a, b))
        # 1 − ρ² as (1 − ρ)(1 + ρ), each computed from differences, keeps its digits where ρ is near ±1
        unexplained = torch.stack([u - v, u + v]).square().sum(1).div(2).prod()
        constant = (u == 0).all() | (v == 0).all()
        unexplained = torch.where(constant, 1.0, torch.where(unexplained < LINEAR, 0.0, unexplained))
        return -0.5 * unexplained.log() + 0.0


def nonlinear_excess(x: Array, y: Array, *, nan: NanPolicy = "raise") -> Tensor:
    """Compute the mutual information that the correlation does not account for, in nats.

    This is :func:`mutual_information` minus :func:`mutual_information_gaussian`, and 0 if the two units are linearly
    dependent, which leaves nothing to explain.

    Args:
        x: samples of one unit, shape (n_samples,).
        y: likewise.
        nan: see :func:`mutual_information`.

    Returns:
        Scalar float64. It can be negative, by chance or for units that are not normal.

    Raises:
        ValueError: as :func:`mutual_information`.

    Example:
        >>> x = torch.randn(2000, generator=torch.Generator().manual_seed(0))
        >>> noise = torch.randn(2000, generator=torch.Generator().manual_seed(1))
        >>> bool(nonlinear_excess(x, x**2 + noise) > 0.2)
        True
    """
    linear = mutual_information_gaussian(x, y, nan=nan)
    return torch.zeros_like(linear) if linear == inf else mutual_information(x, y, nan=nan) - linear


def _by_policy(x: Array, y: Array, nan: NanPolicy) -> tuple[Tensor, Tensor] | None:
    """Return both as samples, shape (n_samples, n_units), on the device of ``x``; None if NaN propagates."""
    a, b = as_points(x, "x"), as_points(y, "y")
    if len(a) != len(b):
        raise ValueError(f"x and y must have the same number of samples, got {len(a)} and {len(b)}")
    kept = by_nan_policy(nan, x=a, y=b.to(a.device))
    return None if kept is None else (kept[0], kept[1])


def _two_units(x: Tensor, y: Tensor, n_neighbors: int) -> tuple[Tensor, Tensor]:
    """Return both units as (n_samples, 1), float64."""
    a, b = _two_points(x, y, n_neighbors)
    for name, unit in (("x", a), ("y", b)):
        if unit.shape[1] != 1:
            raise ValueError(f"{name} must be one unit, shape (n_samples,), got {tuple(unit.shape)}")
    return a, b


def _two_points(x: Tensor, y: Tensor, n_neighbors: int) -> tuple[Tensor, Tensor]:
    return check_neighbors(x, n_neighbors).double(), check_neighbors(y, n_neighbors).double()


def _two_densities(x: Tensor, y: Tensor, n_neighbors: int) -> tuple[Tensor, Tensor]:
    a, b = _two_points(x, y, n_neighbors)
    for name, points in (("x", a), ("y", b)):
        refuse_ties(points, n_neighbors, name)
        if points.shape[1] > 1 and _lie_in_a_plane(_standardized(points)):
            raise ValueError(f"the units of {name} are linearly dependent; remove those that others determine")
    return a, b


def _standardized(points: Tensor) -> Tensor:
    """Center each column and divide it by its deviation; a constant one becomes zeros.

    Dividing by the largest value first keeps the squares of very large or small columns within float64.
    """
    centered = points - points[0]
    centered = centered / _or_one(centered.abs().amax(dim=0))
    centered = centered - centered.mean(dim=0)
    return centered / _or_one(centered.square().mean(dim=0).sqrt())


def _or_one(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, 1.0)


def _determine_each_other(a: Tensor, b: Tensor) -> bool:
    if _lie_in_a_plane(torch.cat([a, b], dim=1)):
        return True
    if a.shape[1] > 1 or b.shape[1] > 1 or len(a) < FEW_SAMPLES:
        return False
    order = a[:, 0].argsort()
    steps, others = a[order, 0].diff().sign(), b[order, 0].diff().sign()
    return torch.equal(steps, others) or torch.equal(steps, -others)


def _lie_in_a_plane(points: Tensor) -> bool:
    return len(points) > points.shape[1] and is_singular(whitening(points).eigenvalues)
