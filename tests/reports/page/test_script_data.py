import json
from math import inf, nan

import numpy as np

from cofire.reports.charts.figures import Chart, Line
from cofire.reports.charts.histograms import histograms
from cofire.reports.charts.pair_maps import pairs_of_layers
from cofire.reports.data.run_view import Layer, Series, View
from cofire.reports.page.script_data import chart_data, page_data


def data_of(view: View) -> dict:
    """As the browser gets it."""
    found = page_data([view], [pairs_of_layers(view.layers)], [histograms(view.layers)])
    return json.loads(json.dumps(found, allow_nan=False))["runs"][0]


def test_lists_of_steps_are_held_once() -> None:
    one, other = Series((0, 5), (0.1234567, nan)), Series((0, 5, 9), (inf, 2.0, 1e9))
    run = data_of(View("run", (Layer("a", {"nc": one, "wc": other}), Layer("b", {"nc": one})), {"loss": one}))
    assert run["grids"] == [[0, 5], [0, 5, 9]] and run["last"] == 9
    assert run["layers"][0]["series"] == {"nc": [0, [0.12346, None]], "wc": [1, [None, 2, 1000000000]]}
    assert run["layers"][1]["series"]["nc"][0] == run["training"]["loss"][0] == 0


def test_what_the_page_does_not_show_is_left_out() -> None:
    run = data_of(View("run", (Layer("a", {"nc": Series((0,), (0.1,)), "nc_rms": Series((0,), (0.2,))}),)))
    assert list(run["layers"][0]["series"]) == ["nc"]


def test_copies_are_counted_at_each_recording() -> None:
    pairs = {0: np.zeros((0, 3)), 4: np.array([[0, 1, 1.0], [1, 2, 1.0]])}
    run = data_of(View("run", (Layer("a", {}, {"duplicates": pairs[4]}, {"duplicates": pairs}),)))
    assert run["layers"][0]["series"]["copy_pairs"] == [0, [0, 2]] and run["grids"] == [[0, 4]]


def test_pairs_and_spreads_refer_to_their_layer() -> None:
    arrays = {"correlation": np.eye(3), "histogram": np.array([2, 1])}
    layers = (Layer("a"), Layer("b", {"nc": Series((7,), (0.1,))}, arrays))
    run = data_of(View("run", layers))
    (pairs,), (spread,) = run["pairs"], run["spreads"]
    assert pairs["layer"] == spread["layer"] == 1 and pairs["sample"] is None
    assert pairs["maps"]["correlation"]["steps"] == spread["steps"] == [7] and spread["counts"] == [[2, 1]]


def test_a_chart_says_where_its_lines_are_found() -> None:
    series = Series((0, 10), (0.1, 0.2))
    chart = Chart("nc", "NC", "", (Line("b", series, "hue-0", "b", "nc"), Line("test", series, "hue-1", "", "loss")))
    data = chart_data(chart, 1, {"a": 0, "b": 1})
    assert [(line["layer"], line["measure"]) for line in data["lines"]] == [(1, "nc"), (-1, "loss")]
    assert data["run"] == 1 and data["steps"] == (0, 10)
