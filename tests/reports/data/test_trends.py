from math import nan

import pytest

from cofire.reports.data.run_view import Layer, Series
from cofire.reports.data.trends import above_noise_since, correlation_at, direction, phases_of, present_level_since

from ..layers import layer


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ([0.1, 0.2, 0.4], "rose"),
        ([0.4, 0.2, 0.1], "fell"),
        ([0.1, 0.5, 0.3], "peaked"),
        ([0.1, 0.12, 0.11], "steady"),
        ([0.1, nan, 0.4], "rose"),
        ([nan, nan], "steady"),
        ([0.3], "steady"),
        ([], "steady"),
    ],
)
def test_the_course_of_training(course: list[float], expected: str) -> None:
    assert direction(layer(nc=course)) == expected


def test_a_change_within_the_intervals_is_none() -> None:
    assert direction(layer(nc=[0.1, 0.3], width=0.15)) == "steady"


def test_without_a_debiased_value_the_raw_one_stands_and_without_an_interval_it_is_a_point() -> None:
    found = correlation_at(Layer("fc", {"nc": Series((0,), (0.5,))}), -1)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("course", "noise", "level"),
    [
        ([0.0, 0.3, 0.5, 0.5], 100, 200),
        ([0.3, 0.0, 0.5, 0.505], 200, 200),
        ([0.3, nan, 0.3], 0, 0),
        ([0.3, 0.3, 0.0], None, 200),
        ([nan], None, None),
        ([], None, None),
    ],
)
def test_since_when_it_is_above_noise_and_at_its_level(
    course: list[float], noise: int | None, level: int | None
) -> None:
    assert (above_noise_since(layer(nc=course)), present_level_since(layer(nc=course))) == (noise, level)


def test_without_an_interval_the_noise_floor_tells() -> None:
    series = {"nc": Series((0, 5), (0.02, 0.1)), "nc_noise_floor": Series((0, 5), (0.03, 0.03))}
    assert above_noise_since(Layer("fc", series)) == 5


def test_phases_need_recordings_enough_to_tell_noise() -> None:
    course = [0.10, 0.15, 0.22, 0.30, 0.33, 0.30, 0.26, 0.22, 0.20, 0.19]
    found = phases_of(layer(nc=[*course, nan]))
    assert found is not None and (found.start, found.peak, found.end) == (0, 400, 900)
    assert phases_of(layer(nc=course[:7])) is None
