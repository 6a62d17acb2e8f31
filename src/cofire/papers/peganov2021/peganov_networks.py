"""The paper's networks, as in its author's code: perceptron, convolutional network, LSTM."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ..training.datasets import Dataset
from ..training.models import Dropout, Init, draw_weights, mlp, n_features

HIDDEN = (1500, 1000, 500)
CHANNELS = ((64, 5, 0), (128, 5, 2), (256, 3, 1))
"""Channels, filter size and padding of the convolutions."""
DENSE = 500
SPREAD = 0.1


def perceptron(data: Dataset, *, seed: int, hidden: Sequence[int] = HIDDEN, init: Init = "normal") -> nn.Sequential:
    """Build I-1500-1000-500-O with ReLU and layers ``hidden1``, ..."""
    return mlp([data.train_x[0].numel(), *hidden, data.n_classes], seed=seed, init=init)


def convolutional(
    data: Dataset,
    *,
    seed: int,
    channels: Sequence[tuple[int, int, int]] = CHANNELS,
    init: Literal["truncated normal", "torch"] = "truncated normal",
) -> nn.Sequential:
    """Build convolutions ``conv1``, ..., all but the last pooled and normalized, then a layer ``dense``.

    Leaky ReLU follows every layer but the last. Weights are normal with deviation 0.1, truncated at twice that, and
    biases are 0.1; with ``init="torch"`` both are drawn as ``nn.Linear`` and ``nn.Conv2d`` do. The optimizer applies
    the paper's penalty of 0.03 on squared weights.

    Example:
        >>> from cofire.papers.training.datasets import digits
        >>> [name for name, _ in convolutional(digits(), seed=0, channels=[(4, 3, 1), (8, 3, 1)]).named_children()]
        ['conv1', 'act1', 'pool1', 'norm1', 'conv2', 'act2', 'flatten', 'norm2', 'dense', 'act3', 'output']
    """
    net, n_in = nn.Sequential(), data.train_x.shape[1]
    for number, (n_out, size, padding) in enumerate(channels, 1):
        net.add_module(f"conv{number}", skip_init(nn.Conv2d, n_in, n_out, size, padding=padding))
        net.add_module(f"act{number}", nn.LeakyReLU())
        if number < len(channels):
            net.add_module(f"pool{number}", nn.MaxPool2d(2))
            net.add_module(f"norm{number}", nn.BatchNorm2d(n_out))
        n_in = n_out
    net.add_module("flatten", nn.Flatten())
    n_flat = n_features(net, data.train_x.shape[1:])
    net.add_module(f"norm{len(channels)}", nn.BatchNorm1d(n_flat))
    net.add_module("dense", skip_init(nn.Linear, n_flat, DENSE))
    net.add_module(f"act{len(channels) + 1}", nn.LeakyReLU())
    net.add_module("output", skip_init(nn.Linear, DENSE, data.n_classes))
    if init == "torch":
        draw_weights(net, "leaky_relu", seed=seed, init="torch")
    else:
        _initialize(net, seed)
    return net


@torch.no_grad()
def _initialize(net: nn.Sequential, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD, generator=generator)
            if layer.bias is not None:
                layer.bias.fill_(SPREAD)


class CharacterLSTM(nn.Module):
    """A model of the next character: LSTM layers ``lstm1``, ..., each with dropout, and a linear output.

    Args:
        n_symbols: size of the vocabulary; characters are one-hot encoded.
        hidden: number of units of each layer.
        dropout: share of each layer's outputs dropped while training.
        seed: random seed for weights and masks.
        init: ``"torch"``: all weights and biases uniform in ±1/√(units). ``"keras"``: Glorot's uniform weights between
            layers, orthogonal ones within a layer (of all gates together), biases 0 but for 1 at the forget gates.

    Example:
        >>> model = CharacterLSTM(30, [8, 6], dropout=0.3, seed=0)
        >>> logits, state = model(torch.zeros(4, 10, dtype=torch.int64))
        >>> logits.shape, len(state)
        (torch.Size([4, 10, 30]), 2)
    """

    def __init__(
        self,
        n_symbols: int,
        hidden: Sequence[int],
        *,
        dropout: float = 0.0,
        seed: int = 0,
        init: Literal["torch", "keras"] = "torch",
    ) -> None:
        super().__init__()
        self.n_symbols, self.depth = n_symbols, len(hidden)
        for number, (n_in, n_out) in enumerate(zip([n_symbols, *hidden[:-1]], hidden, strict=True), 1):
            layer = nn.LSTM(n_in, n_out, batch_first=True, device="meta")  # on "meta", no weights are drawn
            self.add_module(f"lstm{number}", layer.to_empty(device="cpu"))
            self.add_module(f"drop{number}", Dropout(dropout, seed=1000 * seed + number))
        self.output: nn.Linear = skip_init(nn.Linear, hidden[-1], n_symbols)  # type: ignore[assignment]
        self._draw(seed) if init == "torch" else self._draw_as_keras(seed)

    @torch.no_grad()
    def _draw_as_keras(self, seed: int) -> None:
        """Draw weights as Keras does by default, from the seed's own generator."""
        generator = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.dim() == 1:
                weight.zero_()
                if "bias_ih" in name:  # torch orders the gates: input, forget, cell, output
                    weight[len(weight) // 4 : len(weight) // 2] = 1
            elif "weight_hh" in name:
                nn.init.orthogonal_(weight, generator=generator)  # of all four gates together
            else:
                nn.init.xavier_uniform_(weight, generator=generator)

    @torch.no_grad()
    def _draw(self, seed: int) -> None:
        """Draw weights uniform in ±1/√(units), as torch does, but from the seed's own generator."""
        generator = torch.Generator().manual_seed(seed)
        for layer in self.children():
            units = layer.hidden_size if isinstance(layer, nn.LSTM) else self.output.in_features
            for weight in layer.parameters():
                weight.uniform_(-(units**-0.5), units**-0.5, generator=generator)

    def forward(
        self, symbols: Tensor, state: Sequence[tuple[Tensor, Tensor] | None] | None = None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Return logits (batch, time, n_symbols) of the next characters, and the state after them.

        Args:
            symbols: int64, shape (batch, time).
            state: state that the previous call returned; defaults to zeros.
        """
        x = nn.functional.one_hot(symbols, self.n_symbols).to(self.output.weight.dtype)
        found: list[tuple[Tensor, Tensor]] = []
        for number, before in enumerate(state or [None] * self.depth, 1):
            x, after = self.get_submodule(f"lstm{number}")(x, before)
            x = self.get_submodule(f"drop{number}")(x)
            found.append(after)
        return self.output(x), found
