"""The vectors that the searches are written with, against numpy."""

# numba's intrinsics take one argument less than they are written with.
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false

import numpy as np
import pytest
from numba import njit

from cofire.stats.information.engine import simd as lanes
from cofire.stats.information.engine import simd_memory as moves

SPECIAL = [0.0, -0.0, np.inf, -np.inf, 3e38, -3e38, 1e-45, -1e-45]


@njit
def combined(a, b, out):
    first, second = moves.load(a, 0), moves.load(b, 0)
    moves.store(out, 0, lanes.largest(first, second))
    return (lanes.lowest_difference(first, second), lanes.highest_sum(first, second), lanes.count_below(first, second))


@njit
def one_infinite(out, lane):
    moves.store(out, 0, moves.infinite_in(out, lane))


@njit
def there_and_back(a, out, three):
    moves.store_each(out, 0, moves.load_each(a, 0, three))


@pytest.fixture(params=[np.float32, np.float64])
def number(request):
    return request.param


@pytest.fixture
def width(number):
    return 64 // number().itemsize


def vectors(number, width, seed):
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(2, width)) * 10.0 ** rng.integers(-30, 30, size=(2, width))
    return drawn.astype(number)


@pytest.mark.parametrize("seed", range(20))
def test_numbers(number, width, seed):
    (a, b), out = vectors(number, width, seed), np.empty(width, number)
    lowest, highest, count = combined(a, b, out)
    np.testing.assert_array_equal(out, np.maximum(abs(a), abs(b)))
    assert (lowest, highest, count) == ((a - b).min(), (a + b).max(), (a < b).sum())


def test_special_numbers(number, width):
    a = np.resize(np.array(SPECIAL, number), width)
    for shift in range(len(SPECIAL)):
        b, out = np.roll(a, shift), np.empty(width, number)
        lowest, highest, count = combined(a, b, out)
        np.testing.assert_array_equal(out, np.maximum(abs(a), abs(b)))
        with np.errstate(invalid="ignore", over="ignore"):
            differences, sums = a - b, a + b
        assert lowest == np.nanmin(np.append(differences, np.inf))
        assert highest == np.nanmax(np.append(sums, -np.inf))
        assert count == (a < b).sum()


def test_lanes_without_a_number_are_left_out(number, width):
    a, b = np.full((2, width), np.inf, number)
    a[1], b[1] = 3, 1
    lowest, highest, _ = combined(a, b, np.empty(width, number))
    assert (lowest, highest) == (2, np.inf)


def test_infinity_in_each_lane(number, width):
    for lane in range(width):
        out = np.empty(width, number)
        one_infinite(out, lane)
        assert (np.isinf(out) == (np.arange(width) == lane)).all()
        assert np.isin(out, [0, np.inf]).all()


def test_several_vectors(number, width):
    a = np.arange(4 * width).astype(number)
    out = np.zeros_like(a)
    there_and_back(a, out, (number(0),) * 3)
    np.testing.assert_array_equal(out[: 3 * width], a[: 3 * width])
    assert (out[3 * width :] == 0).all()
