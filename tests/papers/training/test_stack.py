import pytest
import torch
from torch import nn

from cofire.papers.training.models import ACTIVATIONS, mlp
from cofire.papers.training.stack import Stack, stackable


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("options", [{}, {"dropout": 0.5}, {"batch_norm": True}])
def test_each_network_computes_what_it_computes_alone(activation: str, options: dict[str, float]) -> None:
    made = [[mlp([6, 5, 4, 3], activation=activation, seed=seed, **options) for seed in range(3)] for _ in range(2)]
    stack, x = Stack(made[0]), torch.randn(3, 10, 2, 3)
    for mode in (True, False):
        stack.train(mode)
        outputs, kept = stack(x, keep=["act2"])
        for index, model in enumerate(made[1]):
            model.train(mode)
            torch.testing.assert_close(outputs[index], model(x[index]))
        assert kept["act2"].shape == (3, 10, 4)
    for mine, theirs in zip(*made, strict=True):  # running statistics too
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(mine.state_dict()[name], value)


def test_the_networks_are_views_of_the_stack() -> None:
    models = [mlp([4, 3, 2], seed=seed) for seed in range(2)]
    stack, x = Stack(models), torch.randn(2, 5, 4)
    stack(x).square().sum().backward()
    with torch.no_grad():
        for weight in stack.parameters:
            weight -= 0.1 * weight.grad
    for index, model in enumerate(models):
        torch.testing.assert_close(stack(x)[index], model(x[index]))


def test_a_linear_layer_may_have_no_bias() -> None:
    models = [nn.Sequential(nn.Linear(3, 2, bias=False)) for _ in range(2)]
    x = torch.randn(2, 4, 3)
    torch.testing.assert_close(Stack(models)(x)[1], models[1](x[1]))


def test_networks_that_cannot_be_stacked_are_errors() -> None:
    with pytest.raises(ValueError, match="at least one network"):
        Stack([])
    with pytest.raises(ValueError, match="must have one architecture"):
        Stack([mlp([4, 3, 2]), mlp([4, 5, 2])])
    convolution = nn.Sequential(nn.Conv2d(1, 1, 3))
    assert not stackable(convolution) and not stackable(nn.Linear(2, 2)) and not stackable(nn.Sequential(nn.Dropout()))
    with pytest.raises(ValueError, match=r"accepts nn\.Sequential"):
        Stack([convolution])
