"""The recommended width as a measure: what the redundancy of the layer says, through training."""

import math

import pytest
import torch
from torch import nn

from cofire import Tracker
from cofire.record import Row, width
from cofire.stats import Moments
from cofire.stats.redundancy.activation_redundancy import redundancy, width_of


def layer(n_samples: int, n_factors: int = 4, n_units: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(n_samples, n_factors, generator=generator)
    return factors @ torch.randn(n_factors, n_units, generator=generator)


def test_it_is_the_width_that_the_redundancy_of_the_layer_names():
    x = layer(600) + 0.3 * torch.randn(600, 20)
    expected = redundancy(Moments().update(x), unexplained=0.1).width
    found = width(unexplained=0.1).values((x,))
    assert (found["width"], found["width_low"], found["width_high"]) == (expected.units, *expected.interval)


def test_linear_combinations_need_as_many_units_as_there_are_factors():
    assert width().values((layer(300),)) == {"width": 4, "width_low": 4, "width_high": 4}


def test_constant_units_need_none():
    x = torch.cat([layer(300), torch.ones(300, 5)], 1)
    assert width().values((x,))["width"] == 4
    assert width().values((torch.ones(30, 5),))["width"] == 0


@pytest.mark.parametrize("n_samples", [1, 2, 8])
def test_too_few_samples_tell_nothing(n_samples):
    found = width().values((torch.randn(n_samples, 50),))
    assert all(math.isnan(value) for value in found.values())


def test_a_tolerance_out_of_range_and_no_samples_are_refused():
    for unexplained in (0, -1, 1.5, math.nan):
        with pytest.raises(ValueError, match="unexplained must be a share"):
            width(unexplained=unexplained)
    with pytest.raises(ValueError, match="hold no samples"):
        width_of(Moments())


def test_it_is_recorded_for_each_layer_with_its_tolerance():
    rows: list[Row] = []
    model = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 3))
    with Tracker(model, [width(every=[0])], probe=torch.randn(400, 5), sink=rows.extend):
        pass
    assert {(row.site, row.measure) for row in rows} == {
        (site, name) for site in ("0", "2") for name in ("width", "width_low", "width_high")
    }
    assert {row.parameters for row in rows} == {'{"unexplained": 0.05}'}
    assert all(0 < row.value <= 12 for row in rows)
