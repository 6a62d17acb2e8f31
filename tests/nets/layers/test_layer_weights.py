"""Unit weights of every kind of layer, told from what the layer computes with them."""

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.layers.layer_weights import asked_weights, check_weights, known_layers, unit_weights
from cofire.nets.wiring.assumed import assumed_wiring
from cofire.nets.wiring.wiring import wire


def weights_of(layer: nn.Module, *example: Tensor) -> dict[str, Tensor]:
    """The weights of a layer that is followed on an example, or else read by its type."""
    wiring = wire(layer, example) if example else assumed_wiring(layer, "a test")
    assert not wiring.notes or not example
    return {one.name: one.read(layer) for one in unit_weights(layer, wiring.layers)[0]}


def only(weights: dict[str, Tensor]) -> Tensor:
    (weight,) = weights.values()
    return weight


PLAIN = [
    (nn.Linear(3, 5), (2, 3)),
    (nn.Linear(4, 4), (2, 4)),
    (nn.Conv1d(3, 5, 2), (2, 3, 6)),
    (nn.Conv3d(4, 6, 2, groups=2), (2, 4, 3, 3, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), PLAIN)
def test_linear_and_convolution_weights_are_as_they_are_stored(layer, shape):
    for weight in (only(weights_of(layer, torch.ones(shape))), only(weights_of(layer))):
        assert torch.equal(weight, layer.weight) and weight.data_ptr() == layer.weight.data_ptr()


class Residual(nn.Module):
    """Its weight takes the same units in that it makes: both of its axes are of one group."""

    def __init__(self, transposed: bool) -> None:
        super().__init__()
        self.w, self.head, self.transposed = nn.Parameter(torch.randn(4, 4)), nn.Linear(4, 2), transposed

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + x @ (self.w.T if self.transposed else self.w))


@pytest.mark.parametrize("transposed", [False, True])
def test_units_are_told_from_inputs_where_they_are_the_same_ones(transposed):
    model = Residual(transposed)
    assert torch.equal(weights_of(model, torch.ones(3, 4))["w"], model.w if transposed else model.w.T)


def test_an_embedding_has_features_for_units():
    table = nn.Embedding(7, 3)
    for weight in (only(weights_of(table, torch.tensor([[1, 2]]))), only(weights_of(table))):
        assert torch.equal(weight, table.weight.T)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_has_its_outputs_for_units(groups):
    layer = nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False)
    weight = only(weights_of(layer, torch.ones(1, 4, 1, 1)))
    assert weight.shape == (6, 4 // groups, 3, 3)
    # one input pixel spreads each unit's kernel
    torch.testing.assert_close(layer(torch.ones(1, 4, 1, 1))[0], weight.sum(1))


def test_blocks_of_units_that_share_no_input():
    grouped = nn.Sequential(nn.Conv2d(4, 8, 1, groups=2), nn.Conv2d(8, 16, 3, groups=8, padding=1))
    found, _ = unit_weights(grouped, wire(grouped, torch.ones(1, 4, 5, 5)).layers)
    assert [one.blocks for one in found] == [2, 8]

    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Parameter(torch.randn(3, 4, 5)), nn.Parameter(torch.randn(3, 5, 2))

        def forward(self, x: Tensor) -> Tensor:
            return torch.bmm(torch.relu(torch.bmm(x.expand(3, -1, -1), self.up)), self.down).sum(0)

    experts = Experts()
    found, _ = unit_weights(experts, wire(experts, torch.ones(7, 4)).layers)
    assert [(one.name, one.blocks) for one in found] == [("up", 3), ("down", 3)]
    for one, stored in zip(found, (experts.up, experts.down), strict=True):
        assert torch.equal(one.read(experts), stored.transpose(1, 2).flatten(0, 1))


GATES = {
    "lstm": (nn.LSTM(3, 5), ["input", "forget", "cell", "output"]),
    "lstm cell": (nn.LSTMCell(3, 5), ["input", "forget", "cell", "output"]),
    "gru": (nn.GRU(3, 5), ["reset", "update", "new"]),
    "gru cell": (nn.GRUCell(3, 5), ["reset", "update", "new"]),
}


@pytest.mark.parametrize("followed", [True, False])
@pytest.mark.parametrize(("layer", "gates"), GATES.values(), ids=GATES)
def test_gates_stand_apart(layer, gates, followed):
    cell = isinstance(layer, nn.RNNCellBase)
    found = weights_of(layer, *([torch.ones(2, 3) if cell else torch.ones(4, 2, 3)] if followed else []))
    place = "ih" if cell else "ih_l0"
    assert [name for name in found if name.startswith("ih")] == [f"{place}.{gate}" for gate in gates]
    assert torch.equal(torch.cat([found[f"{place}.{gate}"] for gate in gates]), getattr(layer, f"weight_{place}"))
    assert {tuple(weight.shape) for weight in found.values()} == {(5, 3), (5, 5)}


def test_plain_recurrent_layers_have_no_gates():
    assert list(weights_of(nn.RNN(3, 5), torch.ones(4, 2, 3))) == ["ih_l0", "hh_l0"]
    assert list(weights_of(nn.RNNCell(3, 5))) == ["ih", "hh"]


def test_a_subclass_is_what_it_inherits_from():
    class Recurrent(nn.LSTM):
        pass

    assert "ih_l0.forget" in weights_of(Recurrent(3, 5), torch.ones(4, 2, 3))


@pytest.mark.parametrize("followed", [True, False])
def test_directions_layers_and_projections_of_an_lstm(followed):
    lstm = nn.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2)
    found = weights_of(lstm, *([torch.ones(4, 2, 3)] if followed else []))
    assert found["hr_l0"].shape == (2, 5)
    assert found["hh_l1_reverse.cell"].shape == (5, 2)
    assert len(found) == 4 * (4 + 4 + 1)


def test_attention_fused_and_apart():
    fused, apart = nn.MultiheadAttention(6, 2), nn.MultiheadAttention(6, 2, kdim=3, vdim=4)
    x = torch.ones(4, 2, 6)
    assert torch.equal(weights_of(fused, x, x, x)["key"], fused.in_proj_weight[6:12])
    found = weights_of(apart, x, torch.ones(4, 2, 3), torch.ones(4, 2, 4))
    assert [tuple(weight.shape) for weight in found.values()] == [(6, 6), (6, 3), (6, 4), (6, 6)]


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.LSTM(3, 5), torch.ones(4, 2, 3)),
        (nn.ConvTranspose1d(4, 6, 2, groups=2), torch.ones(2, 4, 3)),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)), torch.ones(2, 4)),
    ],
)
def test_gradients_reach_the_layer(layer, x):
    found = weights_of(layer, x)
    # Not a sum of squares: that of a normalized weight does not depend on its direction.
    total = torch.stack(
        [(weight * torch.arange(weight.numel()).view_as(weight)).sum() for weight in found.values()]
    ).sum()
    stored = [one for one in layer.parameters() if one.ndim > 1]
    assert all(gradient.abs().sum() > 0 for gradient in torch.autograd.grad(total, stored))


def test_layers_without_incoming_weights_have_none():
    model = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4), nn.LayerNorm(4), nn.PReLU(4))
    assert weights_of(model, torch.ones(2, 4)) == {}


@pytest.mark.parametrize(
    "change",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.orthogonal,
        lambda layer: nn.utils.prune.random_unstructured(layer, "weight", 0.4),
    ],
    ids=["weight norm", "spectral norm", "orthogonal", "pruned"],
)
def test_weights_that_are_computed(change):
    model = nn.Sequential(change(nn.Linear(6, 5)), nn.ReLU(), nn.Linear(5, 3)).eval()
    found = weights_of(model, torch.ones(2, 6))
    assert list(found) == ["0", "2"]
    torch.testing.assert_close(found["0"], model[0].weight)


def test_tied_weights_are_measured_once():
    model = nn.Sequential(nn.Embedding(20, 6), nn.Linear(6, 20, bias=False))
    model[1].weight = model[0].weight
    found, left_out = unit_weights(model, wire(model, torch.tensor([[1, 2]])).layers)
    # The units of an embedding are its columns, those of the output layer the rows of the same tensor.
    assert {one.name: one.read(model).shape for one in found} == {"0": (6, 20), "1": (20, 6)} and not left_out
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
    model[2].weight = model[0].weight
    found, left_out = unit_weights(model, wire(model, torch.ones(2, 6)).layers)
    assert [one.name for one in found] == ["0"] and left_out == {"2": "the same tensor as 0"}


def test_weights_are_asked_for_by_the_modules_that_hold_or_use_them():
    layer = nn.TransformerEncoderLayer(6, 2, 8)
    layers = wire(layer, torch.ones(4, 2, 6)).layers
    names = [one.name for one in asked_weights(layer, "self_attn", layers)[0]]
    assert names == ["self_attn.query", "self_attn.key", "self_attn.value", "self_attn.out_proj"]
    assert [one.name for one in asked_weights(layer, "linear*", layers)[0]] == ["linear1", "linear2"]


def test_what_is_known_grows_with_the_first_pass():
    model = Residual(True)
    assert [one.name for one in known_layers(model)] == ["head"]  # by its type
    from cofire.nets import capture

    with capture(model):
        model(torch.ones(3, 4))
    assert [one.name for one in known_layers(model)] == ["w", "head"]


def test_layers_without_weights_are_refused_at_once():
    model = nn.Sequential(nn.Linear(3, 2), nn.Flatten())
    with pytest.raises(ValueError, match="no layer at '1' has weights"):
        check_weights(model, "1")
    check_weights(model, "0")


def test_a_weight_that_changed_its_shape_is_said():
    model = nn.Sequential(nn.Linear(3, 2))
    (one,), _ = unit_weights(model, wire(model, torch.ones(1, 3)).layers)
    model[0].weight = nn.Parameter(torch.ones(4, 3))
    with pytest.raises(ValueError, match="another shape than when the model ran"):
        one.read(model)
