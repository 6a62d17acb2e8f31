"""Each law of the zoo finds a wiring, or a model, that was spoiled on purpose."""

from dataclasses import replace

import pytest
import torch
from architectures import Architecture
from examine import examine
from laws import changes, fakes, misplaced, misshapen, order_matters, roughen, run, same, traces
from torch import nn

from cofire.nets.wiring.wiring import wire


@pytest.fixture
def followed():
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 3)).double()
    roughen(model)
    example = torch.randn(5, 6, dtype=torch.float64)
    return model, example, wire(model, example)


def test_a_right_wiring_keeps_every_law(followed):
    model, example, wiring = followed
    assert order_matters(model, wiring, example, run(model, example)) == []
    assert misplaced(model, wiring, example) == misshapen(model, wiring, example) == {}


def test_a_group_with_a_forgotten_reader_is_found(followed):
    model, example, wiring = followed
    strange = wire(nn.Sequential(nn.Linear(6, 10)).double(), example).dimensions["0.weight"][0]
    spoiled = replace(
        wiring, dimensions=dict(wiring.dimensions) | {"2.weight": (wiring.layers[1].group[0].leaf, strange)}
    )
    (culprit,) = order_matters(model, spoiled, example, run(model, example))
    assert culprit.makers == ("0.weight",)


def test_an_order_that_no_output_shows_is_found(followed):
    model, example, wiring = followed
    nn.init.zeros_(model[4].weight)
    with pytest.raises(AssertionError, match="sees nothing"):
        order_matters(model, wiring, example, run(model, example))


def test_a_wrong_axis_is_found(followed):
    model, example, wiring = followed
    square = torch.randn(10, 6, dtype=torch.float64)
    first, *rest = wiring.layers
    spoiled = replace(wiring, layers=(replace(first, unit_axis=0), *rest))
    assert list(misplaced(model, spoiled, square)) == ["0"]
    assert list(misshapen(model, spoiled, example)) == list(misshapen(model, spoiled, square)) == ["0"]


def test_wrong_units_are_found(followed):
    model, example, wiring = followed
    first, *rest = wiring.layers
    assert list(misshapen(model, replace(wiring, layers=(replace(first, units=9), *rest)), example)) == ["0"]


def test_changes_of_a_model_are_found(followed):
    model, _, _ = followed
    before = traces(model)
    assert changes(before, traces(model)) == []
    model[0].weight.data[0, 0] += 1e-9
    model[2].train(False).extra = 1
    model[4].register_forward_hook(print)
    torch.rand(1)
    assert changes(before, traces(model)) == ["state", "random state", "attributes", "modes", "hooks"]


def test_fake_tensors_are_seen():
    with fakes() as made, torch._subclasses.FakeTensorMode():
        alive = torch.zeros(3)
        torch.ones(3)
    found = [one() for one in made]
    assert sum(one is alive for one in found) == 1 and sum(one is not None for one in found) == 1


def test_nan_is_the_same_as_nan():
    assert same({"a": torch.tensor([float("nan")])}, {"a": torch.tensor([float("nan")])})
    assert not same(torch.zeros(2), torch.ones(2))


@pytest.mark.parametrize("large", [False, True])
def test_a_row(large):
    build, example = (lambda: nn.Sequential(nn.Linear(6, 10), nn.Linear(10, 3))), (lambda: torch.randn(5, 6))
    model = Architecture("mine", "two", build, example, large=large)
    row = examine(model)
    assert (row.faults, row.layers, row.parameters, row.without_axis) == ({}, 2, 103, 0)
    assert row.named == 1 and row.free == 100 / 103 and row.unruled == 0
