import math

import numpy as np
import pytest
from scipy import stats

from cofire.papers.framework.claim_table import MissingRows
from cofire.papers.framework.verdicts import Verdict, all_of, combined, decide, differences, interval, student


@pytest.mark.parametrize("freedom", [1, 2, 9, 10, 11, 15, 30, 999])
def test_student_is_scipys(freedom: int) -> None:
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=2e-4)


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(0).normal(3, 2, 7)
    mean, low, high = interval(dict(enumerate(values)))
    expected = stats.t.interval(0.95, 6, loc=values.mean(), scale=stats.sem(values))
    assert mean == pytest.approx(values.mean()) and (low, high) == pytest.approx(expected, rel=1e-4)


def test_a_verdict_needs_the_whole_interval_on_one_side() -> None:
    assert decide({0: 1.0, 1: 1.1, 2: 0.9}, above=0).reproduced
    assert decide({0: 1.0, 1: 1.1, 2: 0.9}, above=1).outcome == "inconclusive"
    assert decide({0: 1.0, 1: 1.1, 2: 0.9}, above=2).outcome == "not reproduced"
    assert decide({0: 1.0, 1: 1.1, 2: 0.9}, below=0).outcome == "not reproduced"
    assert decide({0: 1.0, 1: 1.1, 2: 0.9}, above=0.5, below=1.5).reproduced
    assert decide({0: 1.0, 1: 1.1, 2: 0.9}, above=0.9, below=1.5).outcome == "inconclusive"


def test_nothing_passes_without_seeds_or_numbers() -> None:
    one = decide({0: 5.0}, above=0)
    assert one.outcome == "inconclusive" and one.effect == 5 and "one seed" in one.note
    assert decide({}, above=0).outcome == "inconclusive"
    assert "not finite" in decide({0: 5.0, 1: math.nan}, above=0).note
    assert decide({0: math.inf, 1: math.inf}, above=0).outcome == "inconclusive"


def test_equal_seeds_have_an_interval_of_no_width() -> None:
    assert decide({0: 1.0, 1: 1.0}, above=0).interval == (1, 1)
    assert decide({0: 0.0, 1: 0.0}, above=0).outcome == "not reproduced"


def test_a_claim_that_cannot_fail_is_refused() -> None:
    with pytest.raises(ValueError, match="give above, below or both"):
        decide({0: 1.0})


def test_several_parts_are_as_good_as_the_worst() -> None:
    good, strong = (decide({0: x, 1: x + 0.1}, above=0, note="gap") for x in (2.0, 50.0))
    open_, bad = decide({0: -1.0, 1: 1.0}, above=0), decide({0: -2.0, 1: -2.1}, above=0)
    assert all_of({"a": strong, "b": good}).effect == good.effect
    assert all_of({"a": good, "b": open_}).outcome == "inconclusive"
    found = all_of({"a": good, "b": open_, "c": bad})
    assert found.outcome == "not reproduced" and found.effect == bad.effect and "1 of 3 parts" in found.note
    with pytest.raises(ValueError, match="at least one part"):
        all_of({})


def test_seeds_are_paired() -> None:
    assert differences({1: 3.0, 0: 5.0}, {0: 1.0, 1: 1.0}) == {1: 2.0, 0: 4.0}
    assert combined(max, {0: 1.0}, {0: 3.0}, {0: 2.0}) == {0: 3.0}
    with pytest.raises(MissingRows, match="no conditions"):
        combined(max)
    with pytest.raises(MissingRows, match="different seeds"):
        differences({0: 1.0}, {1: 1.0})


def test_what_does_not_count_keeps_its_numbers() -> None:
    verdict = Verdict("reproduced", 1.0, (0.5, 1.5), 3).but("2 tasks are missing")
    assert verdict.outcome == "inconclusive" and verdict.effect == 1 and verdict.note == "2 tasks are missing"
