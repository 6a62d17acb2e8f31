"""How many parameters each layer has: all of a network's layers together have those of its modules, and no more."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from cofire.nets.redundancy import redundancy_report, weight_redundancy_report

NETWORKS = {
    "linear": lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3, bias=False)),
    "convolutions": lambda: nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3, groups=2), nn.Flatten()),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose1d(4, 6, 3), nn.Tanh(), nn.Conv1d(6, 3, 1)),
    "recurrent": lambda: nn.LSTM(6, 8, num_layers=2, bidirectional=True, batch_first=True),
    "attention": lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
    "embedding": lambda: nn.Sequential(nn.Embedding(30, 8), nn.Linear(8, 4)),
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("of", ["model", "file"])
def test_no_parameter_is_lost_or_counted_twice(kind, of):
    net = NETWORKS[kind]()
    report = weight_redundancy_report(net if of == "model" else net.state_dict())
    norms = {id(one) for module in net.modules() if isinstance(module, nn.LayerNorm) for one in module.parameters()}
    wanted = sum(one.numel() for one in net.parameters() if id(one) not in norms)
    assert sum(layer.n_parameters or 0 for layer in report.layers) == wanted


def test_a_layer_that_is_measured_on_data_keeps_its_own():
    net = NETWORKS["linear"]()
    report = redundancy_report(net, torch.randn(80, 5))
    assert {layer.layer: layer.n_parameters for layer in report.layers} == {"0": 48, "2": 24}


def test_a_weight_in_parts_counts_as_it_is_used():
    net = weight_norm(nn.Linear(4, 6))
    assert [layer.n_parameters for layer in weight_redundancy_report(net).layers] == [30]
    assert [layer.n_parameters for layer in weight_redundancy_report(net.state_dict()).layers] == [30]
