"""Entropy of a layer through the feature space of a kernel (Jin et al. 2022, §2.2–2.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

import torch
from torch import Tensor

from .._base.argument_checks import check_choice, check_number
from .._base.arrays import Array, as_points, as_tensor
from .._base.display import Shown
from .._base.distances import median_distance
from .._base.nan_policy import NanPolicy, by_nan_policy, check_finite, undefined
from .._base.precision import exactly
from ..correlation.summary import neuronal_correlation
from ..information.density import enough_points, finite_points
from ..information.entropy import entropy_binned, entropy_independence_bound, entropy_knn
from ..information.neighbor_entropy import joint_entropy
from .gram import KERNELS, as_labels, as_widths, gram_matrix, kernel_width_scan
from .kde import entropy_kde

Features = Literal["eigen", "gram"]
Estimator = Literal["loo_kde", "kt", "knn", "binned", "per_dimension", "spectral"]

STEPS_BELOW, STEPS_ABOVE, STEPS_AN_OCTAVE = 6, 4, 2
EQUALLY_GOOD = 0.005
ASYMMETRY = 1e-6  # of the largest entry: rounding of a matrix that was computed in float32
MOST_CORRELATED = 512  # samples, as finding n feature dimensions and correlating them costs n³


@dataclass(frozen=True)
class WidthChoice(Shown):
    """A kernel width and the numbers that led to it, one for each of ``bandwidths``; all float64.

    Attributes:
        bandwidth: the chosen width σ′.
        bandwidths: the compared widths, ascending, shape (n_widths,).
        alignment: alignment of the kernel with the label kernel, A(K_σ, K_y); NaN without labels.
        correlation: ρ(k_σ), the mean abs(correlation) of the feature dimensions.
        objective: alignment − beta · correlation; without labels, − beta · correlation.
    """

    bandwidth: float
    bandwidths: Tensor
    alignment: Tensor
    correlation: Tensor
    objective: Tensor


@dataclass(frozen=True)
class EigenvalueBounds(Shown):
    """Bounds on all eigenvalues of a kernel matrix, by Gershgorin's circles.

    Attributes:
        lower: the lower bound, at least 0 since kernel matrices have no negative eigenvalue.
        upper: the upper bound, at most the largest row sum.
        vacuous: whether the circles give no lower bound, so that ``lower`` is 0 by definition only.
    """

    lower: float
    upper: float
    vacuous: bool


def entropy_embedded(
    x: Array,
    *,
    bandwidth: float | None = None,
    labels: "Array | None" = None,
    beta: float = 0.5,
    kernel: str = "gaussian",
    features: Features = "eigen",
    estimator: Estimator = "loo_kde",
    nan: NanPolicy = "raise",
) -> Tensor:
    r"""Estimate the entropy by the kernel embedding of Jin et al., in nats; by default as a mean embedding.

    ``estimator="loo_kde"`` reads Eq. 4 as the mean embedding of the layer. Its inner products with the samples are a
    kernel density estimate, from which each sample leaves itself out:

    .. math:: \hat H = \log \int k_\sigma - \frac1n \sum_i \log \frac{1}{n-1} \sum_{j \ne i} K_{ij}

    The other estimators measure the entropy of the features k_i, which is another quantity: an invertible map keeps
    discrete entropy but not differential entropy. They reproduce the paper.

    - ``"kt"``: the Kolchinsky–Tracey upper bound in the feature space, with noise variance 0.1.
    - ``"knn"``: nearest neighbors in the feature space (Eq. 7).
    - ``"binned"``: joint binning in the feature space; nearly always log n.
    - ``"per_dimension"``: the sum of the dimensions' entropies (Eq. 6), which falls without bound as n grows.
    - ``"spectral"``: the von Neumann entropy of K/n, from 0 to log n. It grows with spread but is not a differential
      entropy.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,).
        bandwidth: kernel width σ; None chooses it by :func:`choose_bandwidth`.
        labels: one class for each sample, used to choose the width.
        beta: weight of the features' correlation in the choice of the width, in [0, 1].
        kernel: ``"gaussian"`` or ``"laplacian"``.
        features: ``"eigen"`` for the columns of :math:`\Lambda^{1/2} V^\top`, O(n³); ``"gram"`` for those of K. Only
            the estimators from ``"kt"`` to ``"per_dimension"`` use them.
        estimator: one of the above.
        nan: policy for samples with a NaN or an infinity: "raise", "omit" (leave them and their labels out) or
            "propagate".

    Returns:
        Scalar float64; −∞ from ``"loo_kde"`` and ``"per_dimension"`` if there is no density.

    Raises:
        ValueError: if there are fewer than five samples, a value is not finite, or an argument is invalid.

    Bias: ``"loo_kde"`` is biased upwards, like every leave-one-out density: without labels and for 5 normal units by
        about 0.5 at n = 500 and 0.2 at 2000. A width chosen by labels suits the labels, not the density: at the median
        distance the bias is 3.5 nats. :func:`entropy_kde` with ``bound="leave_one_out"`` chooses the width for the
        density.

    References:
        Jin et al. 2022, §2.2–2.4.

    Example:
        >>> from cofire.stats.truth import MultivariateNormal
        >>> normal = MultivariateNormal(torch.eye(2))
        >>> x = normal.sample(1000, torch.Generator().manual_seed(0))
        >>> abs(entropy_embedded(x).item() - normal.entropy) < 0.2
        True
    """
    samples = as_points(x)
    kept = by_nan_policy(nan, x=samples, **({} if labels is None else {"labels": as_labels(labels, samples)}))
    if kept is None:
        return undefined(x)
    points, labels = enough_points(kept[0], least=5), None if labels is None else kept[1]
    check_choice(estimator, "estimator", get_args(Estimator))
    check_choice(features, "features", get_args(Features))
    check_choice(kernel, "kernel", KERNELS)
    check_number(beta, "beta", least=0, most=1)
    if bandwidth is None:
        bandwidth = choose_bandwidth(points, labels, beta=beta, kernel=kernel, features=features).bandwidth
    if estimator == "loo_kde":
        if bool(joint_entropy(points, 3) == -inf):
            return points.new_tensor(-inf)
        return kernel_width_scan(points, [bandwidth], kernel=kernel).leave_one_out[0]
    gram = gram_matrix(points, bandwidth, kernel=kernel)
    if estimator == "spectral":
        with exactly(gram.device):
            share = torch.linalg.eigvalsh(gram / len(gram)).clamp_min(0)
            return torch.special.entr(share).sum()
    embedded = feature_matrix(gram, features)
    return {
        "kt": entropy_kde,
        "knn": entropy_knn,
        "binned": entropy_binned,
        "per_dimension": entropy_independence_bound,
    }[estimator](embedded)


def choose_bandwidth(
    x: Array,
    labels: "Array | None" = None,
    *,
    bandwidths: "Sequence[float] | Tensor | None" = None,
    beta: float = 0.5,
    kernel: str = "gaussian",
    features: Features = "eigen",
) -> WidthChoice:
    r"""Choose a kernel width by Eq. 9 of Jin et al.

    .. math:: \sigma' = \arg\max_\sigma A(K_\sigma, K_y) - \beta\,\rho(k_\sigma)

    The correlation is computed from at most 512 evenly spaced samples. Without labels only the second term counts.
    Among widths whose objective is within 0.005 of the best, the narrowest is chosen. The width scales with ``x``.

    With ``"eigen"`` features ρ is nearly 0 at every width, since eigenvectors are orthogonal, and β has no effect. With
    ``"gram"`` features ρ grows with the width, so that β narrows the kernel.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,), at least five.
        labels: one class for each sample.
        bandwidths: the widths to compare; None for 1/8 to 4 times the median distance, in steps of √2.
        beta: weight of the correlation, in [0, 1].
        kernel: ``"gaussian"`` or ``"laplacian"``.
        features: the features whose dimensions ρ correlates, ``"eigen"`` or ``"gram"``.

    Raises:
        ValueError: if a value is not finite, most samples are equal, there is not one label for each sample, or an
            argument is invalid.

    Example:
        >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> narrow, wide = (choose_bandwidth(scale * x).bandwidth for scale in (1, 10))
        >>> round(wide / narrow, 6)
        10.0
    """
    points = finite_points(x, least=5)
    check_choice(features, "features", get_args(Features))
    check_number(beta, "beta", least=0, most=1)
    check_choice(kernel, "kernel", KERNELS)
    widths = _widths(points, bandwidths, kernel)
    scan = kernel_width_scan(points, widths, labels, kernel=kernel)
    some = points[:: -(-len(points) // MOST_CORRELATED)]
    found = [_feature_correlation(gram_matrix(some, width, kernel=kernel), features) for width in widths.tolist()]
    correlation = torch.tensor(found, dtype=torch.float64, device=points.device)
    objective = (0.0 if labels is None else scan.alignment) - beta * correlation
    narrowest = int((objective >= objective.max() - EQUALLY_GOOD).nonzero()[0])
    return WidthChoice(widths[narrowest].item(), widths, scan.alignment, correlation, objective)


def feature_matrix(gram: Array, features: Features = "eigen") -> Tensor:
    r"""Return the features of each sample, one sample a row; ``"eigen"`` features have the kernel as inner products.

    Args:
        gram: kernel matrix, shape (n_samples, n_samples).
        features: ``"eigen"`` for :math:`V \Lambda^{1/2}` without the dimensions whose eigenvalue is rounding error;
            ``"gram"`` for the kernel matrix itself, whose distances are within :func:`eigenvalue_bounds` of those.

    Returns:
        Float64, shape (n_samples, n_dimensions).

    Raises:
        ValueError: if the matrix is not square, symmetric and finite with a diagonal of at least 0.
    """
    check_choice(features, "features", get_args(Features))
    square = _square(gram)
    if features == "gram":
        return square
    values, vectors = torch.linalg.eigh(square)
    kept = values > len(values) * torch.finfo(values.dtype).eps * values[-1]
    return vectors[:, kept] * values[kept].sqrt()


def eigenvalue_bounds(gram: Array) -> EigenvalueBounds:
    r"""Bound a kernel matrix's eigenvalues by Gershgorin's circles, at the cost of reading the matrix.

    .. math:: \min_i K_{ii} - R_i \le \lambda \le \max_i K_{ii} + R_i, \qquad R_i = \sum_{j \ne i} |K_{ij}|

    They bound how much distances between rows of K differ from those between eigen features:
    :math:`\lambda_{\min} \|k_i - k_j\|^2 \le \|K_i - K_j\|^2 \le \lambda_{\max} \|k_i - k_j\|^2`.

    Args:
        gram: kernel matrix, shape (n_samples, n_samples).

    Raises:
        ValueError: if the matrix is not square, symmetric and finite with a diagonal of at least 0.

    Example:
        >>> eigenvalue_bounds(torch.tensor([[1.0, 0.25], [0.25, 1.0]]))
        EigenvalueBounds(lower=0.75, upper=1.25, vacuous=False)
    """
    square = _square(gram)
    center = square.diagonal()
    reach = square.abs().sum(dim=1) - center.abs()
    lower = (center - reach).min().item()
    return EigenvalueBounds(max(lower, 0.0), (center + reach).max().item(), lower <= 0)


def _square(gram: Array) -> Tensor:
    matrix = check_finite(as_tensor(gram, "gram"), "gram").double()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(f"a kernel matrix must be square, got shape {tuple(matrix.shape)}")
    largest = matrix.abs().amax()
    if bool(matrix.diagonal().amin() < 0) or bool((matrix - matrix.T).abs().amax() > ASYMMETRY * largest):
        raise ValueError(
            "a kernel matrix must be symmetric with a diagonal of at least 0; pass gram_matrix(x, bandwidth)"
        )
    return matrix


def _widths(points: Tensor, bandwidths: "Sequence[float] | Tensor | None", kernel: str) -> Tensor:
    if bandwidths is not None:
        return torch.tensor(sorted(as_widths(bandwidths)), dtype=torch.float64, device="cpu")
    middle = median_distance(points, kernel)
    if middle == 0:
        raise ValueError(
            "most samples are equal, so their distances give no scale for the kernel; pass bandwidth or bandwidths, or "
            "choose a layer with fewer equal samples"
        )
    steps = torch.arange(-STEPS_BELOW, STEPS_ABOVE + 1, dtype=torch.float64, device="cpu")
    return middle * 2 ** (steps / STEPS_AN_OCTAVE)


def _feature_correlation(gram: Tensor, features: Features) -> float:
    """Return ρ(k) of Eq. 10; 0 if fewer than two dimensions vary."""
    with exactly(gram.device):
        summary = neuronal_correlation(feature_matrix(gram, features))
    return summary.mean_abs if summary.n_pairs else 0.0
