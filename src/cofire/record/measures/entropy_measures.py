"""Measures of entropy: how freely the units of a layer vary together, by any of the estimators."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import Tensor

from ...stats.information.cautions import cautions
from ...stats.information.entropy import entropy_binned, entropy_gaussian, entropy_independence_bound, entropy_knn
from ...stats.information.entropy import total_correlation as total_correlation_of
from ...stats.kernels.embedding import entropy_embedded
from ...stats.kernels.kde import entropy_kde
from .measure import Measure
from .refusal import TRIED, cautious


@dataclass(frozen=True)
class Method:
    """An estimator of entropy: the options it takes, and the stage it is meant for."""

    statistic: Callable[..., Tensor]
    options: tuple[str, ...] = ()
    stage: Literal["pre", "post"] = "pre"


METHODS: Mapping[str, Method] = {
    "gaussian": Method(entropy_gaussian),
    "knn": Method(entropy_knn, ("n_neighbors",)),
    "knn_whitened": Method(partial(entropy_knn, whiten=True), ("n_neighbors",)),
    "kde_upper": Method(partial(entropy_kde, bound="upper"), ("variance",), "post"),
    "kde_lower": Method(partial(entropy_kde, bound="lower"), ("variance",), "post"),
    "kde_leave_one_out": Method(partial(entropy_kde, bound="leave_one_out"), ("variance",)),
    "binned": Method(entropy_binned, ("bins",), "post"),
    "independence_bound": Method(entropy_independence_bound, ("n_neighbors",)),
    "embedded": Method(entropy_embedded, ("bandwidth", "beta", "kernel", "features", "estimator")),
}


def entropy(
    method: str = "gaussian",
    *,
    sites: Any = "*",
    stage: Literal["post", "pre"] | None = None,
    every: Any = None,
    max_samples: int | None = 2000,
    **options: Any,
) -> Measure:
    """Return the measure of joint entropy of a layer's units, in nats.

    Row: ``entropy_`` and the method. It is taken before the activation function by default, because after a ReLU a unit
    has an atom at zero and no density, so its entropy is −∞. The bounds ``"kde_upper"`` and ``"kde_lower"`` (whose
    noise has a density) and ``"binned"`` (which is discrete) are taken after it.

    Nearest neighbors in 10 units and more (20 when whitened) say more about the method than about the layer. Such
    values are recorded with a `cofire.stats.HighDimensionWarning` once per site. Samples that an estimator refuses (not
    finite, or for the covariance no more samples than units) give NaN, and a `NotMeasured` warning once per site.

    Args:
        method: ``"gaussian"``, an upper bound for layers of any width; ``"knn"`` and ``"knn_whitened"``;
            ``"kde_upper"``, ``"kde_lower"`` and ``"kde_leave_one_out"``; ``"binned"``; ``"independence_bound"``;
            ``"embedded"``. The functions ``entropy_*`` of `cofire.stats` document their bias.
        sites: which layers; by default all with units of their own, see `Measure`.
        stage: before (``"pre"``) or after (``"post"``) the activation function; None: see above.
        every: when; None leaves it to the tracker.
        max_samples: see `Measure`. Bias depends on the number of samples, so don't change it during a run. Layers of
            more units than that need more for ``"gaussian"`` and ``"knn_whitened"``.
        options: options of the estimator: ``n_neighbors``, ``variance``, ``bins``, or for ``"embedded"`` ``bandwidth``,
            ``beta``, ``kernel``, ``features`` and ``estimator``.

    Raises:
        ValueError: if the method is unknown, or does not take an option or its value.

    Example:
        >>> measure = entropy("knn", n_neighbors=4)
        >>> sorted(measure.values((torch.randn(500, 2),))), measure.stage
        (['entropy_knn'], 'pre')
    """
    if method not in METHODS:
        raise ValueError(f"the method of an entropy must be one of {', '.join(METHODS)}, got {method!r}")
    chosen = METHODS[method]
    unknown = [name for name in options if name not in chosen.options]
    if unknown:
        takes = ", ".join(chosen.options) or "no option"
        raise ValueError(f"entropy by {method} takes {takes}, got {', '.join(unknown)}")
    return _measure(f"entropy_{method}", chosen.statistic, options, sites, every, stage or chosen.stage, max_samples)


def total_correlation(
    *,
    sites: Any = "*",
    stage: Literal["post", "pre"] = "pre",
    every: Any = None,
    n_neighbors: int = 3,
    whiten: bool = True,
    max_samples: int | None = 2000,
) -> Measure:
    """Return the measure of total correlation: dependence of every order between the units of a layer, in nats.

    Row: ``total_correlation``; the cautions of `entropy` apply. For more than a few units use `dependence`, which goes
    pair by pair.

    Args:
        sites: which layers; by default all with units of their own, see `Measure`.
        stage: before the activation function by default; the statistic refuses units with an atom.
        every: when; None leaves it to the tracker.
        n_neighbors: see `cofire.stats.total_correlation`.
        whiten: see `cofire.stats.total_correlation`.
        max_samples: see `entropy`.

    Example:
        >>> measure = total_correlation()
        >>> shared = torch.randn(1000, 1)
        >>> measure.values((shared + 0.5 * torch.randn(1000, 3),))["total_correlation"] > 1
        True
    """
    options = {"n_neighbors": n_neighbors, "whiten": whiten}
    return _measure("total_correlation", total_correlation_of, options, sites, every, stage, max_samples)


def _measure(
    name: str,
    statistic: Callable[..., Tensor],
    options: Mapping[str, Any],
    sites: Any,
    every: Any,
    stage: Literal["pre", "post"],
    max_samples: int | None,
) -> Measure:
    some = torch.randn(TRIED, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with cautions():
        statistic(some, **options)  # options that no samples could satisfy are refused now, not during training
    return Measure(_recorded(name, statistic), options, sites, every, stage=stage, name=name, max_samples=max_samples)


@cache  # one function per statistic, so that two measures that record the same are seen to do so
def _recorded(name: str, statistic: Callable[..., Tensor]) -> Callable[..., Any]:
    return lambda x, **options: cautious(lambda samples: {name: statistic(samples, **options)}, [name], x)
