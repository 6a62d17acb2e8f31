"""Kendall's rank correlation of two numbers over networks, with its interval, overall and within single settings."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


@dataclass(frozen=True)
class Ranking:
    """Agreement of two orders of networks.

    Attributes:
        tau: Kendall's τ over pairs of networks: 1 same order, 0 no relation, -1 reverse order.
        interval: 95 % bootstrap interval of τ.
        n: number of networks.
    """

    tau: float
    interval: tuple[float, float]
    n: int


def kendall(scores: Sequence[float], truth: Sequence[float], *, clusters: Sequence[Hashable], seed: int = 0) -> Ranking:
    """Compute Kendall's τ-b with a bootstrap interval that resamples whole clusters.

    Args:
        scores: one score per network.
        truth: the number that the scores should rank, one per network.
        clusters: label of each network's cluster. Networks that differ only in their seed are not independent, so
            they share a label and are drawn together.
        seed: random seed for the bootstrap.

    Returns:
        The ranking; NaN if all scores, or all truths, are equal.

    Raises:
        ValueError: for different lengths, fewer than two networks, or a value that is not finite.

    Example:
        >>> round(kendall([1, 2, 3, 4], [1, 3, 2, 4], clusters=[0, 1, 2, 3]).tau, 4)
        0.6667
    """
    x, y = _checked(scores, truth, len(clusters))
    members: dict[Hashable, list[int]] = {}
    for index, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(index)
    belongs = np.zeros((len(members), len(x)))
    for cluster, group in enumerate(members.values()):
        belongs[cluster, group] = 1
    draws = _draws(np.random.default_rng(seed), len(members))
    times = np.stack([np.bincount(draw, minlength=len(members)) for draw in draws]) @ belongs
    return Ranking(tau_b(x, y), _percentiles(_taus(x, y, times).tolist()), len(x))


def within_settings(
    scores: Sequence[float],
    truth: Sequence[float],
    settings: Sequence[Mapping[str, Hashable]],
    axis: str,
    *,
    seed: int = 0,
) -> Ranking:
    """Compare only networks that differ in one setting, to see whether a score follows a cause.

    A score may rank well over all networks because it reflects, for instance, the number of training samples. Here
    all other settings of a pair are equal; τ is the share of pairs in the same order minus the share in reverse order.

    Args:
        scores: one score per network.
        truth: the number that the scores should rank, one per network.
        settings: each network's settings, by name.
        axis: the setting in which the networks of a pair differ.
        seed: random seed for the bootstrap, which resamples sets of networks that share all other settings.

    Raises:
        ValueError: as `kendall`, or if no two networks differ in that setting only.

    References:
        Jiang et al. 2020, "Fantastic generalization measures", eq. 7.
    """
    x, y = _checked(scores, truth, len(settings))
    contexts: dict[Hashable, list[int]] = {}
    for index, one in enumerate(settings):
        others = tuple(sorted((name, value) for name, value in one.items() if name != axis))
        contexts.setdefault(others, []).append(index)
    counts = [_concordance(x[group], y[group]) for group in contexts.values()]
    signs = np.array([count for count in counts if count[1]])
    if not len(signs):
        raise ValueError(f"no two networks differ in {axis!r} only")
    drawn = [signs[draw].sum(0) for draw in _draws(np.random.default_rng(seed), len(signs))]
    total = signs.sum(0)
    return Ranking(total[0] / total[1], _percentiles([some[0] / some[1] for some in drawn]), len(x))


def _checked(
    scores: Sequence[float], truth: Sequence[float], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    if x.shape != y.shape or x.shape != (n,) or n < 2:
        raise ValueError(
            f"at least two networks need one score and one truth each, got shapes {x.shape}, {y.shape} for {n} networks"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a score or a truth is not finite; leave out such networks and report their number")
    return x, y


def tau_b(x: Sequence[float] | NDArray[np.float64], y: Sequence[float] | NDArray[np.float64]) -> float:
    """Compute Kendall's τ-b; NaN if all numbers on one side are equal."""
    return float(_taus(np.asarray(x, np.float64), np.asarray(y, np.float64), np.ones((1, len(x))))[0])


def _taus(x: NDArray[np.float64], y: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute τ-b of samples in which each pair of numbers is repeated, given how often, shape (n_samples, n)."""
    first, second = (np.sign(np.subtract.outer(one, one)) for one in (x, y))

    def total(signs: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((times @ signs) * times).sum(1)

    with np.errstate(invalid="ignore"):
        return total(first * second) / np.sqrt(total(np.abs(first)) * total(np.abs(second)))


def _concordance(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Return the number of pairs in the same order minus those in reverse order, and the number of all pairs."""
    signs = np.sign(np.subtract.outer(x, x) * np.subtract.outer(y, y))[np.triu_indices(len(x), 1)]
    return float(signs.sum()), float(len(signs))


def _draws(generator: np.random.Generator, n: int) -> NDArray[np.int64]:
    return generator.integers(n, size=(RESAMPLES, n))


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    # τ is NaN in a resample of equal scores or truths.
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return math.nan, math.nan
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)
