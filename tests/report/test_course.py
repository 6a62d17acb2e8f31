from math import nan

import pytest

from cofire.report.course import correlation_at, direction
from cofire.report.view import Layer, Series

from .layers import layer


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
