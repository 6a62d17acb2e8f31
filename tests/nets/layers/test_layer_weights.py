"""Unit weights of every kind of layer, told from what the layer computes with them."""

import pytest
import torch
from torch import nn

from cofire.nets.layers.layer_weights import n_groups, unit_weights


def test_linear_and_convolution_weights_are_themselves():
    for layer in (nn.Linear(3, 5), nn.Conv1d(3, 5, 2), nn.Conv3d(4, 6, 2, groups=2), nn.Bilinear(2, 3, 5)):
        assert unit_weights(layer)[""] is layer.weight


def test_an_embedding_has_features_for_units():
    table = nn.Embedding(7, 3)
    assert torch.equal(unit_weights(table)[""][1], table.weight[:, 1])


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_has_its_outputs_for_units(groups):
    layer = nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False)
    weight = unit_weights(layer)[""]
    assert weight.shape == (6, 4 // groups, 3, 3)
    with torch.no_grad():
        weight_without_unit = weight.clone()
        weight_without_unit[4] = 0
        # one input pixel spreads each unit's kernel, so a unit with no weights stays silent
        output = layer(torch.ones(1, 4, 1, 1))[0]
        torch.testing.assert_close(output, weight.sum(1))
    assert weight_without_unit[4].abs().sum() == 0 < output[4].abs().sum()


@pytest.mark.parametrize(
    ("layer", "gates"),
    [
        (nn.LSTM(3, 5), ["input", "forget", "cell", "output"]),
        (nn.LSTMCell(3, 5), ["input", "forget", "cell", "output"]),
        (nn.GRU(3, 5), ["reset", "update", "new"]),
        (nn.GRUCell(3, 5), ["reset", "update", "new"]),
    ],
)
def test_gates_stand_apart(layer, gates):
    found = unit_weights(layer)
    place = "ih" if isinstance(layer, nn.RNNCellBase) else "ih_l0"
    assert [name for name in found if name.startswith("ih")] == [f"{place}.{gate}" for gate in gates]
    stored = getattr(layer, f"weight_{place}")
    assert torch.equal(torch.cat([found[f"{place}.{gate}"] for gate in gates]), stored)
    assert {tuple(weight.shape) for weight in found.values()} == {(5, 3), (5, 5)}


def test_plain_recurrent_layers_have_no_gates():
    assert list(unit_weights(nn.RNN(3, 5))) == ["ih_l0", "hh_l0"]
    assert list(unit_weights(nn.RNNCell(3, 5))) == ["ih", "hh"]


def test_a_subclass_is_what_it_inherits_from():
    class Recurrent(nn.LSTM):
        pass

    assert "ih_l0.forget" in unit_weights(Recurrent(3, 5))


def test_directions_layers_and_projections_of_an_lstm():
    found = unit_weights(nn.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2))
    assert found["hr_l0"].shape == (2, 5)
    assert found["hh_l1_reverse.cell"].shape == (5, 2)
    assert len(found) == 4 * (4 + 4 + 1)


def test_attention_fused_and_apart():
    fused, apart = nn.MultiheadAttention(6, 2), nn.MultiheadAttention(6, 2, kdim=3, vdim=4)
    assert torch.equal(unit_weights(fused)["key"], fused.in_proj_weight[6:12])
    shapes = {name: tuple(weight.shape) for name, weight in unit_weights(apart).items()}
    assert shapes == {"query": (6, 6), "key": (6, 3), "value": (6, 4), "out": (6, 6)}


@pytest.mark.parametrize("layer", [nn.LSTM(3, 5), nn.MultiheadAttention(6, 2), nn.ConvTranspose1d(4, 6, 2, groups=2)])
def test_gradients_reach_the_layer(layer):
    torch.stack([weight.square().sum() for weight in unit_weights(layer).values()]).sum().backward()
    weights = [parameter for parameter in layer.parameters() if parameter.ndim > 1]
    for weight in weights:
        torch.testing.assert_close(weight.grad, 2 * weight.detach())


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.BatchNorm1d(4), nn.LayerNorm(4), nn.PReLU(4)])
def test_layers_without_incoming_weights_have_none(layer):
    assert unit_weights(layer) == {}


def test_groups_are_those_of_convolutions():
    assert n_groups(nn.ConvTranspose3d(4, 6, 2, groups=2)) == 2
    assert n_groups(nn.Linear(4, 6)) == 1
