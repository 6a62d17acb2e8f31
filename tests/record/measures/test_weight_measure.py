"""The measures that are taken of weights, through the plan that a tracker makes of them."""

import math

import pytest
import torch
from torch import nn

from cofire.record import Measure, correlation, epsilon, weight_correlation
from cofire.record.recording import Plan, take
from cofire.record.schedule import EverySteps
from cofire.stats import neuronal_correlation, weight_correlation_summary
from cofire.stats import weight_correlation as measured


def recorded(model: nn.Module, measure: Measure) -> dict[str, dict[str, float]]:
    """The values of a measure of weights, by the name of their rows."""
    plan = Plan.of(model, [measure], EverySteps(1))
    return {found.site: dict(found.values) for found in take(plan.tasks[0], plan.inputs(plan.tasks[0], {}), set(), {})}


def test_rows_are_what_the_statistic_says():
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))
    found = recorded(model, weight_correlation())
    summary = weight_correlation_summary(model[0].weight)
    assert found["0"] == {
        "wc": summary.mean_abs,
        "wc_signed": summary.mean,
        "wc_lower_quartile": summary.lower_quartile,
        "wc_median": summary.median,
        "wc_upper_quartile": summary.upper_quartile,
        "wc_left_out": 0,
    }
    assert found["2"]["wc"] == measured(model[2].weight).item()


@pytest.mark.parametrize("layer", [nn.Conv2d(4, 8, 3, groups=4), nn.ConvTranspose2d(4, 8, 3, groups=2)])
def test_units_of_different_groups_share_no_input(layer):
    unit_axis = int(isinstance(layer, nn.ConvTranspose2d))
    expected = measured(layer.weight, groups=layer.groups, unit_axis=unit_axis)
    [found] = recorded(layer, weight_correlation()).values()
    assert found["wc"] == pytest.approx(expected.item(), abs=1e-12)


def test_a_depthwise_convolution_has_orthogonal_units():
    model = nn.Sequential(nn.Conv1d(6, 6, 3, groups=6))
    nn.init.ones_(model[0].weight)
    assert recorded(model, weight_correlation())["0"]["wc"] == 0


def test_gates_have_rows_of_their_own():
    model = nn.Sequential(nn.LSTM(3, 5))
    found = recorded(model, weight_correlation())
    assert len(found) == 8
    assert found["0.ih_l0.cell"]["wc"] == measured(model[0].weight_ih_l0[10:15]).item()


def test_units_without_a_direction_are_left_out_and_counted():
    model = nn.Sequential(nn.Linear(4, 6))
    with torch.no_grad():
        model[0].weight[0] = 0
        model[0].weight[1, 2] = torch.nan
    found = recorded(model, weight_correlation())["0"]
    assert found["wc_left_out"] == 2
    assert found["wc"] == pytest.approx(measured(model[0].weight[2:]).item(), abs=1e-6)


def test_one_unit_has_no_pair():
    found = recorded(nn.Sequential(nn.Linear(4, 1)), weight_correlation())["0"]
    assert {name for name, value in found.items() if math.isnan(value)} == found.keys() - {"wc_left_out"}


def test_a_statistic_of_ones_own_gets_the_groups_only_where_there_are_some():
    def arguments(weight, groups=None):
        return {"n_units": len(weight), "groups": groups or 0}

    model = nn.Sequential(nn.Conv1d(4, 6, 3), nn.Conv1d(6, 4, 3, groups=2))
    found = recorded(model, Measure(arguments, stage="weights"))
    assert found == {"0": {"n_units": 6, "groups": 0}, "1": {"n_units": 4, "groups": 2}}


def test_weights_are_read_anew_each_time():
    model = nn.Sequential(nn.Linear(4, 6))
    plan = Plan.of(model, [weight_correlation()], EverySteps(1))
    for weight, expected in ((torch.ones(6, 4), 1.0), (torch.eye(6, 4)[:4], 0.0)):
        model[0].weight = nn.Parameter(weight)
        assert plan.inputs(plan.tasks[0], {})["0"][0].equal(weight)
        [found] = take(plan.tasks[0], plan.inputs(plan.tasks[0], {}), set(), {})
        assert found.values["wc"] == pytest.approx(expected)


def test_epsilon_is_the_difference_that_correlation_records():
    before = torch.randn(200, 6) + torch.randn(200, 1)
    after = before.relu()
    found = epsilon().values((before, after))["epsilon"]
    assert found == abs(neuronal_correlation(after).mean_abs - neuronal_correlation(before).mean_abs) > 0
    assert found == abs(correlation().values((after,))["nc"] - correlation().values((before,))["nc"])
