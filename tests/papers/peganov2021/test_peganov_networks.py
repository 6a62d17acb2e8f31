from collections.abc import Callable

import pytest
import torch
from torch import nn

from cofire.papers.peganov2021.peganov_networks import CharacterLSTM, convolutional, perceptron
from cofire.papers.training.datasets import Dataset, digits


def pictures(channels: int, size: int) -> Dataset:
    x, y = torch.zeros(2, channels, size, size), torch.zeros(2, dtype=torch.int64)
    return Dataset("none", x, y, x, y, 10)


def test_the_perceptron_is_the_papers() -> None:
    shapes = [tuple(weight.shape) for weight in perceptron(pictures(1, 28), seed=0).parameters() if weight.ndim == 2]
    assert shapes == [(1500, 784), (1000, 1500), (500, 1000), (10, 500)]


def test_the_convolutional_network_is_the_papers() -> None:
    net = convolutional(pictures(3, 32), seed=0)
    shapes = [tuple(net.get_submodule(name).weight.shape) for name in ("conv1", "conv2", "conv3", "dense", "output")]
    # 32 → 28 by the valid convolution → 14 → 7 by pooling
    assert shapes == [(64, 3, 5, 5), (128, 64, 5, 5), (256, 128, 3, 3), (500, 256 * 7 * 7), (10, 500)]
    assert net(torch.randn(4, 3, 32, 32)).shape == (4, 10) and net.training
    weight = net.get_submodule("conv2").weight.detach()
    assert float(weight.abs().max()) <= 0.2 and float(weight.std()) == pytest.approx(0.088, abs=0.002)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: perceptron(digits(), seed=seed, hidden=[20]),
        lambda seed: convolutional(digits(), seed=seed, channels=[(4, 3, 1), (8, 3, 1)]),
        lambda seed: CharacterLSTM(9, [5], seed=seed),
        lambda seed: perceptron(digits(), seed=seed, hidden=[20], init="torch"),
        lambda seed: convolutional(digits(), seed=seed, channels=[(4, 3, 1), (8, 3, 1)], init="torch"),
        lambda seed: CharacterLSTM(9, [5], seed=seed, init="keras"),
    ],
)
def test_weights_come_from_the_seed_alone(make) -> None:
    state = torch.get_rng_state()
    first, same, other = (torch.cat([w.flatten() for w in make(seed).parameters()]) for seed in (0, 0, 1))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "make",
    [
        lambda: perceptron(digits(), seed=0, hidden=[300, 200], init="torch"),
        lambda: convolutional(digits(), seed=0, channels=[(16, 3, 1), (24, 3, 1)], init="torch"),
    ],
)
def test_torchs_initialization_is_that_of_its_layers(make: Callable[[], nn.Sequential]) -> None:
    layers = [layer for layer in make() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) > 2
    for layer in layers:
        bound = layer.weight[0].numel() ** -0.5
        same = type(layer)(*_sizes(layer))  # as torch draws it
        for ours, torchs in zip(layer.parameters(), same.parameters(), strict=True):
            assert ours.shape == torchs.shape
            assert max(ours.abs().max().item(), torchs.abs().max().item()) <= bound
        for weight in (layer.weight, same.weight):
            assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def _sizes(layer: nn.Conv2d | nn.Linear) -> tuple[int, ...]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels, layer.kernel_size[0]


def test_keras_stands_for_orthogonal_columns_and_an_open_forget_gate() -> None:
    model = CharacterLSTM(30, [40, 20], seed=3, init="keras")
    for name, units, n_in in (("lstm1", 40, 30), ("lstm2", 20, 40)):
        weights = dict(model.get_submodule(name).named_parameters())
        inputs, recurrent, bias, other = (
            weights[key].detach() for key in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        )
        # torch adds its two biases; its gates are input, forget, cell, output
        gates = (bias + other).reshape(4, units)
        assert torch.equal(gates, torch.tensor([0.0, 1, 0, 0])[:, None].expand(4, units))
        bound = (6 / (n_in + 4 * units)) ** 0.5  # Glorot's, of Keras's one matrix for all gates
        assert 0.9 * bound < inputs.abs().max().item() <= bound
        assert torch.allclose(recurrent.T @ recurrent, torch.eye(units), atol=1e-5)
    assert model.output.bias.abs().max().item() == 0.0
    bound = (6 / 50) ** 0.5
    assert 0.9 * bound < model.output.weight.abs().max().item() <= bound


def test_torchs_lstm_has_uniform_weights_and_biases() -> None:
    model = CharacterLSTM(30, [16], seed=3)
    for weight in model.get_submodule("lstm1").parameters():
        assert 0.8 * 16**-0.5 < weight.abs().max().item() <= 16**-0.5
