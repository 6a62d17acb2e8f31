"""How well a number ranks networks by another: Kendall's rank correlation, its interval, and within single settings."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


@dataclass(frozen=True)
class Ranking:
    """How well scores rank.

    Attributes:
        tau: Kendall's τ-b over all pairs of networks: 1 same order, 0 no relation, -1 the reverse.
        interval: its 95 % bootstrap interval.
        n: networks.
    """

    tau: float
    interval: tuple[float, float]
    n: int


def kendall(scores: Sequence[float], truth: Sequence[float], *, clusters: Sequence[Hashable], seed: int = 0) -> Ranking:
    """Kendall's τ-b with a bootstrap interval, in which whole clusters are drawn.

    Args:
        scores: one for each network.
        truth: what they are to rank, likewise.
        clusters: which networks belong together, such as those that differ in their seed only: they are not
            independent, so they are drawn together.
        seed: of the bootstrap.

    Returns:
        The ranking; NaN where all scores, or all truths, are equal.

    Raises:
        ValueError: for lengths that differ, fewer than two networks, or a value that is not finite.

    Example:
        >>> kendall([1, 2, 3, 4], [1, 3, 2, 4], clusters=[0, 1, 2, 3]).tau
        0.6666666666666669
    """
    x, y = _checked(scores, truth, len(clusters))
    members: dict[Hashable, list[int]] = {}
    for index, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(index)
    groups = [np.array(group) for group in members.values()]
    generator = np.random.default_rng(seed)
    drawn = [np.concatenate([groups[i] for i in draw]) for draw in _draws(generator, len(groups))]
    return Ranking(_tau(x, y), _percentiles([_tau(x[some], y[some]) for some in drawn]), len(x))


def within_settings(
    scores: Sequence[float],
    truth: Sequence[float],
    settings: Sequence[Mapping[str, Hashable]],
    axis: str,
    *,
    seed: int = 0,
) -> Ranking:
    """The same over pairs of networks that differ in one setting only, which says whether a score follows a cause.

    A score may rank well over all networks because it knows, say, how many samples they were trained on. Here all
    other settings are the same in each pair; τ is the share of such pairs in order less that of those in reverse
    (Jiang et al. 2020, "Fantastic generalization measures", eq. 7).

    Args:
        scores: one for each network.
        truth: what they are to rank, likewise.
        settings: each network's, by name.
        axis: the setting in which the networks of a pair differ.
        seed: of the bootstrap, which draws whole sets of networks with all other settings the same.

    Raises:
        ValueError: as `kendall`, or if no two networks differ in that setting only.
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
        raise ValueError(f"each of at least two networks has one score and one truth, got {x.shape}, {y.shape} and {n}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a score or a truth is not finite; leave such networks out, and say so")
    return x, y


def _tau(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    from scipy.stats import kendalltau

    found: Any = kendalltau(x, y)
    return float(found.statistic)


def _concordance(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Pairs in order less those in reverse, and all pairs."""
    upper = np.triu_indices(len(x), 1)
    signs = np.sign(np.subtract.outer(x, x) * np.subtract.outer(y, y))[upper]
    return float(signs.sum()), float(len(signs))


def _draws(generator: np.random.Generator, n: int) -> NDArray[np.int64]:
    return generator.integers(n, size=(RESAMPLES, n))


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return math.nan, math.nan
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)
