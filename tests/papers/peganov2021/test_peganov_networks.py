import pytest
import torch

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
    ],
)
def test_weights_come_from_the_seed_alone(make) -> None:
    state = torch.get_rng_state()
    first, same, other = (torch.cat([w.flatten() for w in make(seed).parameters()]) for seed in (0, 0, 1))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
