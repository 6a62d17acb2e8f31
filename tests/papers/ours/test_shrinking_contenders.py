"""Orders of units against naive ones, uniform shares, recalibrated batch norms, and what a refit gains."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cofire.nets.surgery import output_error
from cofire.papers.ours import shrink_torch_pruning
from cofire.papers.ours.shrink_contenders import (
    ORDERS,
    Subject,
    elimination,
    group_norm,
    magnitude,
    random,
    recalibrated,
    smaller_networks,
    uniform_sizes,
    wanda,
)
from cofire.papers.ours.shrink_networks import GPT, ResNet, network


def perceptron() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1), nn.Flatten()).eval()


def inputs(n: int = 60) -> Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(1))


def n_parameters(net: nn.Module) -> int:
    return sum(one.numel() for one in net.parameters())


def test_random_orders_are_those_of_their_seed():
    subject = Subject.of(perceptron(), inputs())
    one, same, other = (random(subject, seed)["0"] for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert one.sort().values.tolist() == list(range(12))


def test_magnitude_is_the_norm_of_incoming_weights():
    net = perceptron()
    expected = net[0].weight.norm(dim=1).argsort()
    assert torch.equal(magnitude(Subject.of(net, inputs()), 0)["0"], expected)


def test_group_norm_takes_biases_and_readers_in():
    net = perceptron()
    expected = net[0].weight.square().sum(1) + net[0].bias.square() + net[2].weight.square().sum(0)
    assert torch.equal(group_norm(Subject.of(net, inputs()), 0)["0"], expected.argsort())


def test_wanda_of_a_linear_layer():
    net, x = perceptron(), inputs()
    rms = functional.relu(net[0](x)).square().mean(0).sqrt()
    assert torch.equal(wanda(Subject.of(net, x), 0)["0"], (net[2].weight.abs().sum(0) * rms).argsort())


def test_wanda_of_a_convolution():
    net, x = convolutional(), torch.randn(30, 2, 7, 7)
    windows = functional.unfold(net[1](net[0](x)), 3, padding=1)  # (n_samples, channels · taps, places)
    rms = windows.double().square().mean((0, 2)).sqrt()
    scores = (net[2].weight.flatten(1).abs().sum(0) * rms).view(8, 9).sum(1)
    assert torch.equal(wanda(Subject.of(net, x), 0)["0"], scores.argsort())


def test_elimination_lets_a_copy_go_first():
    net = perceptron()
    with torch.no_grad():
        net[0].weight[7], net[0].bias[7] = net[0].weight[2], net[0].bias[2]
    first = elimination(Subject.of(net, inputs(400)), 0)["0"][0]
    assert first in (2, 7) or not (functional.relu(net[0](inputs(400)))[:, first] > 0).any()


@pytest.mark.parametrize("share", [0.9, 0.7, 0.3])
def test_uniform_shares_use_the_budget(share):
    net = network("tiny resnet", 0).eval()
    subject = Subject.of(net, torch.randn(20, 1, 8, 8))
    sizes, whole = uniform_sizes(subject, share), n_parameters(net)
    assert subject.structure.count(sizes) <= share * whole
    shares = [sizes[one.leaf] / one.n_units for one in subject.groups]
    assert max(shares) - min(shares) <= 1 / min(one.n_units for one in subject.groups) + 1e-9
    assert subject.structure.count({leaf: size + 1 for leaf, size in sizes.items()}) > share * whole


@pytest.mark.parametrize(("by", "kind"), list(product(ORDERS, ("tiny resnet", "tiny gpt"))))
def test_all_variants_have_the_parameters_that_were_counted(by, kind):
    net = network(kind, 0, n_symbols=9).eval()
    x = torch.randn(40, 1, 8, 8) if kind == "tiny resnet" else torch.randint(0, 9, (40, 16))
    subject = Subject.of(net, x)
    before = {name: one.clone() for name, one in net.state_dict().items()}
    found = dict(smaller_networks(subject, ORDERS[by](subject, 0), 0.5))
    assert list(found) == ["as it is", *(["batch norms"] if kind == "tiny resnet" else []), "refit"]
    assert {n_parameters(one) for one in found.values()} == {subject.structure.count(uniform_sizes(subject, 0.5))}
    errors = {variant: output_error(net, one, x).relative for variant, one in found.items()}
    assert errors["refit"] < errors["as it is"]
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())


def test_heads_go_and_their_sizes_stay():
    torch.manual_seed(0)
    net = GPT(9, width=16, n_layers=1, n_heads=4, context=8).eval()
    subject = Subject.of(net, torch.randint(0, 9, (40, 8)))
    attention = dict(smaller_networks(subject, random(subject, 0), 0.5))["as it is"].blocks[0].attention
    assert attention.n_heads < 4 and attention.head_size == 4
    assert attention.query.out_features == 4 * attention.n_heads


def test_recalibrated_batch_norms_have_the_moments_of_the_data():
    torch.manual_seed(0)
    net = ResNet((4,), 1).eval()
    batches = [torch.randn(10, 3, 8, 8) + 1 for _ in range(3)]
    new = recalibrated(net, batches)
    assert torch.allclose(new.norm.running_mean, net.conv(torch.cat(batches)).mean((0, 2, 3)), atol=1e-6)
    assert torch.equal(net.norm.running_mean, torch.zeros(4))
    assert new.norm.momentum == net.norm.momentum and not any(one.training for one in new.modules())


def test_without_torch_pruning_there_is_nothing(monkeypatch):
    monkeypatch.setattr(shrink_torch_pruning, "importable", lambda: False)
    batches = [(inputs(), torch.zeros(60, dtype=torch.long))]
    for by in shrink_torch_pruning.CRITERIA:
        assert not list(shrink_torch_pruning.smaller_networks(perceptron(), batches, 0.5, by))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by", shrink_torch_pruning.CRITERIA)
def test_torch_pruning_reaches_the_share(by):
    pytest.importorskip("torch_pruning")
    net = network("tiny resnet", 0).eval()
    batches = [(torch.randn(20, 1, 8, 8), torch.randint(0, 10, (20,)))]
    found = dict(shrink_torch_pruning.smaller_networks(net, batches, 0.5, by))
    assert list(found) == ["as it is", "batch norms"]
    assert all(0.25 < n_parameters(one) / n_parameters(net) <= 0.5 for one in found.values())
