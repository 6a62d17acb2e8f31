"""Every module of torch.nn: its units are where its own numbers say, captured, and cut or left with a reason."""

from math import prod

import pytest
import torch
from tests.zoo.laws import misplaced, misshapen, order_matters, roughen, run
from torch import nn

import cofire
from cofire.nets.shrinking import shrink
from cofire.nets.shrinking.group_names import owner
from cofire.nets.wiring.wired_layers import gates_of
from cofire.nets.wiring.wiring import wire

ROW, LINE, IMAGE, VOLUME = (8,), (8, 6), (8, 6, 6), (8, 6, 6, 6)
SPACE = {"1d": LINE, "2d": IMAGE, "3d": VOLUME}
SEQUENCE = (3, 8)
PLAIN = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Dropout",
    "AlphaDropout",
    "FeatureAlphaDropout",
    "Flatten",
    "LazyBatchNorm1d",
]
NONE = [
    "Container",
    "Module",
    "ModuleDict",
    "ModuleList",
    "ParameterDict",
    "ParameterList",
    "Sequential",
    "RNNBase",
    "RNNCellBase",
    "LinearCrossEntropyOptions",
]
"""Containers, and classes that only others are made of."""


def spatial(name, *args, **kwargs):
    """A module for 1, 2 and 3 dimensions of space."""
    return {f"{name}{n}": (lambda n=n: getattr(nn, name + n)(*args, **kwargs), shape) for n, shape in SPACE.items()}


CASES = {name: (getattr(nn, name), ROW) for name in PLAIN}
for kind, given in {
    "AdaptiveAvgPool": (2,),
    "AdaptiveMaxPool": (2,),
    "AvgPool": (2,),
    "MaxPool": (2,),
    "LPPool": (2, 2),
    "BatchNorm": (8,),
    "InstanceNorm": (8,),
    "Conv": (8, 12, 3),
    "ConvTranspose": (8, 12, 3),
    "LazyConv": (12, 3),
    "LazyConvTranspose": (12, 3),
    "LazyInstanceNorm": (),
    "Dropout": (),
    "CircularPad": (1,),
    "ConstantPad": (1, 2.0),
    "ZeroPad": (1,),
    "ReflectionPad": (1,),
    "ReplicationPad": (1,),
}.items():
    CASES |= spatial(kind, *given)
for n, shape in SPACE.items():
    CASES |= {
        f"Conv{n} in groups": (lambda n=n: getattr(nn, f"Conv{n}")(8, 12, 3, groups=4), shape),
        f"Conv{n} by depth": (lambda n=n: getattr(nn, f"Conv{n}")(8, 16, 3, groups=8), shape),
        f"ConvTranspose{n} in groups": (lambda n=n: getattr(nn, f"ConvTranspose{n}")(8, 12, 3, groups=4), shape),
        f"ConvTranspose{n} by depth": (lambda n=n: getattr(nn, f"ConvTranspose{n}")(8, 16, 3, groups=8), shape),
    }
CASES |= {
    "LazyBatchNorm2d": (nn.LazyBatchNorm2d, IMAGE),
    "LazyBatchNorm3d": (nn.LazyBatchNorm3d, VOLUME),
    "Linear": (lambda: nn.Linear(8, 12), ROW),
    "LazyLinear": (lambda: nn.LazyLinear(12), ROW),
    "LayerNorm": (lambda: nn.LayerNorm(8), ROW),
    "RMSNorm": (lambda: nn.RMSNorm(8), ROW),
    "GroupNorm": (lambda: nn.GroupNorm(2, 8), IMAGE),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), IMAGE),
    "CrossMapLRN2d": (lambda: nn.CrossMapLRN2d(3), IMAGE),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), IMAGE),
    "Fold": (lambda: nn.Fold((4, 4), 2, stride=2), (8, 4)),
    "Unfold": (lambda: nn.Unfold(2), IMAGE),
    "FractionalMaxPool2d": (lambda: nn.FractionalMaxPool2d(2, output_size=3), IMAGE),
    "FractionalMaxPool3d": (lambda: nn.FractionalMaxPool3d(2, output_size=3), VOLUME),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), ROW),
    "Softmax": (lambda: nn.Softmax(-1), ROW),
    "Softmin": (lambda: nn.Softmin(-1), ROW),
    "Softmax2d": (nn.Softmax2d, IMAGE),
    "Threshold": (lambda: nn.Threshold(0.1, 0.0), ROW),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), IMAGE),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), IMAGE),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 4)), ROW),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), IMAGE),
    "UpsamplingBilinear2d": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), IMAGE),
    "UpsamplingNearest2d": (lambda: nn.UpsamplingNearest2d(scale_factor=2), IMAGE),
    "RNN": (lambda: nn.RNN(8, 6, 2, bidirectional=True), SEQUENCE),
    "GRU": (lambda: nn.GRU(8, 6, batch_first=True), SEQUENCE),
    "LSTM": (lambda: nn.LSTM(8, 6, 2, bidirectional=True, proj_size=3), SEQUENCE),
    "RNNCell": (lambda: Call(nn.RNNCell(8, 6), lambda m, x: m(x, x[:, :6])), ROW),
    "GRUCell": (lambda: Call(nn.GRUCell(8, 6), lambda m, x: m(x, x[:, :6])), ROW),
    "LSTMCell": (lambda: Call(nn.LSTMCell(8, 6), lambda m, x: m(x, (x[:, :6], x[:, 2:]))), ROW),
    "MultiheadAttention": (
        lambda: Call(nn.MultiheadAttention(8, 2, batch_first=True), lambda m, x: m(x, x, x)),
        SEQUENCE,
    ),
    "MultiheadAttention of other widths": (
        lambda: Call(nn.MultiheadAttention(8, 2, kdim=8, vdim=4), lambda m, x: m(x, x, x[..., :4])),
        SEQUENCE,
    ),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), SEQUENCE),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        SEQUENCE,
    ),
    "TransformerDecoderLayer": (
        lambda: Call(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), lambda m, x: m(x, x)),
        SEQUENCE,
    ),
    "TransformerDecoder": (
        lambda: Call(nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2), lambda m, x: m(x, x)),
        SEQUENCE,
    ),
    "Transformer": (lambda: Call(nn.Transformer(8, 2, 1, 1, 16, batch_first=True), lambda m, x: m(x, x)), SEQUENCE),
    "Bilinear": (lambda: Call(nn.Bilinear(8, 5, 7), lambda m, x: m(x, x[:, :5])), ROW),
    "Bilinear of itself": (lambda: Call(nn.Bilinear(8, 8, 7), lambda m, x: m(x, x)), ROW),
    "CosineSimilarity": (lambda: Call(nn.CosineSimilarity(), lambda m, x: m(x, x.relu())), ROW),
    "PairwiseDistance": (lambda: Call(nn.PairwiseDistance(), lambda m, x: m(x, x.relu())), ROW),
    "Embedding": (lambda: Call(nn.Embedding(9, 12), lambda m, x: m((x > 0).long())), ROW),
    "EmbeddingBag": (lambda: Call(nn.EmbeddingBag(9, 12, mode="sum"), lambda m, x: m((x > 0).long())), ROW),
    "AdaptiveLogSoftmaxWithLoss": (
        lambda: Call(nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4, 8], 2.0), lambda m, x: m.log_prob(x)),
        ROW,
    ),
}
for n, shape in SPACE.items():
    CASES[f"MaxUnpool{n}"] = (
        lambda n=n: Call(
            nn.ModuleList([getattr(nn, f"MaxPool{n}")(2, return_indices=True), getattr(nn, f"MaxUnpool{n}")(2)]),
            lambda m, x: m[1](*m[0](x)),
        ),
        shape,
    )


def same(x):
    return torch.zeros_like(x)


def classes(x):
    return torch.zeros(len(x), dtype=torch.int64)


for kind, target in {
    "BCEWithLogitsLoss": same,
    "HingeEmbeddingLoss": torch.ones_like,
    "HuberLoss": same,
    "KLDivLoss": same,
    "L1Loss": same,
    "MSELoss": same,
    "MultiLabelMarginLoss": lambda x: torch.zeros(x.shape, dtype=torch.int64),
    "MultiLabelSoftMarginLoss": same,
    "MultiMarginLoss": classes,
    "NLLLoss": classes,
    "CrossEntropyLoss": classes,
    "PoissonNLLLoss": same,
    "SmoothL1Loss": same,
    "SoftMarginLoss": torch.ones_like,
}.items():
    CASES[kind] = (lambda kind=kind, target=target: Call(getattr(nn, kind)(), lambda m, x: m(x, target(x))), ROW)
CASES |= {
    "BCELoss": (lambda: Call(nn.BCELoss(), lambda m, x: m(x.sigmoid(), same(x))), ROW),
    "CTCLoss": (
        lambda: Call(
            nn.CTCLoss(),
            lambda m, x: m(
                x.log_softmax(-1).transpose(0, 1),
                torch.ones(len(x), 2).long(),
                *torch.tensor([[3], [2]]).expand(2, len(x)),
            ),
        ),
        SEQUENCE,
    ),
    "CosineEmbeddingLoss": (
        lambda: Call(nn.CosineEmbeddingLoss(), lambda m, x: m(x, x.relu(), torch.ones(len(x)))),
        ROW,
    ),
    "GaussianNLLLoss": (lambda: Call(nn.GaussianNLLLoss(), lambda m, x: m(x, same(x), x.exp())), ROW),
    "MarginRankingLoss": (lambda: Call(nn.MarginRankingLoss(), lambda m, x: m(x, x.relu(), torch.ones_like(x))), ROW),
    "NLLLoss2d": (lambda: Call(nn.NLLLoss(), lambda m, x: m(x, torch.zeros(len(x), 6, 6).long())), IMAGE),
    "TripletMarginLoss": (lambda: Call(nn.TripletMarginLoss(), lambda m, x: m(x, x.relu(), -x)), ROW),
    "TripletMarginWithDistanceLoss": (
        lambda: Call(nn.TripletMarginWithDistanceLoss(), lambda m, x: m(x, x.relu(), -x)),
        ROW,
    ),
    "LinearCrossEntropyLoss": (lambda: Call(nn.LinearCrossEntropyLoss(8, 5), lambda m, x: m(x, classes(x))), ROW),
}


class Call(nn.Module):
    """Calls a module in a way of its own."""

    def __init__(self, inner, call):
        super().__init__()
        self.inner, self.call = inner, call

    def forward(self, x):
        return self.call(self.inner, x)


class Between(nn.Module):
    """A module between layers that make and take units, on the axis that it counts as that of channels."""

    def __init__(self, inner, shape):
        super().__init__()
        self.shape = shape
        self.axis = -1 if shape is SEQUENCE else 1
        self.before, self.inner, self.behind = nn.Linear(4, 8), inner, nn.LazyLinear(3)

    def forward(self, x):
        x = self.before(x).movedim(-1, self.axis)
        y = self.inner(x)
        while isinstance(y, tuple):
            y = y[0]
        if y.dim() < 2:  # a loss
            self.behind = nn.Identity()
            return y
        return self.behind(y.movedim(self.axis, -1) if y.dim() > self.axis > 0 else y)


def built(name):
    make, shape = CASES[name]
    torch.manual_seed(0)
    inside = shape[1:] if shape is not SEQUENCE else shape[:1]
    model, x = Between(make(), shape), torch.randn(24, *inside, 4)
    model(x)
    return model.double().eval(), x.double()


def test_every_module_of_torch_is_here():
    own = {name.partition(" ")[0] for name in CASES} | set(NONE)
    assert own >= set(nn.modules.__all__) - {"SyncBatchNorm"}  # which runs on GPUs only


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")
def test_a_module_is_wired_captured_and_cut_or_left_with_a_reason(name):
    model, x = built(name)
    wiring = wire(model, x)
    assert not any(one.assumed for one in wiring.layers), wiring
    weights = {path: one for path, one in model.named_parameters() if one.dim() > 1}
    assert weights.keys() <= {name for layer in wiring.layers for name in layer.parameters} | wiring.left_out.keys()
    for layer in wiring.layers:
        kernel = prod(getattr(model.get_submodule(layer.module), "kernel_size", ()))
        n_gates = 1 if "hr" in layer.name else len(gates_of(type(model.get_submodule(layer.module)))) or 1
        n_each = weights[layer.parameter].numel() / (layer.units * n_gates)
        assert layer.inputs * kernel == (0 if "Embedding" in layer.kind else n_each), layer
    model.eval()
    roughen(model)
    assert misshapen(model, wiring, x) == {}
    assert misplaced(model, wiring, x) == {}
    assert order_matters(model, wiring, x, run(model, x)) == []
    with cofire.capture(model) as acts:
        model(x)
    assert {one.module for one in wiring.layers if one.unit_axis is not None} <= set(acts)
    for layer in wiring.layers:
        assert layer.unit_axis is not None or layer.module in acts.left_out or layer.name in acts.left_out
    free = {owner(layer.parameter) for layer in wiring.layers if not all(group.fixed for group in layer.group)}
    shown = {name.partition("[")[0] for name in shrink(model, x).left} | free
    owners = {path.rpartition(".")[0] for path in weights}
    assert not [one for one in owners if not any(f"{name}.".startswith(f"{one}.") for name in shown)]
