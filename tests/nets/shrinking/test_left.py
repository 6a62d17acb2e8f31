"""What is cut, and what is left with which reason: soundness first."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune as torch_prune

from cofire.nets.shrinking import shrink

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


VECTORS, IMAGES = (30, 6), (30, 1, 5, 5)


def of_data(m: Net, x: Tensor) -> Tensor:
    return m.c(m.a(x)) if x.sum() > 0 else m.c(x)


LEFT = [
    ("outputs", lambda m, x: m.c(m.a(x)), VECTORS, "c", "the network's outputs"),
    ("never called", lambda m, x: m.c(m.a(x)), VECTORS, "conv", "made no units in this pass"),
    ("called twice", lambda m, x: m.c(m.a(m.a(x))), VECTORS, "a", "fixed: the model's input"),
    ("unused", lambda m, x: (m.a(x).relu(), m.c(x))[1], VECTORS, "a", "no layer reads its units"),
    ("bilinear", lambda m, x: m.both(m.a(x), x), VECTORS, "a", ""),
    ("control flow", of_data, VECTORS, "a", "could not be followed"),
    ("softmax", lambda m, x: m.c(m.a(x).softmax(-1)), VECTORS, "a", "reduced over by _softmax"),
    ("normed", lambda m, x: m.c(functional.layer_norm(m.a(x), (6,))), VECTORS, "a", "the code fixes its size"),
    (
        "width is written",
        lambda m, x: m.c(m.a(x).reshape(-1, 2, 3).flatten(1)),
        VECTORS,
        "a",
        "the code fixes its size",
    ),
    (
        "weight computed",
        lambda m, x: functional.linear(m.a(x), m.c.weight.exp()),
        VECTORS,
        "a",
        "not in a product along one of its axes",
    ),
    ("weight beside", lambda m, x: m.c(m.a(x)) * m.c.weight.sum(), VECTORS, "a", "reduced over by sum"),
    (
        "weight as a scale",
        lambda m, x: m.c(m.a(x) * m.c.weight[0]),
        VECTORS,
        "a",
        "c.weight reads its units and scales",
    ),
    ("outer product", lambda m, x: m.wide((m.a(x)[:, :, None] * m.a(x)[:, None]).flatten(1)), VECTORS, "a", "products"),
    ("mean over units", lambda m, x: m.wide(m.conv(x).mean(1).flatten(1).repeat(1, 4)), IMAGES, "conv", "reduced over"),
    ("sliced", lambda m, x: m.c(torch.cat([m.a(x)[:, :3], x[:, :3]], 1)), VECTORS, "a", "the code fixes its size"),
    ("flipped", lambda m, x: m.c(m.a(x).flip(1)), VECTORS, "a", "flip moves or picks its entries"),
]


@pytest.mark.parametrize(("name", "forward", "shape", "layer", "reason"), LEFT, ids=[case[0] for case in LEFT])
def test_what_is_left_is_named_with_the_reason(name, forward, shape, layer, reason):
    left = [
        told for key, told in shrink(Net(forward), torch.randn(shape)).left.items() if key.partition("[")[0] == layer
    ]
    assert left and reason in left[0]


FOUND = [
    ("taken in twice", lambda m, x: m.c(m.a(x)) + m.c(m.a(x).relu()), VECTORS, "a"),
    ("residual", lambda m, x: (lambda h: m.c(h + m.b(h).relu()))(m.a(x)), VECTORS, "a"),
    ("branches", lambda m, x: (lambda h: m.b(h.relu())[:, :2] + m.c(h.tanh()))(m.a(x)), VECTORS, "a"),
    ("gate", lambda m, x: m.c(m.a(x) * m.b(x).sigmoid()), VECTORS, "a"),
    ("scaled by a parameter", lambda m, x: m.c(m.a(x) * m.scale), VECTORS, "a"),
    ("joined", lambda m, x: m.wide(torch.cat([m.a(x).repeat(1, 5), x], 1)), VECTORS, "a"),
    ("transposed", lambda m, x: m.c(m.a(x).t().relu().t()), VECTORS, "a"),
    ("functional", lambda m, x: m.c(functional.dropout(m.a(x).relu_(), 0.5, m.training)), VECTORS, "a"),
    ("scalars", lambda m, x: m.c(1 - 2 * m.a(x).clamp(min=0) ** 2), VECTORS, "a"),
    ("weight of the next used", lambda m, x: functional.linear(m.a(x), m.c.weight), VECTORS, "a"),
    ("weight first", lambda m, x: (m.c.weight @ m.a(x).t()).t(), VECTORS, "a"),
    ("view by size", lambda m, x: (lambda h: m.wide(h.view(h.size(0), -1)))(m.conv(x)), IMAGES, "conv"),
    ("global mean", lambda m, x: m.last(m.conv(x).mean((2, 3))), IMAGES, "conv"),
    ("spatial size", lambda m, x: m.conv2((lambda h: h / h.shape[-1])(m.conv(x))), IMAGES, "conv"),
    ("channels last", lambda m, x: m.last(m.conv(x).permute(0, 2, 3, 1)), IMAGES, "conv"),
    ("indices", lambda m, x: m.conv2(functional.max_pool2d_with_indices(m.conv(x), 2)[0]), IMAGES, "conv"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "forward", "shape", "layer"), FOUND, ids=[case[0] for case in FOUND])
def test_usual_forwards_are_followed(name, forward, shape, layer):
    torch.manual_seed(0)
    model, x = Net(forward).double().eval(), torch.randn(shape, dtype=torch.float64)
    n_units = len(model.get_submodule(layer).weight)
    smaller = shrink(model, x, keep={layer: n_units // 2})
    [cut] = smaller.cuts.values()
    assert cut.layers[0] == layer and len(cut.kept) == n_units // 2
    assert smaller.model(x).shape == model(x).shape
    assert 0 < smaller.measured < math.inf


def tied() -> nn.Module:
    model = Seq(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    model[2].weight = model[0].weight
    return model


def shared() -> nn.Module:
    layer = nn.Linear(4, 4)
    return Seq(layer, nn.ReLU(), layer, nn.Linear(4, 2))


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


def scaled_by_a_hook() -> nn.Module:
    model = Seq(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    model[1].register_forward_hook(lambda module, args, output: output * torch.arange(4.0))
    return model


VECTOR, IMAGE = (20, 4), (20, 2, 7, 7)


@pytest.mark.parametrize(
    ("model", "shape", "layer", "reason"),
    [
        (tied(), VECTOR, "0", "fixed: the model's input"),
        (tied_by_a_view(), VECTOR, "0", "tied weights"),
        (tied_by_a_view(), VECTOR, "2", "tied weights"),
        (shared(), VECTOR, "0", "fixed: the model's input"),
        (computed_by(nn.utils.spectral_norm), VECTOR, "0", "reduced over by linalg_vector_norm"),
        (scaled_by_a_hook(), VECTOR, "0", "the code fixes its size"),
        (Seq(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2)), VECTOR, "0", "reduced over by native_layer_norm"),
        (Seq(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 3)), IMAGE, "0", "the code fixes its size"),
        (Seq(nn.Linear(4, 4), nn.Softmax(-1), nn.Linear(4, 2)), VECTOR, "0", "reduced over by _softmax"),
        (Seq(nn.Linear(4, 4), nn.MaxPool1d(2), nn.Linear(2, 2)), VECTOR, "0", "a spatial axis"),
        (Seq(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))), VECTOR, "0", "outputs"),
    ],
)
def test_modules_that_entangle_units_are_left(model, shape, layer, reason):
    left = shrink(model, torch.randn(shape)).left
    assert reason in next(told for key, told in left.items() if key.partition("[")[0] == layer)


def test_layers_whose_weight_a_hook_computes_can_lose_units():
    model, x = computed_by(lambda layer: torch_prune.l1_unstructured(layer, "weight", 0.5)), torch.randn(50, 4)
    smaller = shrink(model, x, keep={"0": 2})
    assert smaller.cuts["0"].n_units == 4
    assert smaller.model(x).shape == (50, 2)
    assert smaller.measured == pytest.approx(smaller.predicted, rel=0.5)


def test_a_layer_under_two_names_stays_one_layer():
    class TwoNames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.last = nn.Linear(4, 4), nn.Linear(4, 2)
            self.other = self.one

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.one(x))

    smaller = shrink(TwoNames(), torch.randn(50, 4), keep={"one": 2}).model
    assert smaller.one is smaller.other and smaller.one.out_features == 2


def test_every_layer_with_weights_is_cut_or_left():
    model = Seq(nn.Embedding(9, 4), nn.TransformerEncoderLayer(4, 2, 8), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    smaller = shrink(model, torch.randint(0, 9, (60, 3)), keep={"1.linear1": 3, "2": 3})
    assert set(smaller.cuts) == {"1.linear1", "2"}
    left = shrink(model, torch.randint(0, 9, (60, 3)))
    named = {name for name, module in model.named_modules() if any(p.ndim > 1 for p in module.parameters(False))}
    known = {one.partition("[")[0].removesuffix(".in_proj_weight") for one in left.left}
    assert named - known == {"1.linear1", "2", "1.self_attn.out_proj", "1.linear2"}  # the last two make the stream


def test_a_pattern_leaves_a_group_by_any_of_its_layers():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.up, self.down = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.down(self.gate(x).sigmoid() * self.up(x))

    model, x = Gated(), torch.randn(50, 4)
    [cut] = shrink(model, x, keep={"up": 3}).cuts.values()
    assert cut.layers == ("gate", "up")
    for pattern in ("gate", "up", ["gate", "up"]):
        assert shrink(model, x, keep=1.0, leave=pattern).left["gate"] == "left as asked"
    with pytest.raises(ValueError, match="no layer of the model matches"):
        shrink(model, x, leave="nothing")


def test_one_bad_group_does_not_keep_others_from_being_cut():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(6))
            self.register_buffer("bent", torch.arange(8.0))

        def forward(self, x):
            for number, layer in enumerate(self.layers):
                x = layer(x).tanh()
                x = x * torch.arange(8.0) if number == 2 else x
            return x

    smaller = shrink(Net(), torch.randn(60, 8), keep=0.6)
    assert set(smaller.cuts) == {"layers.0", "layers.1", "layers.3", "layers.4"}
    assert "arange" in smaller.left["layers.2"] or "the code fixes its size" in smaller.left["layers.2"]


def test_a_model_that_samples_can_be_cut():
    def sampling(m: Net, x: Tensor) -> Tensor:
        code = m.c(m.a(x).relu())
        return code + torch.randn_like(code)

    assert set(shrink(Net(sampling), torch.randn(VECTORS), keep={"a": 3}).cuts) == {"a"}


def test_the_model_is_not_touched():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.calls = nn.Linear(3, 3), nn.Linear(3, 2), 0

        def forward(self, x):
            self.calls += 1
            return self.b(self.a(x))

    model = Counts().train()
    assert set(shrink(model, torch.randn(30, 3), keep={"a": 2}).cuts) == {"a"}
    assert (model.calls, model.training) == (0, True)
