"""`cofire.inspect`: the same numbers as the functions underneath, and errors that say what to give."""

import pytest
import torch
from torch import nn

import cofire
from cofire.nets.redundancy import redundancy_report, weight_redundancy_report


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


def test_with_data_it_is_the_report_on_data(model):
    x = torch.randn(200, 6)
    assert str(cofire.inspect(model, x)) == str(redundancy_report(model, x))
    assert [layer.n_samples for layer in cofire.inspect(model, x, "0").layers] == [200, None]


def test_without_data_it_is_the_report_on_weights(model):
    assert str(cofire.inspect(model)) == str(weight_redundancy_report(model))


@pytest.mark.parametrize("as_text", [True, False])
def test_a_file_a_state_dict_and_a_model_give_the_same_numbers(model, tmp_path, as_text):
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    expected = [layer.weights.mean_abs for layer in cofire.inspect(model.state_dict()).layers]
    assert [layer.weights.mean_abs for layer in cofire.inspect(str(path) if as_text else path).layers] == expected
    assert [layer.weights.mean_abs for layer in cofire.inspect(model).layers] == expected


def test_options_reach_the_functions_underneath(model):
    with torch.no_grad():
        model[0].weight[3] = model[0].weight[1] + 0.02 * torch.randn(6)
        model[0].bias[3] = model[0].bias[1]
    x = torch.randn(2000, 6)
    for given in ((model, x), (model,)):
        assert [cofire.inspect(*given, threshold=t).layers[0].n_copies for t in (0.999999, 0.98)] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((3,), "a torch.nn.Module, a state dict or a file of weights, got an int"),
        (("weights.pt", torch.ones(3, 3)), "data need a model to run, got the path 'weights.pt'"),
        (({"w": torch.ones(3, 3)}, torch.ones(3, 3)), "data need a model to run, got a dict"),
        ((nn.Linear(3, 3), None, "0"), "give data too"),
        (({},), "no weight"),
    ],
)
def test_what_cannot_be_inspected_is_said(arguments, said):
    with pytest.raises(ValueError, match=said):
        cofire.inspect(*arguments)
