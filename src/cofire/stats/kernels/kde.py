"""Entropy of a layer by Gaussian kernels: the Kolchinsky–Tracey bounds and the leave-one-out estimate."""

from math import inf, log, pi
from typing import Literal, get_args

import torch
from torch import Tensor

from .._base.argument_checks import check_choice, check_number
from .._base.arrays import Array, as_points
from .._base.distances import median_distance
from .._base.nan_policy import NanPolicy, by_nan_policy, undefined
from .._base.precision import exactly
from ..information.density import enough_points
from ..information.neighbor_entropy import joint_entropy
from .gram import kernel_sums, kernel_width_scan

NOISE_VARIANCE = 0.1
Bound = Literal["upper", "lower", "leave_one_out"]


def entropy_kde(x: Array, variance: float | None = None, bound: Bound = "upper", *, nan: NanPolicy = "raise") -> Tensor:
    r"""Estimate the entropy by a Gaussian around each sample, in nats.

    .. math:: \hat H = \tfrac d2 \log(2\pi e s) + \log n - \frac1n \sum_i \log \sum_j e^{-\|x_i - x_j\|^2 / c}

    bounds the entropy of the mixture of Gaussians at the samples, that is, of the layer plus Gaussian noise of
    variance s: from above with c = 2s and from below with c = 8s. ``"leave_one_out"`` estimates the layer itself:

    .. math:: \hat H = \tfrac d2 \log(2\pi s) - \frac1n \sum_i \log \frac{1}{n-1}
              \sum_{j \ne i} e^{-\|x_i - x_j\|^2 / 2s}

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,), at least two.
        variance: s, in squared units of ``x``. None: 0.1 for the bounds; for leave-one-out the variance that makes
            the samples most likely, to a quarter octave of the width.
        bound: ``"upper"``, ``"lower"`` or ``"leave_one_out"``.
        nan: policy for samples with a NaN or an infinity: "raise", "omit" (leave them out) or "propagate".

    Returns:
        Scalar float64. Leave-one-out: −∞ if a unit has an atom or the units are linearly dependent. The bounds are
        always finite, since the noise has a density.

    Raises:
        ValueError: if there are fewer than two samples, a value is not finite, or an argument is invalid.

    Bias: The bounds hold for the mixture at these samples, not for the population. Leave-one-out is a cross-entropy
        and therefore biased upwards: for 5 normal units by 0.2 at n = 500 and 0.1 at 2000, for 20 units by 2.

    References:
        Kolchinsky and Tracey 2017, Eqs. 10 and 11.

    Example:
        >>> import torch
        >>> from cofire.stats.truth import MultivariateNormal
        >>> x = MultivariateNormal(torch.eye(2)).sample(500, torch.Generator().manual_seed(0))
        >>> bool(entropy_kde(x, 0.1, "lower") < entropy_kde(x, 0.1, "upper"))
        True
    """
    check_choice(bound, "bound", get_args(Bound))
    if variance is not None:
        variance = check_number(variance, "variance", above=0)
    kept = by_nan_policy(nan, x=as_points(x))
    if kept is None:
        return undefined(x)
    points = enough_points(kept[0])
    if bound == "leave_one_out":
        return _leave_one_out(points, variance)
    noise = NOISE_VARIANCE if variance is None else variance
    width = noise**0.5 if bound == "upper" else 2 * noise**0.5
    with exactly(points.device):
        others, _, _ = kernel_sums(points, [width], points.new_zeros(len(points), dtype=torch.int64))
        # each sample is its own neighbor at distance 0, so the sum of the terms is 1 + others
        return points.shape[1] / 2 * (1 + log(2 * pi * noise)) + log(len(points)) - torch.log1p(others).mean()


def _leave_one_out(points: Tensor, variance: float | None) -> Tensor:
    # the likelihood of tied samples has no maximum, so nearest neighbors decide whether there is a density at all
    if bool(joint_entropy(points, min(3, len(points) - 1)) == -inf):
        return points.new_tensor(-inf)
    if variance is not None:
        return kernel_width_scan(points, [variance**0.5]).leave_one_out[0]
    middle = median_distance(points, "gaussian")
    octaves = range(-12, 3)
    while True:
        scan = kernel_width_scan(points, [middle * 2.0**octave for octave in octaves])
        best = octaves[int(scan.leave_one_out.argmin())]
        if best not in (octaves[0], octaves[-1]):
            break
        # at an end of the grid the optimum may lie beyond: far clusters and outliers put it there
        octaves = range(best - 12, best + 13)
    return kernel_width_scan(points, [middle * 2 ** (best + step / 4) for step in range(-3, 4)]).leave_one_out.min()
