import math

import numpy as np
import pytest
from scipy import stats

from cofire.papers.framework.claim_table import MissingRows
from cofire.papers.framework.estimates import Estimate, Share, combined, differences, interval, mean_of, shared


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(0).normal(3, 2, 7)
    mean, low, high = interval(dict(enumerate(values)))
    expected = stats.t.interval(0.95, 6, loc=values.mean(), scale=stats.sem(values))
    assert mean == pytest.approx(values.mean()) and (low, high) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("bar", [2.0, 3.5])
def test_p_values_are_scipys(bar: float) -> None:
    values = np.random.default_rng(1).normal(3, 2, 9)
    found = mean_of(dict(enumerate(values)))
    for alternative, p in (("greater", found.p_above(bar)), ("less", found.p_below(bar))):
        assert p == pytest.approx(stats.ttest_1samp(values, bar, alternative=alternative).pvalue, rel=1e-9)


@pytest.mark.parametrize(("count", "n"), [(0, 6), (3, 6), (6, 6), (11, 30)])
def test_shares_are_scipys(count: int, n: int) -> None:
    found, expected = Share(count, n), stats.binomtest(count, n)
    assert found.interval == pytest.approx(tuple(expected.proportion_ci(0.95, "exact")), abs=1e-9)
    for bar in (0.3, 0.5):
        assert found.p_above(bar) == pytest.approx(stats.binomtest(count, n, bar, alternative="greater").pvalue)
        assert found.p_below(bar) == pytest.approx(stats.binomtest(count, n, bar, alternative="less").pvalue)


def test_one_repetition_and_undefined_values_decide_nothing() -> None:
    assert mean_of({0: 5.0}).interval == (-math.inf, math.inf) and math.isnan(mean_of({0: 5.0}).p_above(0))
    assert math.isnan(mean_of({0: 5.0, 1: math.nan}).effect) and math.isnan(mean_of({}).effect)
    assert math.isnan(interval({0: math.inf})[0])


def test_equal_repetitions_are_certain() -> None:
    found = mean_of({0: 1.0, 1: 1.0})
    assert found.interval == (1, 1) and found.p_above(0.5) == 0 and found.p_above(1) == 1 and found.p_below(2) == 0


def test_an_estimate_without_freedom_limits_is_normal() -> None:
    low, high = Estimate(0.0, 1.0, math.inf, 100).interval
    assert (low, high) == pytest.approx((-1.96, 1.96), abs=1e-3)


def test_conditions_are_paired_by_seed() -> None:
    assert differences({0: 3.0, 1: 4.0}, {1: 1.0, 0: 2.0}) == {0: 1.0, 1: 3.0}
    assert combined(max, {0: 1.0}, {0: 2.0}) == {0: 2.0}
    assert shared({0: 1.0, 1: 2.0}, {1: 3.0}) == [{1: 2.0}, {1: 3.0}]
    with pytest.raises(MissingRows, match="different seeds"):
        differences({0: 3.0}, {1: 1.0})
    with pytest.raises(MissingRows, match="no conditions"):
        combined(max)
