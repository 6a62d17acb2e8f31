import pytest
import torch
from torch import nn

from cofire.nets.layers.outputs import UNITS_ARE_OUTPUTS, is_output_layer
from cofire.nets.shrinking import shrink
from cofire.nets.wiring.wiring import wire


@pytest.mark.parametrize(
    ("layer", "layers", "expected"),
    [
        ("b", ["a", "b"], True),
        ("a", ["a", "b"], False),
        ("rnn", ["a", "rnn.hh_l0.new"], True),  # a gate of it
        ("head", ["a", "head.1"], True),  # a container
        ("head", ["a", "header"], False),
        ("", [""], True),
        ("", ["0"], False),
        ("a", [], False),
    ],
)
def test_the_last_layer_is_the_output_layer(layer, layers, expected):
    assert is_output_layer(layer, layers) == expected


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), (9, 4)),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2), nn.Sigmoid()), (9, 1, 4, 4)),
        (nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), nn.Sequential(nn.Linear(3, 2))), (9, 4)),
    ],
)
def test_order_and_wiring_agree_on_the_output_layer(model, shape):
    layers = [layer.name for layer in wire(model, torch.randn(shape)).layers]
    left = shrink(model, torch.randn(shape)).left
    wired = [name for name, reason in left.items() if reason == UNITS_ARE_OUTPUTS]
    assert wired == [name for name in layers if is_output_layer(name, layers)]
