"""Networks with units planted that others explain, one for each way units may take to the next layer."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional


@torch.no_grad()
def plant(layer: nn.Module, copies: dict[int, tuple[int, float]], constants: tuple[int, ...] = ()) -> None:
    """Make unit r ``scale`` times unit s before the activation, and others constant."""
    axis = 1 if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d) else 0
    weight = layer.weight.movedim(axis, 0)
    for unit, (source, scale) in copies.items():
        weight[unit] = scale * weight[source]
        if layer.bias is not None:
            layer.bias[unit] = scale * layer.bias[source]
    for unit in constants:
        weight[unit] = 0.0


@torch.no_grad()
def settle(model: nn.Module, x: Tensor) -> nn.Module:
    """Give normalizations running statistics and scales of their own, the same for copies."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.weight.fill_(1.3)
            module.bias.fill_(0.2)
    model.train()
    for _ in range(5):
        model(x)
    return model.eval()


class OwnForward(nn.Module):
    """Functional steps, a shape that is read, an optional argument, a dropout that follows the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.fc1 = nn.Linear(6 * 9, 7)
        self.head = nn.Linear(7, 3)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        h = functional.max_pool2d(functional.relu(self.norm(self.conv(x))), 2)
        h = functional.dropout(h, 0.5, self.training)
        h = h.view(h.size(0), -1)
        h = torch.tanh(self.fc1(h)) * 2 + 0.5
        if mask is not None:
            h = h * mask
        return self.head(h)


@dataclass(frozen=True)
class Case:
    """A network, its input, and the units planted in the layer named."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    layer: str
    copies: dict[int, tuple[int, float]]
    constants: tuple[int, ...] = ()

    def model_and_input(self) -> tuple[nn.Module, Tensor]:
        torch.manual_seed(1)
        model, x = self.make().double(), torch.randn(*self.shape, dtype=torch.float64)
        plant(model.get_submodule(self.layer), self.copies, self.constants)
        return settle(model, x), x

    @property
    def removable(self) -> int:
        return len(self.copies) + len(self.constants)


POSITIVE = {3: (0, 2.0), 4: (1, 0.5)}
ANY_SIGN = {3: (0, -2.0), 4: (1, 0.5)}
Seq = nn.Sequential

CASES = [
    Case("no activation", lambda: Seq(nn.Linear(5, 6), nn.Linear(6, 3)), (80, 5), "0", ANY_SIGN, (2,)),
    Case("relu", lambda: Seq(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)), (80, 5), "0", POSITIVE, (2,)),
    Case("tanh negated", lambda: Seq(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)), (80, 5), "0", {3: (0, -1.0)}, (2,)),
    Case("prelu", lambda: Seq(nn.Linear(5, 6), nn.PReLU(), nn.Linear(6, 3)), (80, 5), "0", POSITIVE),
    Case("prelu by unit", lambda: Seq(nn.Linear(5, 6), nn.PReLU(6), nn.Linear(6, 3)), (80, 5), "0", POSITIVE),
    Case(
        "norm, relu, dropout",
        lambda: Seq(nn.Linear(5, 6), nn.ReLU(), nn.BatchNorm1d(6), nn.Dropout(), nn.Linear(6, 3)),
        (80, 5),
        "0",
        POSITIVE,
        (2,),
    ),
    Case("tokens", lambda: Seq(nn.Linear(5, 6), nn.GELU(), nn.Linear(6, 3)), (8, 9, 5), "0", {3: (0, 1.0)}, (5,)),
    Case(
        "tokens flattened",
        lambda: Seq(nn.Linear(5, 6), nn.Tanh(), nn.Flatten(), nn.Linear(24, 3)),
        (60, 4, 5),
        "0",
        {3: (0, -1.0)},
        (5,),
    ),
    Case("bias-free", lambda: Seq(nn.Linear(5, 6, False), nn.ReLU(), nn.Linear(6, 3, False)), (80, 5), "0", POSITIVE),
    Case("conv", lambda: Seq(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 3, 3)), (6, 2, 8, 8), "0", POSITIVE, (2,)),
    Case(
        "conv, padded",
        lambda: Seq(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=1, stride=2)),
        (6, 2, 8, 8),
        "0",
        POSITIVE,
    ),
    Case(
        "conv, reflected",
        lambda: Seq(nn.Conv1d(2, 6, 3), nn.Sigmoid(), nn.Conv1d(6, 3, 3, padding=1, padding_mode="reflect")),
        (6, 2, 20),
        "0",
        {3: (0, 1.0)},
        (2,),
    ),
    Case(
        "conv, norm, pool, flatten",
        lambda: Seq(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(54, 3)),
        (40, 2, 8, 8),
        "0",
        ANY_SIGN,
        (2,),
    ),
    Case(
        "conv, flatten, norm",
        lambda: Seq(nn.Conv1d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(48), nn.Dropout(), nn.Linear(48, 3)),
        (40, 2, 10),
        "0",
        {},
        (),
    ),
    Case(
        "conv, instance norm",
        lambda: Seq(nn.Conv2d(2, 6, 3), nn.InstanceNorm2d(6, eps=1e-12), nn.ReLU(), nn.Conv2d(6, 3, 3)),
        (6, 2, 9, 9),
        "0",
        POSITIVE,
    ),
    Case(
        "conv transposed",
        lambda: Seq(nn.ConvTranspose2d(2, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 3, 3, stride=2)),
        (6, 2, 5, 5),
        "0",
        POSITIVE,
    ),
    Case("own forward, conv", OwnForward, (60, 2, 8, 8), "conv", {3: (0, 1.0), 4: (1, 1.0)}, (2,)),
    Case("own forward, linear", OwnForward, (60, 2, 8, 8), "fc1", {3: (0, -1.0), 4: (1, 1.0)}, (2,)),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name.replace(" ", "_"))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param
