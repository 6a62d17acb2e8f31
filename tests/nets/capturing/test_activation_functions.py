"""Which activation function is found behind a layer, however it is applied."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import cofire


class Applied(nn.Module):
    def __init__(self, layer: nn.Module, act: object, before: nn.Module | None = None) -> None:
        super().__init__()
        self.layer, self.before = layer, before or nn.Identity()
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.before(self.layer(x)))


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class Gelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.04 * x.pow(3))))


FUNCTIONS = {
    "F.relu": F.relu, "F.relu in place": lambda x: F.relu(x, inplace=True), "x.relu()": lambda x: x.relu(),
    "x.relu_()": lambda x: x.relu_(), "torch.relu_": torch.relu_, "torch.tanh": torch.tanh, "F.gelu": F.gelu,
    "F.silu": F.silu, "F.leaky_relu": F.leaky_relu, "F.elu": F.elu, "F.selu": F.selu, "F.softplus": F.softplus,
    "F.mish": F.mish, "F.hardswish": F.hardswish, "F.relu6": F.relu6, "F.hardtanh": F.hardtanh,
    "F.softsign": F.softsign, "F.tanhshrink": F.tanhshrink, "F.logsigmoid": F.logsigmoid,
    "torch.sigmoid": torch.sigmoid, "x.sigmoid": Tensor.sigmoid, "expit": torch.special.expit, "sin": torch.sin,
    "F.threshold": lambda x: F.threshold(x, 0.1, 0.0), "clamp": lambda x: x.clamp(min=0),
    "swish": lambda x: x * torch.sigmoid(x), "sigmoid first": lambda x: x.sigmoid() * x,
    "sigmoid of a multiple": lambda x: x * torch.sigmoid(1.702 * x), "quotient": lambda x: x / (1 + torch.exp(-x)),
    "gelu by tanh": lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.04 * x.pow(3)))),
    "gelu by erf": lambda x: x * 0.5 * (1.0 + torch.erf(x / 1.4142)),
    "mish": lambda x: x * F.softplus(x).tanh(),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)), "leaky": lambda x: torch.max(x, 0.1 * x),
    "scalar maximum": lambda x: torch.maximum(torch.tensor(0.0), x), "where": lambda x: torch.where(x > 0, x, 0.0),
    "masked": lambda x: x.masked_fill(x < 0, 0.0), "step": lambda x: (x > 0).float() * x,
    "of a multiple": lambda x: torch.relu(2 * x - 1),
    "keyword": lambda x: F.relu(input=x), "F.softmax": lambda x: F.softmax(x, -1),
}  # fmt: skip

MODULES = [
    nn.ReLU(), nn.ReLU(inplace=True), nn.Tanh(), nn.GELU(), nn.SiLU(inplace=True), nn.PReLU(), nn.Sigmoid(), nn.ELU(),
    nn.LeakyReLU(), nn.Softplus(), nn.Softmax(-1), nn.LogSoftmax(-1), nn.Hardshrink(), nn.Softshrink(), nn.Mish(),
    nn.Threshold(0.1, 0), nn.CELU(), nn.Hardsigmoid(), nn.LogSigmoid(), nn.Tanhshrink(), nn.Softmin(-1),
    Swish(), Gelu(),
]  # fmt: skip


@pytest.mark.parametrize("act", [*FUNCTIONS.values(), *MODULES], ids=[*FUNCTIONS, *map(str, MODULES)])
def test_post_is_the_activations_output(act):
    model, x = Applied(nn.Linear(8, 6), act), torch.randn(5, 8)
    with torch.no_grad(), cofire.capture(model, ["layer", "layer:pre"]) as acts:
        y = model(x)
    assert torch.equal(acts["layer:pre"], model.layer(x).detach())
    assert torch.equal(acts["layer"], y)
    assert not torch.equal(acts["layer"], acts["layer:pre"])


FIRST = {
    "a check": lambda x: F.relu(x) if x.max() < 1e9 else x, "greatest": lambda x: (F.relu(x), x.max())[0],
    "over the batch": lambda x: (y := F.relu(x), y.max(0).values)[0],
    "places": lambda x: (y := F.relu(x), torch.where(y > 0))[0],
    "dead units": lambda x: (F.relu(x), torch.where(x > 0, 1.0, 0.0).mean())[0],
    "power": lambda x: (F.relu(x), x * x.abs())[0], "another gate": lambda x: (F.relu(x), x * torch.erf(x))[0],
    "a threshold": lambda x: (F.relu(x), torch.where(x > 1, x, 0.0))[0],
    "a sigmoid": lambda x: (F.relu(x), x * torch.tanh(x))[0],
    "blank": lambda x: (torch.tanh(torch.zeros_like(x)), F.relu(x))[1],
}  # fmt: skip


@pytest.mark.parametrize("act", FIRST.values(), ids=FIRST)
def test_what_is_computed_beside_an_activation_is_none(act):
    model, x = Applied(nn.Linear(8, 6), act), torch.randn(5, 8)
    with torch.no_grad(), cofire.capture(model, "layer") as acts:
        model(x)
    assert torch.equal(acts["layer"], model.layer(x).relu().detach())


IN_PLACE = {
    "gate": lambda x: x.mul_(x.sigmoid()), "operator": lambda x: x.__imul__(torch.sigmoid(x)),
    "on the gate": lambda x: x.sigmoid().mul_(x), "half first": lambda x: (0.5 * x).mul_(1 + torch.erf(x / 1.4142)),
    "shifted": lambda x: x.add_(1).relu(),
}  # fmt: skip


@pytest.mark.parametrize("act", IN_PLACE.values(), ids=IN_PLACE)
def test_activations_written_out_in_place(act):
    model, x = Applied(nn.Linear(8, 6), act), torch.randn(5, 8)
    with torch.no_grad(), cofire.capture(model, "layer") as acts:
        y = model(x).clone()
    assert torch.equal(acts["layer"], y)


class OwnSigmoid(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)


@pytest.mark.parametrize("sigmoid", [nn.Sigmoid(), OwnSigmoid()])
def test_a_gate_whose_sigmoid_is_a_module(sigmoid):
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.sigmoid = nn.Linear(8, 6), sigmoid

        def forward(self, x: Tensor) -> Tensor:
            h = self.layer(x)
            return h * self.sigmoid(h)

    model = Gated()
    with torch.no_grad(), cofire.capture(model, "layer") as acts:
        y = model(torch.randn(5, 8))
    assert torch.equal(acts["layer"], y)


BEFORE = [
    (nn.Linear(8, 6), nn.BatchNorm1d(6), (5, 8)),
    (nn.Linear(8, 6), nn.LayerNorm(6), (5, 8)),
    (nn.Linear(8, 6), nn.RMSNorm(6), (5, 8)),
    (nn.Linear(8, 6), nn.Dropout(0.5), (5, 8)),
    (nn.Linear(8, 6), nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.5)), (5, 8)),
    (nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), (5, 2, 8, 8)),
    (nn.Conv2d(2, 6, 3), nn.GroupNorm(2, 6), (5, 2, 8, 8)),
    (nn.Conv2d(2, 6, 3), nn.InstanceNorm2d(6), (5, 2, 8, 8)),
    (nn.Conv2d(2, 6, 3), nn.MaxPool2d(2), (5, 2, 8, 8)),
    (nn.Conv1d(2, 6, 3), nn.AvgPool1d(2), (5, 2, 8)),
]


@pytest.mark.parametrize(("layer", "before", "shape"), BEFORE, ids=lambda one: str(one).split("(")[0])
@pytest.mark.parametrize("act", [F.relu, nn.ReLU(inplace=True)], ids=["function", "in place"])
def test_normalization_dropout_and_pooling_are_looked_through(layer, before, shape, act):
    model = Applied(layer, act, before)
    with torch.no_grad(), cofire.capture(model, "layer") as acts:
        y = model(torch.randn(shape))
    assert torch.equal(acts["layer"], y.movedim(1, -1).reshape(-1, 6))


@pytest.mark.parametrize(
    "behind",
    [
        lambda u: torch.relu(u + torch.ones(6)),
        lambda u: u.add_(torch.ones(6)).relu(),
        lambda u: torch.relu(u[:, :3]),
        lambda u: u * 2,
        lambda u: u[:, :3] * torch.sigmoid(u[:, 3:]),
        lambda u: F.glu(u),
        lambda u: torch.where(torch.ones_like(u) + torch.rand(6) > 0, u, 0.0),
        lambda u: u.square(),
        lambda u: u.max(-1).values,
        lambda u: (u - u.max(-1, keepdim=True).values).exp(),
        lambda u: torch.relu((u - u.mean(-1, keepdim=True)) / u.std(-1, keepdim=True)),
        lambda u: u / u.abs().max(),
        lambda u: torch.where(u > 0),
        lambda u: torch.where(torch.rand_like(u) < 0.5, u, torch.zeros_like(u)),
    ],
    ids=[
        "sum",
        "sum in place",
        "a part",
        "no activation",
        "a gated part",
        "halves that gate each other",
        "masked from outside",
        "a square",
        "greatest",
        "stable exponential",
        "normalized",
        "scaled by its greatest",
        "places",
        "dropped",
    ],
)
@pytest.mark.parametrize("n_samples", [5, 1])
def test_what_is_no_longer_the_layers_output_is_not_followed(behind, n_samples):
    model, x = Applied(nn.Linear(8, 6), behind), torch.randn(n_samples, 8)
    with torch.no_grad(), cofire.capture(model, "layer") as acts:
        model(x)
    assert torch.equal(acts["layer"], model.layer(x).detach())


def test_only_the_first_activation_counts():
    model, x = Applied(nn.Linear(8, 6), lambda u: (torch.tanh(u), torch.relu(u))[0]), torch.randn(5, 8)
    with torch.no_grad(), cofire.capture(model, "layer") as acts:
        y = model(x)
    assert torch.equal(acts["layer"], y)


def test_a_gate_that_another_layer_computes_does_not_count():
    model, gate, x = nn.Linear(8, 6), nn.Linear(6, 6), torch.randn(5, 8)

    class Excited(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.gate = model, gate

        def forward(self, x: Tensor) -> Tensor:
            h = self.layer(x)
            return h * torch.sigmoid(self.gate(h))

    with torch.no_grad(), cofire.capture(excited := Excited(), ["layer", "gate"]) as acts:
        excited(x)
    assert torch.equal(acts["layer"], model(x).detach())
    assert torch.equal(acts["gate"], gate(model(x)).sigmoid().detach())


def test_a_layer_behind_a_written_out_activation_is_its_own():
    act = FUNCTIONS["swish"]

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 6), nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.b(act(self.a(x))) * 0.5)

    model, x = Two(), torch.randn(5, 8)
    with torch.no_grad(), cofire.capture(model, "*") as acts:
        y = model(x)
    assert torch.equal(acts["a"], act(model.a(x)).detach()) and torch.equal(acts["b"], y)


def test_what_the_loss_applies_to_the_output_does_not_count():
    model, x = nn.Sequential(nn.Linear(8, 6)), torch.randn(5, 8)
    with torch.no_grad(), cofire.capture(model) as acts:
        y = model(x)
        torch.sigmoid(y)
    assert torch.equal(acts["0"], y)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.bn1, self.bn2, self.relu = nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x
        return self.relu(out)


def test_a_residual_block():
    model, x = Residual().eval(), torch.randn(2, 4, 5, 6)
    asked = ["conv*", "relu", "bn2"]
    with torch.no_grad(), cofire.capture(model, asked, per_call=True) as acts, cofire.capture(model) as default:
        y = model(x)
    assert list(default) == ["conv1", "conv2"]
    with torch.no_grad():
        u2 = model.conv2(F.relu(model.bn1(model.conv1(x))))

    def rows(tensor: Tensor) -> Tensor:
        return tensor.movedim(1, -1).reshape(-1, 4)

    assert torch.equal(acts["relu#1"], rows(y))  # channels, though a sum lies between
    assert torch.equal(acts["relu#0"], acts["conv1#0"])
    assert torch.equal(acts["conv2#0"], rows(u2))
    assert torch.equal(acts["bn2#0"], rows(model.bn2(u2)))


@pytest.mark.parametrize("stage", ["pre", "post"])
def test_units_of_activation_modules_follow_the_layer_before(stage):
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc, self.act1, self.act2 = nn.Conv1d(2, 4, 3), nn.Linear(4, 6), nn.ReLU(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act2(self.fc(self.act1(self.conv(x)).transpose(1, 2)))

    model = Mixed()
    with cofire.capture(model, nn.ReLU, stage=stage) as acts:
        model(torch.randn(5, 2, 9))
    assert acts["act1"].shape == (35, 4)
    assert acts["act2"].shape == (35, 6)


def test_transformer_feed_forward_sees_its_functional_activation():
    layer, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(3, 5, 8)
    with torch.no_grad(), cofire.capture(layer) as acts, cofire.capture(layer, "") as whole:
        y = layer(x)
    assert acts["linear1"].min() == 0
    assert torch.equal(whole[""], y.reshape(15, 8))
    assert list(acts) == ["self_attn", "linear1", "linear2"]
