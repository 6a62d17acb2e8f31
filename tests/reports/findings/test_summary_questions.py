from math import nan

import pytest

from cofire.reports.data.run_view import Layer, Series, View
from cofire.reports.findings.summary_questions import overview, several

from ..layers import layer


def answers(*layers: Layer, others: tuple[View, ...] = ()) -> dict[str, str]:
    return {one.question: one.answer for one in overview(View("run", layers, outputs=frozenset(["out"])), others)}


def points(view: View, question: str, *others: View) -> tuple[tuple[str, str], ...]:
    return next(one.points for one in overview(view, others) if one.question == question)


def test_four_questions_are_answered_of_the_hidden_layers() -> None:
    found = answers(layer("fc", [0.1, 0.3, 0.4, 0.4]), layer("b", [0.02, 0.02, 0.02, 0.02]), layer("out", [0.9] * 4))
    assert found == {
        "How redundant?": "0.21",
        "Where?": "fc",
        "Since when?": "since step 200",
        "Compared with what?": "4.0 × its start",
    }


def test_nothing_is_answered_where_no_correlation_is_known() -> None:
    assert overview(View("run")) == []
    assert overview(View("run", (Layer("fc", {"wc": Series((0,), (0.1,))}),))) == []
    assert overview(View("run", (layer(nc=[nan]),))) == []


def test_a_layer_that_noise_explains_is_told_as_such() -> None:
    found = answers(layer("fc", [0.005]))
    assert found["Where?"] == "in no layer clearly" and found["Since when?"] == "not above noise"
    assert found["Compared with what?"] == "0.2 × its noise floor"


def test_since_when_tells_both_steps_of_each_layer() -> None:
    view = View("run", (layer("fc", [0.0, 0.3, 0.5, 0.5]), layer("b", [0.3, 0.3, 0.3, 0.3])))
    assert points(view, "Since when?") == (
        ("fc", "above noise since step 100, at this level since step 200"),
        ("b", "above noise from the start, at this level since step 0"),
    )


def test_what_it_is_compared_with() -> None:
    here, there = View("here", (layer("fc", [0.1, 0.4]),)), View("there", (layer("fc", [0.41]),))
    assert points(here, "Compared with what?", there, View("other", (layer("b", [0.2]),))) == (
        ("noise floor", "0.025; NC 0.400"),
        ("before training", "0.10; +0.30"),
        ("there", "0.41 there; here −0.01, intervals overlap"),
    )


def test_constant_units_and_copies_are_counted() -> None:
    view = View("run", (layer("fc", [0.3], constant=3, duplicates=[(0, 1, 1.0)]),))
    assert any("3 units never changed. 1 unit is a copy of another." in one.remark for one in overview(view))


def test_where_units_fire_together_is_told_with_the_threshold() -> None:
    (where,) = [one for one in overview(View("run", (layer("fc", [0.3]),))) if one.question == "Where?"]
    assert where.remark == "Units fire together if the whole 95 % interval (in brackets) lies above 0.2."


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"fc": 0.31, "b": 0.1}, "Correlation is similar in all 2 layers."),
        ({"fc": 0.4, "b": 0.1}, "The runs' correlations differ in 1 of 2 layers."),
        ({"fc": 0.4}, "The runs' correlations differ in 1 of 1 layer."),
        ({"fc": 0.3}, "Correlation is similar in the only layer they share."),
        ({"else": 0.4}, "The runs have no layer in common."),
    ],
)
def test_several_runs_differ_where_their_intervals_do_not_overlap(there: dict[str, float], expected: str) -> None:
    here = {"fc": 0.3, "b": 0.1}
    views = [
        View(str(run), tuple(layer(name, [nc]) for name, nc in of.items())) for run, of in enumerate((here, there))
    ]
    assert several(views).answer == expected
