from collections.abc import Sequence
from math import nan

import numpy as np
import pytest

from cofire.report.findings import correlation_at, direction, findings, headline, spare
from cofire.report.view import Layer, Series, View

MODEL = {"model": {"layers": {"fc": "Linear", "b": "Linear", "out": "Linear"}}}


def layer(
    name: str = "fc",
    nc: Sequence[float] = (0.3,),
    *,
    width: float = 0.01,
    units: int = 64,
    constant: int = 0,
    samples: int = 1000,
    duplicates: Sequence[tuple[int, int, float]] = (),
) -> Layer:
    steps = tuple(range(0, 100 * len(nc), 100))

    def series(values: Sequence[float]) -> Series:
        return Series(steps, tuple(values), samples)

    recorded = {
        "nc": series(nc),
        "nc_debiased": series(nc),
        "nc_low": series([value - width for value in nc]),
        "nc_high": series([value + width for value in nc]),
        "nc_noise_floor": series([0.025] * len(nc)),
        "n_units": series([units] * len(nc)),
        "n_constant": series([constant] * len(nc)),
    }
    arrays = {"duplicates": np.array(duplicates, dtype=float).reshape(-1, 3)}
    return Layer(name, recorded, arrays)


def kinds(*layers: Layer, left_out: dict[str, str] | None = None) -> dict[str, str]:
    return {finding.kind: finding.level for finding in findings(View("run", layers, left_out=left_out or {}))}


def test_a_layer_is_redundant_only_when_its_whole_interval_is_above_the_threshold() -> None:
    assert kinds(layer(nc=[0.25])) == {"redundant": "watch"}
    assert kinds(layer(nc=[0.45])) == {"redundant": "act"}
    assert kinds(layer(nc=[0.25], width=0.1)) == {}


def test_a_layer_is_uncorrelated_only_when_its_whole_interval_is_near_zero() -> None:
    assert kinds(layer(nc=[0.01])) == {"independent": "note"}
    assert kinds(layer(nc=[0.04], width=0.02)) == {}


def test_constant_units_are_counted_with_their_share() -> None:
    found = findings(View("run", (layer(nc=[0.1], constant=2), layer("b", nc=[0.1], constant=16))))
    assert [finding.kind for finding in found] == ["constant"]
    assert found[0].level == "act" and found[0].headline == "18 units never changed"
    assert found[0].points == (("b", "16 of 64 units (25 %)"), ("fc", "2 of 64 units (3 %)"))


def test_copies_are_counted_by_group() -> None:
    found = findings(View("run", (layer(nc=[0.1], duplicates=[(0, 1, 1.0), (1, 2, -1.0), (7, 9, 0.99)]),)))
    assert found[0].kind == "duplicate" and found[0].points == (("fc", "3 pairs, 3 could go"),)
    assert spare([(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0)]) == 2  # a triangle frees two of three
    assert spare([]) == 0


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


def test_layers_without_pairs_or_with_few_samples_are_named() -> None:
    assert kinds(layer(nc=[nan], units=1)) == {"undefined": "watch"}
    assert kinds(layer(nc=[0.1], samples=20)) == {"few samples": "watch"}


def test_left_out_layers_are_told() -> None:
    assert kinds(left_out={"drop": "no units"}) == {"left out": "note"}


def test_what_asks_for_action_comes_first() -> None:
    levels = [finding.level for finding in findings(View("run", (layer(nc=[0.1, 0.5], constant=1),)))]
    assert levels == ["act", "watch", "note"]


def test_many_layers_are_counted_and_the_first_few_named() -> None:
    found = findings(View("run", tuple(layer(f"layer.{index}") for index in range(60))))
    assert found[0].headline == "Units fire together in 60 layers"
    assert len(found[0].points) == 5 and found[0].points[-1] == ("…", "56 layers more")


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View("run"), "Nothing has been recorded yet."),
        (View("run", (Layer("fc", {"wc": Series((0,), (0.1,))}),)), "No activations were measured"),
        (View("run", (layer(nc=[0.1]),)), "No layer's units clearly fire together."),
        (View("run", (layer(),)), "The units of the one layer"),
        (View("run", (layer(), layer("b", nc=[0.1]))), "In 1 of 2 layers"),
        (View("run", (layer(), layer("b"), layer("out", nc=[0.1])), made=MODEL), "The units of every hidden layer"),
        (View("run", (layer("out"),), made=MODEL), "The units of the one layer"),
        (View("run", (layer(), layer("b")), made=MODEL), "The units of every layer"),
    ],
)
def test_the_headline_fits_the_run(view: View, expected: str) -> None:
    assert headline(view).startswith(expected)


def test_without_a_debiased_value_the_raw_one_stands_and_without_an_interval_it_is_a_point() -> None:
    found = correlation_at(Layer("fc", {"nc": Series((0,), (0.5,))}), -1)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
