"""The papers' networks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "identity": nn.Identity}


def mlp(widths: Sequence[int], *, activation: str = "relu", seed: int = 0) -> nn.Sequential:
    """A fully-connected network with named layers ``flatten``, ``hidden1``, ``act1``, ..., ``output``.

    Weights are normal with variance 2/fan-in (He) before a ReLU and 1/fan-in otherwise; biases are 0.

    Args:
        widths: units of the input, of each hidden layer and of the output.
        activation: ``"relu"``, ``"tanh"`` or ``"identity"``, after each hidden layer.
        seed: of the weights; the global generator is left alone.

    Raises:
        ValueError: for fewer than two widths, a width below 1, or an unknown activation.

    Example:
        >>> [name for name, _ in mlp([64, 32, 10]).named_children()]
        ['flatten', 'hidden1', 'act1', 'output']
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths must be at least two whole numbers from 1 on, got {list(widths)}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential()
    network.add_module("flatten", nn.Flatten())
    for number, (n_in, n_out) in enumerate(pairwise(widths[:-1]), 1):
        network.add_module(f"hidden{number}", _linear(n_in, n_out, 2.0 if activation == "relu" else 1.0, generator))
        network.add_module(f"act{number}", ACTIVATIONS[activation]())
    network.add_module("output", _linear(widths[-2], widths[-1], 1.0, generator))
    return network


def _linear(n_in: int, n_out: int, gain: float, generator: torch.Generator) -> nn.Linear:
    layer = cast(nn.Linear, nn.utils.skip_init(nn.Linear, n_in, n_out))
    with torch.no_grad():
        layer.weight.normal_(0.0, (gain / n_in) ** 0.5, generator=generator)
        layer.bias.zero_()
    return layer
