"""The papers' networks."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}
_GAINS = {"relu": 2.0, "leaky_relu": 2.0}
Init = Literal["normal", "torch"]


class Dropout(nn.Dropout):
    """Dropout whose masks come from a generator of its own, so that a network's are the same whatever runs beside it.

    Args:
        p: the probability that a unit is dropped.
        seed: of the masks.

    Example:
        >>> x = torch.ones(2, 3)
        >>> torch.equal(Dropout(0.5, seed=1)(x), Dropout(0.5, seed=1)(x))
        True
    """

    def __init__(self, p: float, *, seed: int) -> None:
        super().__init__(p)
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, input: Tensor) -> Tensor:
        """The input, dropped and rescaled while training."""
        return input * self.mask(input.shape) if self.training and self.p > 0 else input

    def mask(self, shape: Sequence[int]) -> Tensor:
        """The next mask: 0, or 1/(1 − p)."""
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
    """A fully-connected network with named layers ``flatten``, ``hidden1``, ``act1``, ..., ``output``.

    Args:
        widths: units of the input, of each hidden layer and of the output.
        activation: ``"relu"``, ``"leaky_relu"``, ``"tanh"`` or ``"identity"``, after each hidden layer.
        seed: of the weights and of the dropout's masks; the global generator is left alone.
        init: ``"normal"``: weights normal with variance 2/fan-in (He) before a (leaky) ReLU and 1/fan-in otherwise,
            biases 0. ``"torch"``: weights and biases uniform in ±1/√fan-in, as ``nn.Linear`` has them.
        dropout: the share of units dropped behind each activation; layers ``drop1``, ...
        batch_norm: whether to normalize before each activation; layers ``norm1``, ...

    Raises:
        ValueError: for fewer than two widths, a width below 1, or an unknown activation or init.

    Example:
        >>> [name for name, _ in mlp([64, 32, 10]).named_children()]
        ['flatten', 'hidden1', 'act1', 'output']
    """
    _check(widths, activation, init)
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential()
    network.add_module("flatten", nn.Flatten())
    for number, (n_in, n_out) in enumerate(pairwise(widths[:-1]), 1):
        layer = _linear(n_in, n_out, _GAINS.get(activation, 1.0), init, generator)
        network.add_module(f"hidden{number}", layer)
        if batch_norm:
            network.add_module(f"norm{number}", nn.BatchNorm1d(n_out))
        network.add_module(f"act{number}", ACTIVATIONS[activation]())
        if dropout:
            network.add_module(f"drop{number}", Dropout(dropout, seed=1000 * seed + number))
    network.add_module("output", _linear(widths[-2], widths[-1], 1.0, init, generator))
    return network


def _check(widths: Sequence[int], activation: str, init: str) -> None:
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths must be at least two whole numbers from 1 on, got {list(widths)}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    if init not in ("normal", "torch"):
        raise ValueError(f"init must be 'normal' or 'torch', got {init!r}")


def _linear(n_in: int, n_out: int, gain: float, init: Init, generator: torch.Generator) -> nn.Linear:
    layer = cast(nn.Linear, nn.utils.skip_init(nn.Linear, n_in, n_out))
    with torch.no_grad():
        if init == "torch":
            for part in (layer.weight, layer.bias):
                part.uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)
        else:
            layer.weight.normal_(0.0, (gain / n_in) ** 0.5, generator=generator)
            layer.bias.zero_()
    return layer


@torch.no_grad()
def draw_weights(net: nn.Sequential, activation: str, generator: torch.Generator) -> None:
    """Weights of linear layers and convolutions as `mlp` draws them; the layer ``output`` has variance 1/fan-in."""
    for name, layer in net.named_children():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            gain = 1.0 if name == "output" else _GAINS.get(activation, 1.0)
            layer.weight.normal_(0.0, (gain / layer.weight[0].numel()) ** 0.5, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()


def _truncated_normal(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.trunc_normal_(weight, std=0.05, a=-0.1, b=0.1, generator=generator)


INITIALIZERS: dict[str, Callable[[Tensor, torch.Generator], object]] = {
    "uniform": lambda weight, generator: nn.init.uniform_(weight, -0.05, 0.05, generator=generator),
    "truncated normal": _truncated_normal,
    "Xavier": lambda weight, generator: nn.init.xavier_uniform_(weight, generator=generator),
    "He normal": lambda weight, generator: nn.init.kaiming_normal_(weight, generator=generator),
}
"""How weights may be drawn, in place; "uniform" and "truncated normal" have a spread of 0.05, as Keras' have."""
