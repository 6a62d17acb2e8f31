from dataclasses import replace
from math import nan
from xml.etree import ElementTree

import numpy as np
import pytest

from cofire.reports.charts import axes, svg
from cofire.reports.charts.figures import Chart, Line, PhaseRow
from cofire.reports.charts.histograms import Histogram
from cofire.reports.data.run_view import Series

EVIL = '"><script>alert(1)</script>&'


def chart(*values: tuple[float, ...], name: str = "fc", logarithmic: bool = False) -> Chart:
    lines = tuple(Line(f"{name}{i}", Series(tuple(range(len(v))), v), f"hue-{i % 6}") for i, v in enumerate(values))
    return Chart("nc", "NC", "", lines, Series((0,), (0.02,)), logarithmic)


def parse(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


@pytest.mark.parametrize(
    "values",
    [[(0.1, 0.2, 0.3)], [(0.1,)], [(nan, 0.1, nan)], [(nan, nan)], [(0.0, 0.0)], [(-1.0, 1.0)], [(0.1, 0.2)] * 60, []],
)
@pytest.mark.parametrize("logarithmic", [False, True])
def test_any_chart_is_well_formed_and_finite(values: list[tuple[float, ...]], logarithmic: bool) -> None:
    drawn = svg.chart(chart(*values, logarithmic=logarithmic))
    parse(drawn)
    assert "nan" not in drawn.replace("role", "") and "inf" not in drawn


def test_names_are_escaped() -> None:
    drawn = svg.chart(chart((0.1, 0.2), name=EVIL))
    assert "<script>" not in drawn
    parse(drawn)


def test_a_gap_breaks_the_line_and_a_lone_point_is_a_dot() -> None:
    drawn = parse(svg.chart(chart((0.1, 0.2, nan, 0.3))))
    (path,) = drawn.findall(".//*[@class='line']")
    assert path.attrib["d"].count("M") == 1
    assert len(drawn.findall(".//*[@class='dot']")) == 2


def test_labels_stand_apart() -> None:
    drawn = parse(svg.chart(chart(*[(0.1, 0.5 + 0.001 * i) for i in range(6)])))
    places = sorted(float(text.attrib["y"]) for text in drawn.findall(".//*[@class='name']"))
    assert len(places) == 6 and np.diff(places).min() > 13


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 1e-6), (-3, 2e5), (0.3, 0.3)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    found = axes.ticks(low, high)
    assert 1 <= len(found) <= 8
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)


@pytest.mark.parametrize("shares", [(1.0,) + (0.0,) * 49, (0.02,) * 50])
@pytest.mark.parametrize("expected", [(), (0.9, 0.1) + (0.0,) * 48])
def test_histograms_are_well_formed(shares: tuple[float, ...], expected: tuple[float, ...]) -> None:
    drawn = parse(svg.histogram(Histogram(EVIL, 100, shares, expected)))
    assert bool(drawn.findall(".//*[@class='null']")) == bool(expected)


def test_a_whisker_leaves_out_what_is_unknown() -> None:
    full = parse(svg.whisker(0.3, 0.28, 0.2, 0.35, 0.02, 0.5))
    none = parse(svg.whisker(nan, nan, nan, nan, nan, 0.0))
    assert len(full.findall(".//*[@class='interval']")) == 1
    assert not none.findall(".//*[@class='interval']") and "–" in none.attrib["aria-label"]


def test_a_diamond_marks_the_peak_of_lines_that_are_drawn_and_decorrelated() -> None:
    rows = [
        PhaseRow(0, EVIL, "hue-0", 0, 1, 3, True, True, EVIL),
        PhaseRow(1, "b", "hue-1", 0, 2, 3, True, False, ""),
        PhaseRow(1, "not drawn", "", 0, 2, 3, True, True, ""),
    ]
    figure = replace(chart((0.1, 0.4, 0.3, 0.2), (0.1, 0.2, 0.3, 0.3)), phases=tuple(rows))
    assert len(parse(svg.chart(figure)).findall(".//*[@class='peak']")) == 1


@pytest.mark.parametrize("last", [1, 2, 3, 4, 7])
def test_steps_are_marked_by_different_whole_numbers(last: int) -> None:
    drawn = parse(svg.chart(chart(tuple(0.1 * step for step in range(last + 1)))))
    frame = [float(number) for number in drawn.attrib["data-frame"].split()]
    marks = [mark for mark in drawn.findall(".//*[@class='tick']") if float(mark.attrib["y"]) == frame[3] + 16]
    told = [mark.text for mark in marks]
    assert len(set(told)) == len(told) >= 2 and all(text and text.isdecimal() for text in told)


def test_each_line_may_have_a_floor_of_its_own() -> None:
    own = [Line(name, Series((0, 1), (0.3, 0.4)), "hue-0", floor=Series((0, 1), (0.1, 0.1))) for name in "ab"]
    drawn = parse(svg.chart(Chart("nc", "NC", "", tuple(own))))
    assert len(drawn.findall(".//*[@class='own-floor']")) == 2 and not drawn.findall(".//*[@class='noise']")
    (told,) = drawn.findall(".//*[@class='floor-label']")
    assert told.text == "dotted: noise floor of each layer"
