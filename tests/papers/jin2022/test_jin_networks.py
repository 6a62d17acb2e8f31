import pytest
import torch

from cofire.papers.jin2022.jin_networks import FILTER_SIZES, HIDDEN, epochs_shown, network, penultimate
from cofire.papers.training.datasets import digits


@pytest.mark.parametrize("name", [*HIDDEN, *FILTER_SIZES])
def test_every_network_runs_and_is_its_seeds(name) -> None:
    data = digits()
    a, b, other = (network(name, data, activation="tanh", seed=seed) for seed in (1, 1, 2))
    x = data.test_x[:5]
    assert a.eval()(x).shape == (5, 10) and penultimate(name) in dict(a.named_children())
    assert torch.equal(a.eval()(x), b.eval()(x)) and not torch.equal(a(x), other.eval()(x))


@pytest.mark.parametrize(("name", "size"), FILTER_SIZES.items())
def test_convolutions_have_the_papers_filters_and_dropout(name, size) -> None:
    layers = dict(network(name, digits(), activation="relu", seed=0).named_children())
    assert [layers[f"conv{n}"].weight.shape for n in (1, 2, 3)] == [
        (32, 1, size, size),
        (64, 32, size, size),
        (128, 64, size, size),
    ]
    assert [layers[f"drop{n}"].p for n in (1, 2, 3)] == [0.2, 0.3, 0.4]
    assert layers["conv2"].weight.std().item() == pytest.approx((2 / (32 * size**2)) ** 0.5, rel=0.05)


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ValueError, match="the paper's networks are N1"):
        network("N9", digits(), activation="relu", seed=0)


def test_epochs_end_with_the_last() -> None:
    assert epochs_shown(1) == [0, 1]
    assert len(epochs_shown(10_000)) < 45
