"""Weight correlation: how similar the incoming weight vectors of a layer's units are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from .._base.argument_checks import check_flag
from .._base.arrays import Array
from .._base.display import Shown
from .._base.precision import exactly
from .cosine_sums import Cosines
from .unit_vectors import Reading, unit_vectors


@dataclass(frozen=True)
class WeightSummary(Shown):
    """Summary of the cosines between incoming weight vectors; NaN if there are no pairs.

    Attributes:
        n_vectors: incoming vectors: one per unit, or one per unit and input channel.
        n_zero: vectors of norm 0; they have no direction and are left out.
        n_nonfinite: vectors with a NaN or an infinity, also left out.
        n_pairs: pairs of the remaining vectors, each counted once.
        mean_abs: mean of abs(cosine).
        mean: mean of the cosine.
        lower_quartile: lower quartile of abs(cosine) over pairs.
        median: median of abs(cosine) over pairs.
        upper_quartile: upper quartile of abs(cosine) over pairs.
    """

    n_vectors: int
    n_zero: int
    n_nonfinite: int
    n_pairs: int
    mean_abs: float
    mean: float
    lower_quartile: float
    median: float
    upper_quartile: float


def weight_correlation(
    weight: Array, absolute: bool = True, *, unit_axis: int = 0, groups: int = 1, reading: Reading = "flattened"
) -> Tensor:
    r"""Compute the weight correlation (WC): the mean cosine between the incoming weight vectors of two units.

    .. math:: \mathrm{WC} = \frac{1}{n(n-1)} \sum_{i \ne j} \frac{|w_i \cdot w_j|}{\|w_i\| \|w_j\|}, \qquad
              \mathrm{WC}_\text{signed} = \frac{\|\sum_i w_i / \|w_i\|\|^2 - n}{n(n-1)} \ge -\frac{1}{n-1}

    Vectors of norm 0 and those with a NaN or an infinity have no direction: their pairs are left out, and
    :func:`weight_correlation_summary` counts them.

    Args:
        weight: as torch stores it, shape (out, in, ...); torch or numpy, any real type. For fused gates and
            projections see :func:`split_units`.
        absolute: the mean of abs(cosine), as the authors' 2020 code has it; otherwise the signed mean of Eq. 11.
        unit_axis: 1 for transposed convolutions (in, out / groups, ...) and for embeddings, whose units are the
            features, each with one weight per token.
        groups: of a convolution. Units in different groups share no input, so their cosine is 0.
        reading: ``"flattened"`` takes a unit's whole kernel as one vector; ``"per_input_channel"`` compares the
            kernels of one input channel, and averages over the input channels that have a pair.

    Returns:
        Scalar tensor, float64; NaN with fewer than two vectors that have a direction. Signed, it is exact to float64;
        absolute, products run in float32 (a few 1e-7 off a cosine) for weights that float32 holds.

    Raises:
        ValueError: for a weight that is not real or has fewer than two axes; for groups that do not divide it; for
            ``"per_input_channel"`` where a kernel has one position only, as the cosines of numbers are all ±1.

    Bias:
        Random vectors are never quite orthogonal: independent zero-mean weights give about √(2 / (π fan_in)), whatever
        the number of units, and 0 signed.

    References:
        Jin, Yi, Huang 2022, Definition 2 and Eq. 11; Jin et al. 2020, "How does weight correlation affect the
        generalisation ability of deep neural networks?".

    Example:
        >>> weight = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
        >>> weight_correlation(weight)
        tensor(0.3333, dtype=torch.float64)
        >>> weight_correlation(weight, absolute=False)
        tensor(-0.3333, dtype=torch.float64)
    """
    check_flag(absolute, "absolute")
    sources = _sources(weight, unit_axis, groups, reading)
    with exactly(sources[0].vectors.device):
        if absolute:
            return _averaged([source.pairs.mean_abs() for source in sources])
        return torch.tensor(_mean(sources), dtype=torch.float64, device=sources[0].vectors.device)


def weight_correlation_quartiles(
    weight: Array, *, unit_axis: int = 0, groups: int = 1, reading: Reading = "flattened"
) -> Tensor:
    """Lower quartile, median and upper quartile of abs(cosine) over pairs of units.

    By linear interpolation up to about a million pairs; beyond, one value of the data to 6e-8. With
    ``reading="per_input_channel"`` the quartiles of each input channel, averaged.

    Args:
        weight: as for :func:`weight_correlation`, and so are the other arguments and the errors.
        unit_axis: 1 for transposed convolutions and embeddings.
        groups: of a convolution.
        reading: of a convolution's kernel.

    Returns:
        Float64, shape (3,); NaN where there is no pair.

    References: Jin, Yi, Huang 2022, Fig. 7 (a).

    Example:
        >>> weight_correlation_quartiles(torch.eye(4))
        tensor([0., 0., 0.], dtype=torch.float64)
    """
    sources = _sources(weight, unit_axis, groups, reading)
    with exactly(sources[0].vectors.device):
        return _averaged([source.pairs.quartiles() for source in sources])


def weight_correlation_summary(
    weight: Array, *, unit_axis: int = 0, groups: int = 1, reading: Reading = "flattened"
) -> WeightSummary:
    """Both means, the quartiles and what was left out; arguments as for :func:`weight_correlation`.

    Args:
        weight: as torch stores it, shape (out, in, ...).
        unit_axis: 1 for transposed convolutions and embeddings.
        groups: of a convolution.
        reading: of a convolution's kernel.

    Example:
        >>> summary = weight_correlation_summary(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
        >>> summary.n_zero, summary.n_pairs, round(summary.mean_abs, 4)
        (1, 1, 0.7071)
    """
    sources = _sources(weight, unit_axis, groups, reading)
    with exactly(sources[0].vectors.device):
        mean_abs, (lower, median, upper) = _mean_abs_and_quartiles(sources)
        return WeightSummary(
            n_vectors=sum(len(source.vectors) for source in sources),
            n_zero=sum(source.n_zero for source in sources),
            n_nonfinite=sum(source.n_nonfinite for source in sources),
            n_pairs=sum(source.pairs.n_defined for source in sources),
            mean_abs=mean_abs,
            mean=_mean(sources),
            lower_quartile=lower,
            median=median,
            upper_quartile=upper,
        )


def _sources(weight: Array, unit_axis: int, groups: int, reading: Reading) -> list[Cosines]:
    sets = unit_vectors(weight, unit_axis=unit_axis, groups=groups, reading=reading)
    return [Cosines(vectors, within) for vectors, within in sets]


def _mean_abs_and_quartiles(sources: list[Cosines]) -> tuple[float, list[float]]:
    means, quartiles = zip(*(source.pairs.mean_abs_and_quartiles() for source in sources), strict=True)
    return float(_averaged(means)), _averaged(quartiles).tolist()


def _averaged(values: Sequence[Tensor]) -> Tensor:
    """Return the mean of each source's values, without those of sources that have no pair."""
    return values[0] if len(values) == 1 else torch.stack(tuple(values)).nanmean(dim=0)


def _mean(sources: list[Cosines]) -> float:
    means = [mean for source in sources if not math.isnan(mean := source.signed_mean())]
    return fmean(means) if means else math.nan
