"""Rank correlation: against counting pairs, within settings, and with intervals that hold."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from cofire.papers.framework.ranking import _taus, kendall, tau_b, within_settings


def counted(x, y):
    """τ-b, pair by pair."""
    in_order, x_tied, y_tied, pairs = 0, 0, 0, 0
    for (a, b), (c, d) in combinations(list(zip(x, y, strict=True)), 2):
        in_order += int(np.sign((a - c) * (b - d)))
        x_tied, y_tied, pairs = x_tied + (a == c), y_tied + (b == d), pairs + 1
    return in_order / math.sqrt((pairs - x_tied) * (pairs - y_tied))


def test_tau_against_counting_with_ties():
    generator = np.random.default_rng(0)
    x, y = generator.integers(5, size=30).astype(float), generator.normal(size=30)
    found = kendall(x, y, clusters=range(30))
    assert found.tau == pytest.approx(counted(x, y))
    assert found.n == 30
    assert found.interval[0] < found.tau < found.interval[1]


def test_order_and_reverse_are_certain():
    x = list(range(12))
    assert kendall(x, x, clusters=x).interval == pytest.approx((1, 1))
    assert kendall(x, x[::-1], clusters=x).tau == pytest.approx(-1)


def test_the_interval_covers_what_is_true():
    # of bivariate normals τ is 2/π asin(ρ)
    truth, covered = 2 / math.pi * math.asin(0.6), 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        x = generator.normal(size=60)
        y = 0.6 * x + 0.8 * generator.normal(size=60)
        low, high = kendall(x, y, clusters=range(60), seed=seed).interval
        covered += low <= truth <= high
    assert covered >= 33  # 38 of 40 are expected; fewer than 33 have a chance below 1 %


def test_copies_of_one_network_are_no_evidence():
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(2, 15))
    once = kendall(x, y, clusters=range(15))
    copied = kendall(np.repeat(x, 6), np.repeat(y, 6), clusters=np.repeat(range(15), 6).tolist())
    naive = kendall(np.repeat(x, 6), np.repeat(y, 6), clusters=range(90))

    def width(found):
        return found.interval[1] - found.interval[0]

    assert width(copied) == pytest.approx(width(once), rel=0.1)
    assert width(naive) < 0.6 * width(once)


def test_within_settings_a_confounder_ranks_nothing():
    # the score knows the number of samples, and nothing of what the width does
    settings = [{"n": n, "width": width, "seed": seed} for n in (1, 2) for width in (1, 2, 3) for seed in range(4)]
    truth = [-10 * one["n"] + one["width"] for one in settings]
    score = [-10 * one["n"] - one["width"] for one in settings]
    assert kendall(score, truth, clusters=range(24)).tau > 0
    assert within_settings(score, truth, settings, "width").tau == -1
    assert within_settings(score, truth, settings, "width").interval == (-1, -1)
    assert within_settings(score, truth, settings, "n").tau == 1


def test_within_settings_against_counting():
    generator = np.random.default_rng(2)
    settings = [{"a": a, "b": b, "seed": 0} for a in range(4) for b in range(5)]
    x, y = generator.normal(size=(2, 20))
    signs = [
        np.sign((x[i] - x[j]) * (y[i] - y[j]))
        for i, j in combinations(range(20), 2)
        if settings[i]["b"] == settings[j]["b"]
    ]
    assert within_settings(x, y, settings, "a").tau == pytest.approx(np.mean(signs))


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [([1.0], [1.0], "at least two"), ([1.0, 2.0], [1.0], "got"), ([1.0, math.nan], [1.0, 2.0], "not finite")],
)
def test_what_cannot_be_ranked_is_said(scores, truth, message):
    with pytest.raises(ValueError, match=message):
        kendall(scores, truth, clusters=range(len(scores)))


def test_no_pair_within_a_setting_is_said():
    with pytest.raises(ValueError, match="differ in 'a' only"):
        within_settings([1, 2], [1, 2], [{"a": 0, "b": 0}, {"a": 1, "b": 1}], "a")


def test_equal_scores_rank_nothing():
    assert math.isnan(kendall([1, 1, 1], [1, 2, 3], clusters=range(3)).tau)


@pytest.mark.parametrize("seed", range(5))
def test_tau_is_scipys_with_ties_and_in_resamples(seed):
    generator = np.random.default_rng(seed)
    x, y = generator.integers(6, size=(2, 30)).astype(float)
    assert tau_b(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    drawn = generator.integers(30, size=(40, 30))
    times = np.stack([np.bincount(draw, minlength=30) for draw in drawn])
    expected = [stats.kendalltau(x[draw], y[draw]).statistic for draw in drawn]
    np.testing.assert_allclose(_taus(x, y, times), expected, atol=1e-12)
    assert np.isnan(tau_b(x, np.ones(30)))
