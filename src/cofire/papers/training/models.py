"""Perceptrons, initializers and reproducible dropout for the papers' networks."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}
_GAINS = {"relu": 2.0, "leaky_relu": 2.0}
Init = Literal["normal", "torch"]


class Dropout(nn.Dropout):
    """Dropout with its own random generator: a network's masks are the same whatever runs beside it.

    Args:
        p: probability that a unit is dropped.
        seed: random seed for the masks.

    Example:
        >>> x = torch.ones(2, 3)
        >>> torch.equal(Dropout(0.5, seed=1)(x), Dropout(0.5, seed=1)(x))
        True
    """

    def __init__(self, p: float, *, seed: int) -> None:
        super().__init__(p)
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, input: Tensor) -> Tensor:
        """Apply dropout while training, with the kept units rescaled."""
        return input * self.mask(input.shape).to(input.device) if self.training and self.p > 0 else input

    def mask(self, shape: Sequence[int]) -> Tensor:
        """Draw the next mask, with values 0 and 1/(1 − p), on the CPU: it is the same for every device."""
        return (torch.rand(shape, generator=self.generator) >= self.p) / (1 - self.p)


def mlp(
    widths: Sequence[int],
    *,
    activation: str = "relu",
    seed: int = 0,
    init: Init = "normal",
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> nn.Sequential:
    """Build a fully connected network with layers named ``flatten``, ``hidden1``, ``act1``, ..., ``output``.

    Args:
        widths: number of units of the input, of each hidden layer and of the output.
        activation: ``"relu"``, ``"leaky_relu"``, ``"tanh"`` or ``"identity"``, after each hidden layer.
        seed: random seed for weights and dropout masks; the global generator is not used.
        init: ``"normal"``: weights normal with variance 2/fan-in (He) before a (leaky) ReLU and 1/fan-in otherwise,
            biases 0. ``"torch"``: weights and biases uniform in ±1/√fan-in, as in ``nn.Linear``.
        dropout: share of units dropped after each activation, in layers ``drop1``, ...
        batch_norm: whether to normalize before each activation, in layers ``norm1``, ...

    Raises:
        ValueError: for fewer than two widths, a width below 1, or an unknown activation or init.

    Example:
        >>> [name for name, _ in mlp([64, 32, 10]).named_children()]
        ['flatten', 'hidden1', 'act1', 'output']
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths must be at least two positive integers, got {list(widths)}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    if init not in ("normal", "torch"):
        raise ValueError(f"init must be 'normal' or 'torch', got {init!r}")
    network = nn.Sequential()
    network.add_module("flatten", nn.Flatten())
    for number, (n_in, n_out) in enumerate(pairwise(widths[:-1]), 1):
        network.add_module(f"hidden{number}", skip_init(nn.Linear, n_in, n_out))
        if batch_norm:
            network.add_module(f"norm{number}", nn.BatchNorm1d(n_out))
        network.add_module(f"act{number}", ACTIVATIONS[activation]())
        if dropout:
            network.add_module(f"drop{number}", Dropout(dropout, seed=1000 * seed + number))
    network.add_module("output", skip_init(nn.Linear, widths[-2], widths[-1]))
    draw_weights(network, activation, seed=seed, init=init)
    return network


@torch.no_grad()
def draw_weights(net: nn.Sequential, activation: str, *, seed: int, init: Init = "normal") -> None:
    """Draw the weights of linear layers and convolutions, in order, by one of `mlp`'s initializations.

    With ``"normal"``, the layer named ``output``, which no activation follows, has variance 1/fan-in.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, layer in net.named_children():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        fan_in = layer.weight[0].numel()
        if init == "torch":
            for part in layer.parameters():
                part.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)
        else:
            gain = 1.0 if name == "output" else _GAINS.get(activation, 1.0)
            layer.weight.normal_(0.0, (gain / fan_in) ** 0.5, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()


@torch.no_grad()
def n_features(net: nn.Module, shape: torch.Size) -> int:
    """Return the number of features that a network computes from an input of this shape, and leave it in train mode."""
    features = net.eval()(torch.zeros(1, *shape)).shape[1]  # in eval mode, batch norm accepts and keeps its statistics
    net.train()
    return features


INITIALIZERS: dict[str, Callable[..., Tensor]] = {
    "uniform": partial(nn.init.uniform_, a=-0.05, b=0.05),
    "truncated normal": partial(nn.init.trunc_normal_, std=0.05, a=-0.1, b=0.1),
    "Xavier": nn.init.xavier_uniform_,
    "He normal": nn.init.kaiming_normal_,
}
"""Functions of a weight and a ``generator`` that draw in place; the first two have a spread of 0.05, as in Keras."""
