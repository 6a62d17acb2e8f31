"""Small networks as people write them, with code of their own between the weights."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Seq = nn.Sequential


class SameConv(nn.Conv2d):
    """A convolution that pads by itself, as TensorFlow's do."""

    def forward(self, x: Tensor) -> Tensor:
        size, step = self.kernel_size[0], self.stride[0]
        width = max((math.ceil(x.shape[-1] / step) - 1) * step + size - x.shape[-1], 0)
        x = functional.pad(x, [width // 2, width - width // 2] * 2)
        return functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class NormAct(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(super().forward(x))


class Inverted(nn.Module):
    """An inverted residual block: expand, depthwise, squeeze and excite, project."""

    def __init__(self, inputs: int, outputs: int, *, squeeze: bool) -> None:
        super().__init__()
        inner = inputs * 2
        self.expand, self.norm1 = SameConv(inputs, inner, 1, bias=False), NormAct(inner)
        self.depthwise, self.norm2 = SameConv(inner, inner, 3, groups=inner, bias=False), NormAct(inner)
        gate = Seq(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inner, 4, 1), Swish(), nn.Conv2d(4, inner, 1), nn.Sigmoid())
        self.gate = gate if squeeze else None
        self.project, self.norm3 = SameConv(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.depthwise(self.norm1(self.expand(x))))
        y = y if self.gate is None else y * self.gate(y)
        y = self.norm3(self.project(y))
        return x + y if x.shape == y.shape else y


def mobile(*, squeeze: bool) -> nn.Module:
    blocks = [Inverted(6, 6, squeeze=squeeze), Inverted(6, 8, squeeze=False)]
    return Seq(SameConv(3, 6, 3, stride=2), NormAct(6), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


class Pitch(nn.Module):
    """Pads, permutes and flattens as torchcrepe does, with the width of the last layer written out or not."""

    def __init__(self, width: int = -1) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 8, (8, 1)), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 6, (8, 1)), nn.BatchNorm2d(6)
        self.head, self.width = nn.Linear(24, 5), width

    def forward(self, x: Tensor) -> Tensor:
        h = x[:, None, :, None]
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2)):
            h = norm(functional.relu(conv(functional.pad(h, (0, 0, 3, 4)))))
            h = functional.max_pool2d(h, (2, 1), (2, 1))
        h = h.permute(0, 2, 1, 3)
        return self.head(h.flatten(1) if self.width < 0 else h.reshape(-1, self.width))


class Dense(nn.Module):
    """A linear layer that stores its weight as (in, out)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(inputs, outputs)), nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w + self.b


class Conv1D(nn.Module):
    """The linear layer of GPT-2 in transformers."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.randn(nf))

    def forward(self, x: Tensor) -> Tensor:
        size = (*x.shape[:-1], self.nf)
        return torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight).view(size)


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up, self.down = (nn.Linear(*shape, bias=False) for shape in ((6, 10), (6, 10), (10, 6)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(functional.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """A residual block with a shortcut where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        return functional.relu(h + self.shortcut(x))


class Attention(nn.Module):
    """Self-attention whose number of heads, or their size, the code takes from the tensor."""

    def __init__(self, *, heads: int = -1, size: int = -1) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 12)
        self.q, self.k, self.v, self.out = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 5)
        self.heads, self.size = heads, size

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.inner(x))
        q, k, v = (f(h).view(*x.shape[:2], self.heads, self.size).transpose(1, 2) for f in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(q, k, v, scale=0.5)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Skip(nn.Module):
    """Joins a layer's units with those of a later one, as a U-Net does."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.inner = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 5, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(5, 4, 2, stride=2), nn.Conv2d(10, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.down(x))
        deep = functional.relu(self.inner(functional.avg_pool2d(h, 2)))
        return self.out(torch.cat([functional.relu(self.up(deep)), h], 1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.lstm, self.out = nn.Linear(6, 8), nn.LSTM(8, 7, batch_first=True), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(torch.tanh(self.inner(x)))[0][:, -1])


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(6, 9)), nn.Parameter(torch.randn(9, 4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bth,ho->bto", torch.einsum("bti,ih->bth", x, self.a).relu(), self.b)


def grouped() -> nn.Module:
    """Depthwise with two filters a channel, then a convolution in groups."""
    filters = nn.Conv2d(6, 12, 3, groups=6), nn.ReLU(), nn.Conv2d(12, 8, 3, groups=2), nn.ReLU()
    return Seq(nn.Conv2d(2, 6, 3), nn.ReLU(), *filters, nn.Conv2d(8, 3, 1))


def weight_normed() -> nn.Module:
    norm = nn.utils.parametrizations.weight_norm
    return Seq(norm(nn.Linear(6, 10)), nn.ELU(), nn.Linear(10, 7), nn.Tanh(), norm(nn.Linear(7, 3)))


IMAGES, TOKENS = (40, 3, 8, 8), (12, 7, 6)
ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "mobile": (lambda: mobile(squeeze=False), IMAGES, 4),
    "mobile, squeezed": (lambda: mobile(squeeze=True), IMAGES, 5),
    "pitch": (Pitch, (30, 16), 2),
    "dense": (lambda: Seq(Dense(6, 10), nn.ReLU(), Dense(10, 8), nn.Tanh(), Dense(8, 3)), (80, 6), 2),
    "gpt-2's mlp": (lambda: Seq(Conv1D(9, 6), nn.GELU(), Conv1D(4, 9)), TOKENS, 1),
    "gated": (lambda: Seq(Gated(), nn.LayerNorm(6), Gated(), nn.Linear(6, 3)), TOKENS, 2),
    "residual": (lambda: Seq(nn.Conv2d(3, 6, 3), Block(6, 6), Block(6, 8), nn.Conv2d(8, 2, 1)), IMAGES, 4),
    "attention of any heads": (lambda: Attention(size=4), TOKENS, 2),
    "attention of any size": (lambda: Attention(heads=3), TOKENS, 2),
    "u-net": (Skip, (12, 2, 8, 8), 3),
    "recurrent": (Recurrent, TOKENS, 1),
    "einsum": (Einsum, TOKENS, 1),
    "grouped": (grouped, (12, 2, 10, 10), 3),
    "weight norm": (weight_normed, (80, 6), 1),
}
"""What makes each network, the shape of its input, and how many of its groups can be cut."""


@torch.no_grad()
def varied(model: nn.Module) -> nn.Module:
    """Give normalizations numbers of their own for each unit."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var):
                values.uniform_(0.5, 1.5)
            for values in (module.bias, module.running_mean):
                values.normal_()
    return model.double().eval()


def numbers(output: Any) -> Tensor:
    return torch.cat([one.flatten() for one in (output if isinstance(output, tuple) else (output,))])
