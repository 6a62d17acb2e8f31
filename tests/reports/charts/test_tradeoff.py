"""The figure of costs by size: the whole network at the left, unknown values left out."""

import re
from math import nan

from cofire.reports.charts.tradeoff import Mark, Tradeoff, tradeoff
from cofire.reports.data.formatting import percent


def figure(*marks: Mark) -> Tradeoff:
    return Tradeoff("Error", "of the outputs", marks, percent)


def dots(svg: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle class="dot" cx="([\d.]+)" cy="([\d.]+)"', svg)]


def test_smaller_networks_are_further_right_and_larger_errors_higher():
    svg = tradeoff(figure(Mark("predicted", "hue-0", ((0.5, 0.2), (1.0, 0.0), (0.7, 0.1)))))
    xs, ys = zip(*dots(svg), strict=True)
    assert list(xs) == sorted(xs) and list(ys) == sorted(ys, reverse=True)
    assert ">100 %</text>" in svg and ">50 %</text>" in svg and svg.count('class="line"') == 1


def test_points_that_are_unknown_are_left_out():
    mark = Mark("measured", "hue-1", ((0.9, nan), (0.5, 0.2)), joined=False)
    svg = tradeoff(figure(mark, Mark("nothing", "hue-2", ((0.9, nan),))))
    assert len(dots(svg)) == 1 and 'class="line"' not in svg and ">nothing<" not in svg
    assert figure(mark).alternative == "Error by the share that stays. measured: 20 % at 50 %."


def test_the_axis_ends_where_the_smallest_network_is():
    assert figure(Mark("a", "hue-0", ((0.296, 0.1),))).shares == (1.0, 0.3)
    assert figure(Mark("a", "hue-0", ((0.97, 0.1),))).shares == (1.0, 0.9)
    assert figure(Mark("a", "hue-0", ((0.02, 0.1),))).shares == (1.0, 0.0)


def test_equal_values_have_an_axis():
    low, high = Tradeoff("Score", "", (Mark("s", "hue-0", ((1.0, 0.9), (0.5, 0.9))),), percent, False).values
    assert low < 0.9 < high


def test_names_are_escaped():
    svg = tradeoff(figure(Mark("<b>", "hue-0", ((0.5, 0.2),))))
    assert "<b>" not in svg and "&lt;b&gt;" in svg
