"""What is cut, and what is left with which reason: soundness first."""

from collections.abc import Callable

import pytest
import torch
from cofire.nets.surgery.cut_layers import Layout
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune

from cofire.nets.surgery import fold, links

Seq = nn.Sequential


class Net(nn.Module):
    """Two linear layers, a convolution and whatever forward a case gives."""

    def __init__(self, forward: Callable[["Net", Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.conv, self.conv2, self.last = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 2)
        self.wide = nn.Linear(4 * 9, 2)
        self.scale = nn.Parameter(torch.ones(6))
        self.size, self.both = nn.Linear(6, 6), nn.Bilinear(6, 6, 2)
        self.body = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def residual(m: Net, x: Tensor) -> Tensor:
    h = m.a(x)
    return m.c(h + m.b(h).relu())


def branches(m: Net, x: Tensor) -> Tensor:
    h = m.a(x)
    return m.b(h.relu()) + m.c(h.tanh())


def twice(m: Net, x: Tensor) -> Tensor:
    return m.c(m.a(m.a(x)))


def in_mode(m: Net, x: Tensor) -> Tensor:
    return m.c(m.a(x).relu() if m.training else torch.softmax(m.a(x), -1))


def of_data(m: Net, x: Tensor) -> Tensor:
    return m.c(m.a(x)) if x.sum() > 0 else m.c(x)


LEFT = [
    ("residual", residual, "a", "joined with others by add"),
    ("residual inner", residual, "b", "joined with others by add"),
    ("outputs", residual, "c", "the network's outputs"),
    ("never called", residual, "conv", "forward does not call it"),
    ("branches", branches, "a", "different paths"),
    ("called twice", twice, "a", "runs 2 times"),
    ("mode", in_mode, "a", "softmax"),
    (
        "next by mode",
        lambda m, x: (m.c if m.training else m.b)(m.a(x)),
        "a",
        "differently in training and in eval mode",
    ),
    ("unused", lambda m, x: (m.a(x).relu(), m.c(x))[1], "a", "no layer takes its units in"),
    ("two inputs", lambda m, x: m.both(m.a(x), x), "a", "both takes its units in together with others"),
    ("control flow", of_data, "a", "could not be traced"),
    ("softmax", lambda m, x: m.c(m.a(x).softmax(-1)), "a", "softmax"),
    ("gate", lambda m, x: m.c(m.a(x) * m.a(x).sigmoid()), "a", "runs 2 times"),
    ("itself", lambda m, x: m.c((lambda h: h * h.sigmoid())(m.a(x))), "a", "joined with others by mul"),
    ("scaled by a parameter", lambda m, x: m.c(m.a(x) * m.scale), "a", "joined with others by mul"),
    ("concatenated", lambda m, x: m.c(torch.cat([m.a(x)[:, :3], x[:, :3]], 1)), "a", "getitem"),
    ("fixed view", lambda m, x: m.last(m.conv(x).relu().view(-1, 4)), "conv", "fixed shape"),
    ("transposed", lambda m, x: m.c(m.a(x).transpose(0, 1)), "a", "transpose"),
    ("width is read", lambda m, x: m.c(m.a(x) / m.a(x).shape[1]), "a", "runs 2 times"),
    ("shape is read", lambda m, x: (lambda h: m.c(h / h.shape[1]))(m.a(x)), "a", "getattr"),
    ("weights used apart", lambda m, x: m.c(m.a(x)) + m.a.weight.sum(), "a", "uses the weights of a itself"),
    ("weight of the next used", lambda m, x: functional.linear(m.a(x), m.c.weight), "a", "linear()"),
    ("linear over positions", lambda m, x: m.last(m.conv(x)), "conv", "another axis"),
    ("pooled units", lambda m, x: m.c(functional.max_pool1d(m.a(x), 1)), "a", "other axes"),
    ("mean over units", lambda m, x: m.last(m.conv(x).mean(1)), "conv", "goes over its units"),
    ("indices", lambda m, x: m.conv2(nn.functional.max_pool2d(m.conv(x), 2, return_indices=True)[0]), "conv", "ind"),
    ("named like a method", lambda m, x: m.c(m.size(m.a(x))) + m.a.bias.sum(), "a", "weights of a itself"),
    ("flattened with the batch", lambda m, x: m.wide(torch.flatten(m.conv(x))), "conv", "flattened from axis 0"),
    ("partly flattened", lambda m, x: m.wide(m.conv(x).flatten(2)), "conv", "flattened from axis 2"),
]


@pytest.mark.parametrize(("name", "forward", "layer", "reason"), LEFT, ids=[case[0] for case in LEFT])
def test_what_is_left_is_named_with_the_reason(name, forward, layer, reason):
    found = links(Net(forward))
    assert layer not in found.found
    assert reason in found.left[layer]


def flat_by_size(m: Net, x: Tensor) -> Tensor:
    h = functional.relu(m.conv(x))
    batch, _, _, _ = h.shape
    return m.wide(h.reshape(batch, -1))


FOUND = [
    ("functional", lambda m, x: m.c(functional.dropout(m.a(x).relu_(), 0.5, m.training)), "a", "c", Layout()),
    ("scalars", lambda m, x: m.c(1 - 2 * m.a(x).clamp(min=0) ** 2), "a", "c", Layout()),
    ("flatten of vectors", lambda m, x: m.c(m.a(x).flatten(1)), "a", "c", Layout()),
    ("view by size", lambda m, x: (lambda h: m.wide(h.view(h.size(0), -1)))(m.conv(x)), "conv", "wide", Layout(1, 9)),
    ("view by shape", flat_by_size, "conv", "wide", Layout(1, 9)),
    ("global mean", lambda m, x: m.last(m.conv(x).mean((2, 3))), "conv", "last", Layout()),
    ("mean after mean", lambda m, x: m.last(m.conv(x).mean(-1).mean(2)), "conv", "last", Layout()),
    ("kept mean", lambda m, x: m.last(m.conv(x).mean((2, 3), keepdim=True).flatten(1)), "conv", "last", Layout()),
    ("spatial size", lambda m, x: m.conv2((lambda h: h / h.shape[-1])(m.conv(x))), "conv", None, None),
    ("convolutions", lambda m, x: m.conv2(functional.avg_pool2d(m.conv(x), 2)), "conv", "conv2", Layout()),
    ("named like a method", lambda m, x: m.c(m.size(m.a(x))), "a", "size", Layout()),
]


@pytest.mark.parametrize(("name", "forward", "layer", "to", "layout"), FOUND, ids=[case[0] for case in FOUND])
def test_usual_forwards_are_followed(name, forward, layer, to, layout):
    found = links(Net(forward))
    if to is None:  # dividing by a size joins it; left rather than guessed
        assert layer in found.left
    else:
        assert dict(found.found[layer].consumers) == {to: layout}


def tied() -> nn.Module:
    model = Seq(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    model[2].weight = model[0].weight
    return model


def shared() -> nn.Module:
    layer = nn.Linear(4, 4)
    return Seq(layer, nn.ReLU(), layer, nn.Linear(4, 2))


class TwoNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.last = nn.Linear(4, 4), nn.Linear(4, 2)
        self.other = self.one

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.one(x))


def tied_by_a_view() -> nn.Module:
    model = Seq(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    model[2].weight = nn.Parameter(model[0].weight.detach().t())
    return model


def computed_by(change: Callable[[nn.Module], object]) -> nn.Module:
    """A layer whose weight a hook computes, after a forward pass, when torch refuses to copy it."""
    model = Seq(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    change(model[0])
    model(torch.randn(3, 4))
    return model


def hooked(at: int) -> nn.Module:
    model = Seq(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[at].register_forward_hook(lambda module, args, output: output * 2)
    return model


@pytest.mark.parametrize(
    ("model", "layer", "reason"),
    [
        (tied(), "0", "tied weights"),
        (tied_by_a_view(), "0", "tied weights"),
        (tied_by_a_view(), "2", "tied weights"),
        (computed_by(lambda layer: prune.l1_unstructured(layer, "weight", 0.5)), "0", "hooks"),
        (computed_by(nn.utils.spectral_norm), "0", "hooks"),
        (Seq(nn.Linear(4, 4), nn.ReLU(), nn.LazyLinear(2)), "0", "lazy and not initialized"),
        (shared(), "0", "runs 2 times"),
        (TwoNames(), "one", "registered under several names"),
        (hooked(0), "0", "hooks"),
        (hooked(1), "0", "hooks"),
        (hooked(2), "0", "hooks"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), "", "Parametrized"),
        (Seq(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2)), "0", "LayerNorm"),
        (Seq(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 3)), "0", "GroupNorm"),
        (Seq(nn.Conv2d(2, 4, 3, groups=2), nn.Conv2d(4, 2, 3)), "0", "grouped"),
        (Seq(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, groups=4)), "0", "grouped"),
        (Seq(nn.Linear(4, 4), nn.LSTM(4, 3)), "0", "LSTM"),
        (Seq(nn.Linear(4, 4), nn.LSTM(4, 3)), "1", "linear and convolution layers are cut"),
        (Seq(nn.Embedding(5, 4), nn.Linear(4, 2)), "0", "Embedding"),
        (Seq(nn.LazyLinear(4), nn.Linear(4, 2)), "0", "LazyLinear"),
        (Seq(nn.Linear(4, 6), nn.BatchNorm1d(3), nn.Linear(6, 2)), "0", "3 features for its 6 units"),
        (Seq(nn.Linear(4, 6), nn.TransformerEncoderLayer(6, 2, 8), nn.Linear(6, 2)), "0", "TransformerEncoderLayer"),
        (Seq(nn.Linear(4, 4), nn.Softmax(-1), nn.Linear(4, 2)), "0", "Softmax"),
        (Seq(nn.Linear(4, 4), nn.MaxPool1d(2), nn.Linear(2, 2)), "0", "other axes"),
    ],
)
def test_modules_that_entangle_units_are_left(model, layer, reason):
    found = links(model)
    assert layer not in found.found
    assert reason in found.left[layer]


@pytest.mark.parametrize("change", [lambda layer: prune.l1_unstructured(layer, "weight", 0.5), nn.utils.spectral_norm])
def test_models_that_torch_does_not_copy_are_left_whole(change):
    model, x = computed_by(change), torch.randn(50, 4)
    smaller = fold(model, x)
    assert smaller.cuts == {}
    assert "hooks" in smaller.left["0"]
    torch.testing.assert_close(smaller.model(x), model(x))


def test_ties_by_a_view_are_seen_although_a_copy_loses_them():
    assert set(fold(tied_by_a_view(), torch.randn(50, 4)).left) == {"0", "2", "3"}


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_scripted_models_are_left_whole():
    found = links(torch.jit.script(Seq(nn.Linear(4, 4), nn.Linear(4, 2))))
    assert found.found == {}
    assert "RecursiveScriptModule" in found.left["0"]


def test_every_layer_with_weights_is_found_or_left():
    model = Seq(nn.Embedding(9, 4), nn.TransformerEncoderLayer(4, 2, 8), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    found = links(model)
    owners = {name for name, module in model.named_modules() if any(p.ndim > 1 for p in module.parameters(False))}
    assert set(found.found) | set(found.left) == owners
    assert set(found.found) == {"2"}


def test_tracing_leaves_the_model_alone():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.calls = nn.Linear(3, 3), nn.Linear(3, 2), 0

        def forward(self, x):
            self.calls += 1
            return self.b(self.a(x))

    model = Counts().train()
    assert list(links(model).found) == ["a"]
    assert model.calls == 0
    assert model.training
