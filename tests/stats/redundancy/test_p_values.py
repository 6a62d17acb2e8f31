"""Chance levels of a correlation against 50-digit arithmetic and simple closed forms."""

import math

import mpmath
import pytest

from cofire.stats.redundancy.p_values import chance_of_correlation, critical_correlation


@pytest.mark.parametrize("freedom", [1, 2, 8, 1000])
@pytest.mark.parametrize("r", [0.0, 1e-3, 0.01, -0.3, 0.9, 1 - 1e-12, 1.0])
def test_chance_to_fifty_digits(freedom, r):
    with mpmath.workdps(50):
        rest = (1 - mpmath.mpf(r)) * (1 + mpmath.mpf(r))
        expected = float(mpmath.betainc(mpmath.mpf(freedom) / 2, 0.5, 0, rest, regularized=True))
    assert chance_of_correlation(r, freedom=freedom) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("r", [0.0, 0.2, 0.99])
def test_two_degrees_of_freedom_are_uniform(r):
    assert chance_of_correlation(r, freedom=2) == pytest.approx(1 - r)
    assert chance_of_correlation(r, freedom=1) == pytest.approx(1 - 2 / math.pi * math.asin(r))


@pytest.mark.parametrize("freedom", [1, 2, 8, 100, 10**6])
@pytest.mark.parametrize("chance", [1e-30, 1e-9, 0.01, 0.5, 0.999])
def test_the_critical_correlation_is_the_inverse(freedom, chance):
    critical = critical_correlation(chance, freedom=freedom)
    if critical < 1 - 1e-9:  # nearer to 1 a float has no digits left for the chance
        assert chance_of_correlation(critical, freedom=freedom) == pytest.approx(chance, rel=1e-6)


def test_the_ends():
    assert critical_correlation(1.0, freedom=8) == 0 and critical_correlation(1e-300, freedom=8) == 1
    assert chance_of_correlation(0.3, freedom=0) == critical_correlation(0.5, freedom=0) == 1


@pytest.mark.parametrize("r", [1.1, -2.0, math.nan])
def test_no_correlation(r):
    with pytest.raises(ValueError, match="r must be a correlation from -1 to 1"):
        chance_of_correlation(r, freedom=8)


@pytest.mark.parametrize("chance", [0, -0.1, 1.1, math.nan])
def test_no_probability(chance):
    with pytest.raises(ValueError, match="chance must be a probability above 0"):
        critical_correlation(chance, freedom=8)
