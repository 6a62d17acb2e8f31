"""Student's t against closed forms and 50-digit arithmetic."""

import math

import mpmath
import pytest

from cofire.stats._base.student_t import student_quantile, student_tail

LEVELS = [0.025, 0.3, 0.5, 0.9, 0.975, 0.9999]


@pytest.mark.parametrize("level", LEVELS)
def test_one_and_two_degrees_of_freedom_have_a_closed_form(level):
    assert student_quantile(level, 1) == pytest.approx(math.tan(math.pi * (level - 0.5)), rel=1e-9, abs=1e-12)
    of_two = (2 * level - 1) / math.sqrt(2 * level * (1 - level))
    assert student_quantile(level, 2) == pytest.approx(of_two, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.7062), (2, 4.3027), (10, 2.2281), (30, 2.0423), (10**6, 1.96)]
)
def test_the_95_percent_points_of_the_tables(freedom, expected):
    assert student_quantile(0.975, freedom) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 10, 29, 500])
@pytest.mark.parametrize("t", [-3.0, -0.5, 0.0, 0.7, 2.0, 8.0, 100.0])
def test_the_tail_to_fifty_digits(freedom, t):
    with mpmath.workdps(50):
        two_sided = mpmath.betainc(freedom / 2, 0.5, 0, freedom / (freedom + mpmath.mpf(t) ** 2), regularized=True)
        expected = float(two_sided / 2 if t > 0 else 1 - two_sided / 2)
    assert student_tail(t, freedom) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("freedom", [1, 5, 100])
def test_tail_and_quantile_are_inverse(level, freedom):
    assert student_tail(student_quantile(level, freedom), freedom) == pytest.approx(1 - level, rel=1e-8)
