"""Penalties on the activations of one layer in one batch: correlation, DeCov, VICReg's covariance."""

from typing import TYPE_CHECKING, Literal

from torch import Tensor

from ...stats._base.argument_checks import as_number
from ...stats._base.arrays import Array
from .batch_arithmetic import as_rows, centered, squared_correlations, squared_covariances, standardized
from .process_group import ranks_of

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Scale = Literal["mean", "per_sample"]


def correlation_penalty(
    x: Array,
    *,
    unit_axis: int = -1,
    mask: Tensor | None = None,
    debiased: bool = False,
    scale: Scale = "mean",
    top: float = 1.0,
    synchronize: "bool | ProcessGroup" = False,
) -> Tensor:
    r"""Penalize correlation between the units of a layer over a batch.

    .. math:: P = \frac{1}{2d} \sum_{i=1}^{d} \sum_{j=1}^{d} ρ_{ij}^2

    ρ is the Pearson correlation. The gradient is the one that the paper prints, if its z-scores divide by the standard
    deviation over m − 1. The cost is m² d with fewer samples m than units d, and m d² otherwise.

    Constant units are left out, as if the layer did not have them: d counts the others, and their gradient is 0. A NaN
    or an infinity makes the penalty NaN, so that the training loop notices it. So does a standard deviation whose
    square overflows float32 (above 1e18); one whose square underflows (below 1e-22) counts as constant.

    Args:
        x: activations, of any shape; all axes other than ``unit_axis`` are samples.
        unit_axis: the axis of the units; 1 for convolutions.
        mask: which samples count (True keeps a sample), over the axes of the samples or the first of them, such as
            (batch, time).
        debiased: subtract what noise adds to each ρ² on average, which gives the pair's adjusted R².
        scale: "mean" for the formula above; "per_sample" to divide it by the number of samples as well, as the code of
            the paper's author does.
        top: the share of pairs that count, the strongest first; 1.0 for all. The diagonal always counts.
        synchronize: take statistics over the batches of all processes (True) or of those of a process group. Every
            process must call. DistributedDataParallel's average of the gradients is then that of the whole batch.

    Returns:
        Scalar tensor, float32 (float64 for float64 input), computed outside autocast; at least d / (2 min(d, m − 1)).
        0 with gradient 0 for fewer than two samples (three if debiased), where no correlation is defined.

    Raises:
        ValueError: if ``x`` is not real, the mask does not fit, ``scale`` is unknown, or ``top`` is not in (0, 1].

    Bias:
        For independent units P is ½ (1 + (d − 1)/(m − 1)) on average, which is mostly noise where d ≫ m; debiased, it
        is ½. Noise also decides which pairs are the strongest, so ``top`` with ``debiased`` stays above ½.

    References: Simon 2016, section 3.

    Example:
        >>> import torch
        >>> x = torch.randn(50, 90, generator=torch.Generator().manual_seed(0))
        >>> round(correlation_penalty(x).item(), 1)  # independent units: ½ (1 + 89/49) = 1.41
        1.4
        >>> round(correlation_penalty(x, debiased=True).item(), 1)
        0.5
    """
    check(scale, top)
    ranks = ranks_of(synchronize)
    units, n_units, n_samples = standardized(as_rows(x, unit_axis=unit_axis, mask=mask), ranks)
    squares, n_pairs = squared_correlations(units, n_units, top, ranks)
    if debiased:
        # Σ 1 − (1 − ρ²)(m − 1)/(m − 2), which leaves the diagonal at 1; undefined for two samples
        unexplained = (n_pairs - squares) * (n_samples - 1)
        squares = n_pairs - unexplained / (n_samples - 2) if n_samples > 2 else squares * 0
    return squares / (2 * n_units.clamp(min=1) * (max(n_samples, 1) if scale == "per_sample" else 1))


def decov_penalty(
    x: Array, *, unit_axis: int = -1, mask: Tensor | None = None, synchronize: "bool | ProcessGroup" = False
) -> Tensor:
    r"""Return half the sum of squared covariances between different units.

    .. math:: \frac12 \sum_{i≠j} C_{ij}^2, \quad C = \frac1N \sum_k (x_k - \bar x)(x_k - \bar x)^T

    It falls when activations shrink, whatever their correlation. Arguments, small batches and NaN as for
    `correlation_penalty`. Constant units add 0. Units may differ in scale by any factor.

    References: Cogswell, Ahmed, Girshick, Zitnick, Batra 2015.

    Example:
        >>> import torch
        >>> decov_penalty(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))  # covariance 2
        tensor(4.)
    """
    ranks = ranks_of(synchronize)
    units, n_samples = centered(as_rows(x, unit_axis=unit_axis, mask=mask), ranks)
    return squared_covariances(units, max(n_samples, 1), ranks) / 2


def vicreg_covariance_penalty(
    x: Array, *, unit_axis: int = -1, mask: Tensor | None = None, synchronize: "bool | ProcessGroup" = False
) -> Tensor:
    r"""Return the covariance term of VICReg.

    .. math:: \frac1d \sum_{i≠j} C_{ij}^2, \quad C = \frac1{N-1} \sum_k (x_k - \bar x)(x_k - \bar x)^T

    Arguments, small batches and NaN as for `correlation_penalty`. Constant units add 0, and d counts every unit. Units
    may differ in scale by any factor.

    References: Bardes, Ponce, LeCun 2022, Eq. 4.

    Example:
        >>> import torch
        >>> vicreg_covariance_penalty(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))  # covariance 4
        tensor(16.)
    """
    ranks = ranks_of(synchronize)
    units, n_samples = centered(as_rows(x, unit_axis=unit_axis, mask=mask), ranks)
    return squared_covariances(units, max(n_samples - 1, 1), ranks) / max(units.shape[1], 1)


def check(scale: str, top: float) -> None:
    """Raise ValueError for an unknown ``scale`` or a ``top`` out of range."""
    if scale not in ("mean", "per_sample"):
        raise ValueError(f"scale must be 'mean' or 'per_sample', got {scale!r}")
    share = as_number(top)
    if share is None or not 0 < share <= 1:
        raise ValueError(f"top is the share of pairs that count and must be above 0 and at most 1, got {top!r}")
