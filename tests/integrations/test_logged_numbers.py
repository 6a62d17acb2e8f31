"""Loggers show few numbers, none that is out of range, and nothing of layers that are too small."""

import math
import warnings
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cofire import Tracker
from cofire.integrations.logged_numbers import FEWEST_SAMPLES, FEWEST_UNITS, SUMMARIES, LoggedNumbers
from cofire.record import (
    NotMeasured,
    Row,
    correlation,
    dependence,
    entropy,
    epsilon,
    total_correlation,
    weight_correlation,
    width,
)
from cofire.stats._base.quantities import QUANTITIES

OF_RUN = {f"cofire/run/{one}" for one in SUMMARIES}


def recorded(model: nn.Module, *measures, n_samples: int = 64, steps: int = 1) -> list[list[Row]]:
    """Return the rows of each recording of a model on random inputs."""
    torch.manual_seed(0)
    found: list[list[Row]] = []
    with Tracker(model, measures or [correlation()], every=1, sink=found.append) as tracker:
        for _ in range(steps):
            model(torch.randn(n_samples, 6))
            tracker.step()
    return found


def net(*widths: int) -> nn.Module:
    torch.manual_seed(1)
    sizes = [6, *widths]
    return nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(sizes)))


def rows(site: str, n_samples: int = 100, units: int | None = 8, /, step: int = 1, **values: float) -> list[Row]:
    return [
        Row("", step, 0, site, measure, "{}", value, n_samples, 0, n_units=units) for measure, value in values.items()
    ]


def test_by_default_a_layer_has_one_number_and_the_run_three():
    found = LoggedNumbers()(recorded(net(8, 12, 5))[0])
    assert found.keys() == {f"cofire/{layer}/nc_debiased" for layer in "012"} | OF_RUN


@pytest.mark.parametrize(
    ("measure", "main"),
    [
        (epsilon(), "epsilon"),
        (weight_correlation(), "wc"),
        (width(), "width"),
        (dependence(), "dependence"),
        (total_correlation(), "total_correlation"),
        (entropy(), "entropy_gaussian"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_each_measure_has_one_number(measure, main):
    found = LoggedNumbers()(recorded(net(8, 5), measure, n_samples=200)[0])
    assert {name.replace("--pre", "") for name in found} == {f"cofire/0/{main}", f"cofire/1/{main}"}


def test_summaries_follow_from_the_logged_numbers():
    dead = net(8, 10)
    with torch.no_grad():
        dead[1].weight[:4] = 0
    found = LoggedNumbers()(recorded(dead)[0])
    layers = [found["cofire/0/nc_debiased"], found["cofire/1/nc_debiased"]]
    assert found["cofire/run/nc_debiased_mean"] == pytest.approx(sum(layers) / 2)
    assert found["cofire/run/nc_debiased_max"] == max(layers)
    assert found["cofire/run/constant"] == pytest.approx(4 / 18)


def test_summaries_cover_layers_that_are_recorded_less_often():
    numbers = LoggedNumbers()
    numbers([*rows("a", nc_debiased=0.2, n_constant=0), *rows("b", nc_debiased=0.8, n_constant=4)])
    found = numbers(rows("a", nc_debiased=0.4, n_constant=4, step=2))
    expected = {"nc_debiased_mean": 0.6, "nc_debiased_max": 0.8, "constant": 0.5}
    assert found == pytest.approx({"cofire/a/nc_debiased": 0.4} | {f"cofire/run/{k}": v for k, v in expected.items()})
    # b has died: nothing is known of its pairs any more, but its units count
    with pytest.warns(NotMeasured, match=r"b \(0 of 8 units vary\)"):
        found = numbers(rows("b", nc_debiased=math.nan, n_constant=8, step=3))
    expected = {"nc_debiased_mean": 0.4, "nc_debiased_max": 0.4, "constant": 0.75}
    assert found == pytest.approx({f"cofire/run/{k}": v for k, v in expected.items()})


@pytest.mark.parametrize("quantities", [["nc", "n_units"], ("n_units", "nc"), {"nc", "n_units"}])
def test_quantities_are_chosen_by_name(quantities):
    found = LoggedNumbers(quantities)(recorded(net(8))[0])
    assert found.keys() == {"cofire/0/nc", "cofire/0/n_units"}


def test_one_name_all_names_and_a_summary():
    [layer] = recorded(net(8))
    assert LoggedNumbers("nc")(layer).keys() == {"cofire/0/nc"}
    assert LoggedNumbers(["nc_debiased_max"])(layer).keys() == {"cofire/run/nc_debiased_max"}
    assert LoggedNumbers([])(layer) == {}
    assert LoggedNumbers("all")(layer).keys() == {f"cofire/0/{row.measure}" for row in layer} | OF_RUN


@pytest.mark.parametrize(
    ("wrong", "hint"), [("nc_debaised", "did you mean 'nc_debiased'"), (["nc", "maximum"], "'maximum'"), ([3], "3")]
)
def test_an_unknown_name_is_an_error(wrong, hint):
    with pytest.raises(ValueError, match=f"unknown quantity.*{hint}"):
        LoggedNumbers(wrong)


@pytest.mark.parametrize("quantities", [None, [], "nc"])
def test_numbers_of_the_users_own_are_always_logged(quantities):
    own = [Row("", 1, 0, "fc", "spread", "{}", 0.5, 4, 0, n_units=2), *rows("", 0, None, loss=math.nan)]
    found = LoggedNumbers(quantities)(own)
    assert found.keys() == {"cofire/fc/spread", "cofire/run/loss"} and math.isnan(found["cofire/run/loss"])


@pytest.mark.parametrize(
    ("widths", "n_samples", "reason"),
    [
        ((8, 2), 64, r"1 \(2 units\)"),
        ((8, 1), 64, r"1 \(1 unit\)"),
        ((8, 5), FEWEST_SAMPLES - 1, r"0 \(9 samples\), 1 \(9 samples\)"),
        ((8, 5), 1, r"0 \(1 sample\), 1 \(1 sample\)"),
    ],
)
@pytest.mark.parametrize("quantities", [None, "all"])
def test_a_small_layer_is_not_logged_which_is_said_once(widths, n_samples, reason, quantities):
    recordings = recorded(net(*widths), n_samples=n_samples, steps=3)
    numbers = LoggedNumbers(quantities)
    with pytest.warns(NotMeasured, match=reason) as told:
        found = [numbers(one) for one in recordings]
    assert len(told) == 1
    small = ["0", "1"] if "0 " in reason else ["1"]
    assert not any(name.startswith(f"cofire/{layer}/") for one in found for name in one for layer in small)
    assert all(bool(one) == (small == ["1"]) for one in found)


def test_a_small_layer_takes_no_part_in_the_summaries():
    with pytest.warns(NotMeasured):
        found = LoggedNumbers()(recorded(net(8, 2))[0])
    assert found["cofire/run/nc_debiased_mean"] == found["cofire/0/nc_debiased"]


@pytest.mark.parametrize("stuck", [6, 7, 8])
def test_units_that_never_change_do_not_count(stuck):
    model = net(8)
    with torch.no_grad():
        model[0].weight[:stuck] = 0
    with pytest.warns(NotMeasured, match=f"{8 - stuck} of 8 units vary"):
        found = LoggedNumbers(["nc_debiased", "nc", "n_constant", "constant"])(recorded(model)[0])
    assert found == {"cofire/0/n_constant": stuck, "cofire/run/constant": stuck / 8}


def test_other_processes_are_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert LoggedNumbers(warns=False)(recorded(net(2))[0]) == {}


def test_weights_need_no_samples():
    found = LoggedNumbers()(recorded(net(8, 5), weight_correlation(), n_samples=1)[0])
    assert found.keys() == {"cofire/0/wc", "cofire/1/wc"}


@pytest.mark.parametrize("n_samples", [FEWEST_SAMPLES, 16, 64])
def test_what_is_logged_lies_in_its_interval(n_samples):
    for seed in range(20):
        x = torch.randn(n_samples, 4, generator=torch.Generator().manual_seed(seed))
        values = correlation().values((x,))
        found = LoggedNumbers()(rows("a", n_samples, 4, **values))
        assert values["nc_low"] <= found["cofire/a/nc_debiased"] <= values["nc_high"]
        assert values["nc_low"] <= found["cofire/run/nc_debiased_mean"] <= values["nc_high"]


VALUES = st.floats() | st.floats(-2, 2)


@given(
    st.dictionaries(st.sampled_from(list(QUANTITIES)), VALUES),
    st.integers(0, 40),
    st.none() | st.integers(0, 9),
    st.sampled_from([None, "all"]),
)
@pytest.mark.filterwarnings("ignore:nothing is logged")
def test_whatever_is_recorded_no_value_is_outside_its_interval_or_range(values, n_samples, n_units, quantities):
    counts = {name: abs(value) for name, value in values.items() if math.isfinite(value)}
    values |= {name: counts.get(name, 0) for name in ("n_constant", "n_nonfinite", "wc_left_out") if name in values}
    found = LoggedNumbers(quantities)(rows("a", n_samples, n_units, **values))
    if 0 < n_samples < FEWEST_SAMPLES or (n_units is not None and n_units < FEWEST_UNITS):
        assert not found
    for name, value in found.items():
        quantity = QUANTITIES.get(name.rpartition("/")[2], QUANTITIES["nc_debiased"])
        assert quantity.low <= value <= quantity.top
        if "/run/" not in name and quantity.interval and values.keys() >= {*quantity.interval}:
            low, high = (values[end] for end in quantity.interval)
            assert low <= value <= high
