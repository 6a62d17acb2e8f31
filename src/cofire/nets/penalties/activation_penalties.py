"""Penalties on the activations of one layer in one batch: correlation, DeCov, VICReg's covariance."""

from typing import TYPE_CHECKING, Literal

from torch import Tensor

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
    r"""How strongly the units of a layer correlate over a batch, to be added to a loss.

    .. math:: P = \frac{1}{2d} \sum_{i=1}^{d} \sum_{j=1}^{d} ρ_{ij}^2

    ρ is the Pearson correlation. With z-scores by the standard deviation over m − 1, the gradient of P is the one
    that the paper prints. Fewer samples than units cost m² d, otherwise m d².

    Args:
        x: activations, of any shape; all axes but that of the units are samples.
        unit_axis: the axis of the units; 1 for convolutions.
        mask: which samples count, True is keep: over the axes of the samples, or the first of them, as (batch, time).
        debiased: take off what noise adds to each ρ² on average (the adjusted R² of the pair).
        scale: "mean" is the formula above; "per_sample" divides it by the number of samples, as the code of the
            paper's author does.
        top: the share of pairs that count, the strongest first; 1.0 for all. The diagonal always counts.
        synchronize: statistics over the batches of all processes, or of those of a process group. Every process
            must call. Gradients are such that DistributedDataParallel's average is that of the whole batch.

    Returns:
        Scalar tensor, float32 (float64 for float64), computed outside autocast. At least d / (2 min(d, m − 1)). 0,
        with gradient 0, for fewer than two samples (debiased, three), for which no correlation is defined.

    Raises:
        ValueError: for input that is not real, a mask that does not fit, another ``scale``, a ``top`` not in (0, 1].

    Constant units are left out, as though the layer did not have them: d counts the others, and their gradient is
    0. A NaN or an infinity makes the penalty NaN, for a training loop to see; so does a spread whose square float32
    does not hold (from 1e18 on), while one whose square is 0 there (below 1e-22) counts as constant.

    Bias:
        For independent units P is ½ (1 + (d − 1)/(m − 1)) on average, mostly noise where d ≫ m; debiased, ½. The
        strongest pairs are chosen by their noise too, so ``top`` together with ``debiased`` stays above ½.

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
    r"""Half the sum of squared covariances between different units.

    .. math:: \frac12 \sum_{i≠j} C_{ij}^2, \quad C = \frac1N \sum_k (x_k - \bar x)(x_k - \bar x)^T

    It falls when activations shrink, whatever their correlation. Arguments, constant units, small batches and NaN
    as for `correlation_penalty`.

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
    r"""The covariance term of VICReg.

    .. math:: \frac1d \sum_{i≠j} C_{ij}^2, \quad C = \frac1{N-1} \sum_k (x_k - \bar x)(x_k - \bar x)^T

    Arguments, constant units, small batches and NaN as for `correlation_penalty`; but d counts every unit.

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
    """Refuse what `correlation_penalty` refuses."""
    if scale not in ("mean", "per_sample"):
        raise ValueError(f"scale is 'mean' or 'per_sample', got {scale!r}")
    if not 0 < top <= 1:
        raise ValueError(f"top is the share of pairs that count, above 0 and at most 1; got {top!r}")
