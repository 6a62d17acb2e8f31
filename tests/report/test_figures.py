from base64 import b64decode
from math import isnan, nan

import numpy as np
import pytest

from cofire.report.figures import (
    UNDEFINED,
    Chart,
    Line,
    charts,
    cluster_order,
    expected_shares,
    heat_maps,
    histograms,
    pack,
    shades,
)
from cofire.report.view import Layer, Series, View


def test_only_recorded_quantities_are_charted_each_layer_in_one_color() -> None:
    first = Layer("a", {"nc": Series((0, 1), (0.1, 0.2)), "wc": Series((0, 1), (0.1, 0.1))})
    second = Layer("b", {"nc": Series((0, 1), (0.3, 0.2))})
    before = Layer("b:pre", {"nc": Series((0,), (0.1,))})
    drawn = {chart.key: chart for chart in charts(View("run", (first, second, before)))}
    assert list(drawn) == ["nc", "nc-pre", "wc"]
    assert [line.name for line in drawn["nc"].lines] == ["a", "b"]
    assert drawn["nc-pre"].lines[0].shade == drawn["nc"].lines[1].shade


def test_a_quantity_that_is_nowhere_defined_has_no_chart() -> None:
    assert charts(View("run", (Layer("a", {"nc": Series((0, 1), (nan, nan))}),))) == []


def test_the_floor_is_the_highest_of_all_layers() -> None:
    layers = tuple(
        Layer(name, {"nc": Series((0,), (0.5,)), "nc_noise_floor": Series((0,), (floor,))})
        for name, floor in (("a", 0.02), ("b", 0.1), ("c", nan))
    )
    assert charts(View("run", layers))[0].floor == Series((0,), (0.1,))


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


def test_shades_stay_within_the_ramp() -> None:
    assert {shade.split("-")[0] for shade in shades(6)} == {"hue"}
    assert max(int(shade.split("-")[1]) for shade in shades(500)) == 11


@pytest.mark.parametrize("n_samples", [3, 5, 50, 1000])
def test_expected_shares_are_those_of_independent_units(n_samples: int) -> None:
    shares = np.array(expected_shares(n_samples, 50))
    generator = np.random.default_rng(0)
    x = generator.standard_normal((n_samples, 400))
    rho = np.abs(np.corrcoef(x.T)[np.triu_indices(400, 1)])
    seen = np.histogram(rho, bins=50, range=(0, 1))[0] / len(rho)
    assert shares.sum() == pytest.approx(1)
    assert np.abs(np.cumsum(seen) - np.cumsum(shares)).max() < 0.01


def test_two_samples_have_no_expectation() -> None:
    assert expected_shares(2, 50) == () and expected_shares(None, 50) == ()


def test_layers_without_pairs_have_no_histogram() -> None:
    layers = [
        Layer("a", arrays={"histogram": np.zeros(50, int)}),
        Layer("b"),
        Layer("c", arrays={"histogram": np.ones(50, int)}),
    ]
    drawn = histograms(layers)
    assert [histogram.layer for histogram in drawn] == ["c"]
    assert drawn[0].n_pairs == 50 and "50 %" in drawn[0].alternative


def test_clustering_puts_shuffled_blocks_together_again() -> None:
    group = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], 10))
    correlation = np.where(group[:, None] == group, 0.8, 0.05)
    np.fill_diagonal(correlation, 1)
    ordered = group[cluster_order(correlation)]
    assert (np.diff(ordered) != 0).sum() == 2


@pytest.mark.parametrize("n_defined", [0, 2, 5])
def test_undefined_units_come_last(n_defined: int) -> None:
    correlation = np.full((6, 6), nan)
    correlation[:n_defined, :n_defined] = 0.5
    np.fill_diagonal(correlation, 1)
    order = cluster_order(correlation)
    assert sorted(order) == list(range(6)) and sorted(order[:n_defined]) == list(range(n_defined))


def test_packing_keeps_four_digits_and_marks_the_undefined() -> None:
    correlation = np.array([[1, -0.12344, nan], [-0.12344, 1, 1.0002], [nan, 1.0002, 1]])
    assert np.frombuffer(b64decode(pack(correlation)), "<i2").tolist() == [-1234, UNDEFINED, 10000]


def test_a_map_names_the_strongest_pair_by_the_layers_own_numbers() -> None:
    correlation = np.array([[1, 0.1, nan, -0.9], [0.1, 1, nan, 0.2], [nan] * 4, [-0.9, 0.2, nan, 1]])
    layer = Layer(
        "fc",
        {"n_units": Series((0,), (40.0,))},
        {"correlation": correlation.astype(np.float16), "correlation_units": np.array([0, 10, 20, 30])},
    )
    (drawn,) = heat_maps([layer])
    assert drawn.strongest is not None and drawn.strongest[:2] == (0, 30)
    assert drawn.strongest[2] == pytest.approx(-0.9, abs=1e-3)
    assert drawn.units[-1] == 20 and drawn.note.startswith("4 of 40 units are shown, 1 blank one")


def test_a_map_without_any_pair_says_so() -> None:
    (drawn,) = heat_maps([Layer("fc", arrays={"correlation": np.full((3, 3), nan)})])
    assert drawn.strongest is None and "No pair" in drawn.alternative
    assert isnan(Layer("fc").last("nc"))
