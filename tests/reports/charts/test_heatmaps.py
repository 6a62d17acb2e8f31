"""What the heatmaps of layers over training show, and on which scales."""

from math import nan

from cofire.reports.charts.figures import side_by_side
from cofire.reports.charts.heatmaps import LayersOverTraining, layers_over_training
from cofire.reports.data.run_view import Layer, Series, View

from ..layers import layer


def of(*views: View) -> LayersOverTraining:
    return layers_over_training(views, side_by_side(views))


def one(measure: str, *values: float) -> Layer:
    return Layer("a", {measure: Series(tuple(range(len(values))), values)})


def test_the_debiased_correlation_comes_first_with_the_threshold_of_the_findings() -> None:
    (first, *_) = of(View("run", (layer("fc", [0.1, 0.3]),))).maps
    assert first.measure == "nc_debiased" and first.threshold == (0.2, "units fire together above")
    assert "above 0.2" in first.meaning and "below 0.05" in first.meaning


def test_nc_stands_in_where_nothing_was_debiased() -> None:
    (only,) = of(View("run", (one("nc", 0.1, 0.2),))).maps
    assert only.measure == "nc" and only.threshold is not None


def test_scales_start_at_0_where_0_means_none_and_end_at_round_numbers() -> None:
    share, entropy = of(View("run", (one("wc", 0.1, 0.43), one("entropy_gaussian", -5.0, -2.0)))).maps
    assert (share.low, share.high, share.clipped) == (0.0, 0.5, False)
    assert (entropy.low, entropy.high) == (-5.0, -2.0)


def test_an_outlier_does_not_make_the_others_pale() -> None:
    (only,) = of(View("run", (one("wc", *[0.1] * 300, 0.9),))).maps
    assert only.high < 0.2 and only.clipped


def test_runs_share_a_scale() -> None:
    (shared,) = of(View("a", (one("wc", 0.1),)), View("b", (one("wc", 0.5),))).maps
    assert shared.high == 0.5


def test_what_is_nowhere_defined_has_no_map() -> None:
    assert of(View("run", (one("wc", nan),))).maps == ()
    assert of(View("run")).maps == ()


def test_phases_are_those_of_the_curves_by_site() -> None:
    course = [0.10, 0.15, 0.22, 0.30, 0.33, 0.30, 0.26, 0.22, 0.20, 0.19]
    found = of(View("run", (layer("fc", course), layer("short", course[:3]))), View("other", (one("wc", 0.1),)))
    ((start, peak, end, grew, fell),) = found.phases[0].values()
    assert list(found.phases[0]) == ["fc"] and (start, peak, end) == (0, 400, 900) and grew and fell
    assert found.phases[1] == {}
