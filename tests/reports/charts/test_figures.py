from math import nan

import pytest

from cofire.reports.charts import svg
from cofire.reports.charts.figures import Chart, Line, charts, chosen_layers, is_geometric, shade, side_by_side
from cofire.reports.data.run_view import Layer, Series, View
from cofire.reports.data.trends import phases_of

from ..layers import layer


def test_only_recorded_quantities_are_charted_each_layer_in_one_color() -> None:
    first = Layer("a", {"nc": Series((0, 1), (0.1, 0.2)), "wc": Series((0, 1), (0.1, 0.1))})
    second = Layer("b", {"nc": Series((0, 1), (0.3, 0.2))})
    before = Layer("b:pre", {"nc": Series((0,), (0.1,))})
    drawn = {chart.key: chart for chart in charts(View("run", (first, second, before)))}
    assert list(drawn) == ["nc", "nc-pre", "wc"]
    assert [line.name for line in drawn["nc"].lines] == ["a", "b"]
    assert drawn["nc-pre"].lines[0].shade == drawn["nc"].lines[1].shade


def test_what_was_recorded_before_the_activation_alone_has_the_title_to_itself() -> None:
    before = Layer("a:pre", {"entropy_gaussian": Series((0, 1), (-900.0, -880.0))})
    (drawn,) = charts(View("run", (before,)))
    assert drawn.key == "entropy_gaussian-pre" and drawn.title == "Entropy, as if normal"
    assert drawn.note.endswith("Measured before the activation function.") and drawn.lines[0].name == "a"
    assert -905 < drawn.domain[0] < -900 and -880 < drawn.domain[1] < -875  # its 0 means nothing


def test_the_dependence_score_is_drawn_over_what_independent_units_give() -> None:
    layer = Layer("a", {"dependence": Series((0, 1), (0.1, 0.2)), "dependence_threshold": Series((0, 1), (0.01, 0.02))})
    (drawn,) = charts(View("run", (layer,)))
    assert drawn.floor == Series((0, 1), (0.01, 0.02)) and drawn.floor_name == "independent units"
    assert drawn.domain[0] == 0


def test_a_quantity_of_the_users_own_is_charted_and_known_side_quantities_are_not() -> None:
    names = ("sparsity", "nc", "n_units_seen", "nc_unit_error", "nc_rms")
    drawn = charts(View("run", (Layer("a", {name: Series((0, 1), (-0.1, 0.2)) for name in names}),)))
    assert [(chart.key, chart.title) for chart in drawn] == [("nc", "Neuronal correlation"), ("sparsity", "sparsity")]
    assert drawn[1].domain[0] < -0.1


def test_a_quantity_that_is_nowhere_defined_has_no_chart() -> None:
    assert charts(View("run", (Layer("a", {"nc": Series((0, 1), (nan, nan))}),))) == []


def with_floors(*floors: float) -> View:
    """Layers whose floors are those at first, and half of that at the second step, of more samples."""
    return View(
        "run",
        tuple(
            Layer(str(index), {"nc": Series((0, 1), (0.5, 0.5)), "nc_noise_floor": Series((0, 1), (floor, floor / 2))})
            for index, floor in enumerate(floors)
        ),
    )


def test_floors_that_are_alike_are_one_the_highest() -> None:
    chart = charts(with_floors(0.09, 0.1, nan))[0]
    assert chart.floor == Series((0, 1), (0.1, 0.05))
    assert not any(line.floor.steps for line in chart.lines)


def test_where_floors_differ_each_layer_has_its_own() -> None:
    """Or a layer of many positions would be drawn within the noise of one with few samples."""
    chart = charts(with_floors(0.02, 0.1, nan))[0]
    assert not chart.floor.steps
    assert [line.floor.values for line in chart.lines][:2] == [(0.02, 0.01), (0.1, 0.05)]


def test_training_scalars_are_grouped() -> None:
    training = {name: Series((0, 1), (1.0, 0.5)) for name in ("accuracy", "test_accuracy", "loss", "penalty")}
    drawn = charts(View("run", training=training))
    assert [(chart.title, [line.name for line in chart.lines]) for chart in drawn] == [
        ("Accuracy", ["training", "test"]),
        ("Loss", ["training"]),
        ("penalty", ["penalty"]),
    ]


def test_the_domain_holds_all_values_and_the_floor() -> None:
    line = Line("a", Series((0, 1), (-0.5, 0.2)), "hue-0")
    low, high = Chart("k", "t", "n", (line,), Series((0,), (0.4,))).domain
    assert low == -0.5 and high > 0.4


def many() -> View:
    """Layers whose correlation rises the more, the deeper they are; that of the tenth falls."""
    courses = [[0.1, 0.1 + 0.01 * place] for place in range(60)]
    courses[9] = [0.5, 0.05]
    return View("run", tuple(layer(f"blocks.{place}.fc", course) for place, course in enumerate(courses)))


def test_of_many_layers_the_most_telling_are_drawn_over_the_range_of_all() -> None:
    view = many()
    chosen = chosen_layers([view])
    assert len(chosen) == 6 and {"blocks.0.fc", "blocks.9.fc", "blocks.59.fc"} <= set(chosen)
    (chart,) = [chart for chart in charts(view) if chart.key == "nc"]
    assert [line.site for _, line in chart.drawn] == chosen and len(chart.lines) == 60
    assert [line.shade for _, line in chart.drawn] == [shade(place) for place in range(6)]
    assert chart.band == [(0, 0.1, 0.5), (100, 0.05, 0.1 + 0.01 * 59)]
    drawn = str(svg.chart(chart))
    assert drawn.count('class="line"') == 6 and drawn.count('class="band"') == 1


def test_few_layers_are_all_drawn_without_a_band() -> None:
    (chart,) = [chart for chart in charts(View("run", many().layers[:8])) if chart.key == "nc"]
    assert len(chart.drawn) == 8 and chart.band == [] and len({line.shade for _, line in chart.drawn}) == 8


def test_layers_without_a_correlation_are_drawn_too() -> None:
    view = View("run", tuple(Layer(str(place), {"wc": Series((0, 1), (0.1, 0.2))}) for place in range(20)))
    (chart,) = charts(view)
    assert len(chart.drawn) == 6


@pytest.mark.parametrize(
    ("steps", "logarithmic"),
    [
        ([0, 1, 2, 4, 8], True),
        ([1, 10, 100, 1000], True),
        ([0, *(int(1.1**power) + power for power in range(60))], True),
        ([0], False),
        ([5, 5000], False),
        (list(range(0, 5000, 250)), False),
        ([100, 200, 300, 450, 600], False),
        ([0, 0, 0, 0], False),
    ],
)
def test_geometric_steps_have_a_logarithmic_axis(steps: list[int], logarithmic: bool) -> None:
    assert is_geometric(steps) == logarithmic


def test_charts_of_several_runs_share_axes_and_colors() -> None:
    long = View("a", (layer("fc", [0.1, 0.2, 0.3]), layer("b", [0.2, 0.2, 0.2])))
    short = View("b", (layer("b", [0.9, 0.6]),), {"loss": Series((0, 1), (1.0, 0.5))})
    groups = {group.key: group for group in side_by_side([long, short])}
    first, second = groups["nc"].charts
    assert first is not None and second is not None
    assert first.domain == second.domain and first.domain[1] > 0.9
    assert first.ends == second.ends == (0, 200)
    assert first.lines[1].shade == second.lines[0].shade
    assert groups["loss"].charts[0] is None


def test_all_charts_have_the_same_axis_of_steps_and_the_same_room_for_names() -> None:
    crowded = tuple(2**power for power in range(11))
    run = View(
        "run",
        (Layer("a-long-name", {"nc": Series(crowded, tuple(0.1 for _ in crowded)), "wc": Series((0,), (0.2,))}),),
        {"loss": Series((100, 2000), (1.0, 0.5))},
    )
    drawn = [chart for group in side_by_side([run]) for chart in group.charts if chart]
    assert [chart.key for chart in drawn] == ["nc", "wc", "loss"]
    assert {(chart.ends, chart.logarithmic) for chart in drawn} == {((0, 2000), True)}
    assert len({_frame(chart) for chart in drawn}) == 1 < len({_frame(chart) for chart in charts(run)})


def _frame(chart: Chart) -> str:
    return str(svg.chart(chart)).split('data-frame="')[1].split('"')[0]


def test_phases_are_marked_where_they_can_be_told() -> None:
    course = [0.10, 0.15, 0.22, 0.30, 0.33, 0.30, 0.26, 0.22, 0.20, 0.19]
    chart = charts(View("run", (layer("short", course[:3]), layer("fc", course))))[0]
    (found,) = chart.phases
    assert (found.name, found.line, found.peak) == ("fc", 1, 400)
    assert found.description == str(phases_of(layer("fc", course)))
