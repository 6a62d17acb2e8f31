"""Layers of every kind, an input for each, and what their rows must be, computed by hand."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[], nn.Module]
    input: tuple[int, ...] | Tensor
    expected: Callable[[nn.Module, Tensor], Tensor]

    def x(self) -> Tensor:
        return self.input if isinstance(self.input, Tensor) else torch.randn(self.input)


def _channels(axis: int) -> Callable[[nn.Module, Tensor], Tensor]:
    return lambda layer, x: torch.stack([c.flatten() for c in layer(x).unbind(axis)], dim=1)


def _last(layer: nn.Module, x: Tensor) -> Tensor:
    output = layer(x)
    output = output[0] if isinstance(output, tuple) else output
    return output.reshape(-1, output.shape[-1])


CASES = [
    Case("linear", lambda: nn.Linear(8, 5), (3, 8), _last),
    Case("linear over time", lambda: nn.Linear(8, 5), (3, 4, 8), _last),
    Case("linear, one vector", lambda: nn.Linear(8, 5), (8,), _last),
    Case("conv1d", lambda: nn.Conv1d(2, 5, 3), (3, 2, 9), _channels(1)),
    Case("conv2d", lambda: nn.Conv2d(2, 5, 3), (3, 2, 7, 6), _channels(1)),
    Case("conv3d", lambda: nn.Conv3d(2, 5, 2), (3, 2, 4, 5, 3), _channels(1)),
    Case("conv1d unbatched", lambda: nn.Conv1d(2, 5, 3), (2, 9), _channels(0)),
    Case("conv2d unbatched", lambda: nn.Conv2d(2, 5, 3), (2, 7, 6), _channels(0)),
    Case("conv transposed", lambda: nn.ConvTranspose2d(2, 5, 3), (3, 2, 4, 4), _channels(1)),
    Case("conv lazy", lambda: nn.LazyConv2d(5, 3), (3, 2, 4, 4), _channels(1)),
    Case("rnn", lambda: nn.RNN(8, 5), (6, 3, 8), _last),
    Case("lstm", lambda: nn.LSTM(8, 5, batch_first=True), (3, 6, 8), _last),
    Case("gru both ways", lambda: nn.GRU(8, 5, bidirectional=True), (6, 3, 8), _last),
    Case("lstm cell", lambda: nn.LSTMCell(8, 5), (3, 8), _last),
    Case("transformer", lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), (4, 3, 8), _last),
    Case(
        "transformer, batch first",
        lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True),
        (4, 3, 8),
        _last,
    ),
    Case("embedding", lambda: nn.Embedding(7, 5), torch.tensor([[1, 2, 3], [0, 6, 6]]), _last),
    Case("layer norm", lambda: nn.LayerNorm(8), (3, 4, 8), _last),
    Case("rms norm", lambda: nn.RMSNorm(8), (3, 4, 8), _last),
    Case("batch norm", lambda: nn.BatchNorm2d(2), (3, 2, 4, 4), _channels(1)),
    Case("batch norm of vectors", lambda: nn.BatchNorm1d(8), (5, 8), _last),
    Case("group norm", lambda: nn.GroupNorm(2, 4), (3, 4, 5), _channels(1)),
    Case("instance norm", lambda: nn.InstanceNorm1d(4, affine=True), (3, 4, 5), _channels(1)),
    Case("instance norm unbatched", lambda: nn.InstanceNorm1d(4, affine=True), (4, 5), _channels(0)),
]


class Net(nn.Module):
    """Functional, module and in-place activations, one behind a normalization, one layer without."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.bn, self.fc2, self.fc3 = nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.drop, self.act = nn.Dropout(0.5), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.bn(self.fc1(x)))
        return self.fc3(self.drop(self.act(self.fc2(h))))


def hooks(model: nn.Module) -> int:
    """How many hooks the model carries."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_always_called")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)


@pytest.fixture(params=CASES, ids=lambda case: case.name.replace(" ", "_"))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def n_hooks() -> Callable[[nn.Module], int]:
    return hooks
