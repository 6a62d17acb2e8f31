"""The networks that are shrunk: residual networks with batch norms, a vision transformer and a character GPT."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """Two 3×3 convolutions with batch norms, added to what goes in; a 1×1 projection where the shape changes.

    Args:
        n_in: channels that come in.
        n_out: channels that go out.
        stride: of the first convolution.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        changes = stride > 1 or n_in != n_out
        project = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        self.shortcut = project if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        inner = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class ResNet(nn.Module):
    """A residual network for small images, after He et al. (2016), with projections as shortcuts.

    Args:
        widths: channels of each stage; each but the first halves height and width.
        n_blocks: blocks of a stage.
        n_in: channels of an image.
        n_classes: number of classes.
    """

    def __init__(self, widths: Sequence[int], n_blocks: int, *, n_in: int = 3, n_classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, widths[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        blocks: list[nn.Module] = []
        n = widths[0]
        for stage, width in enumerate(widths):
            for number in range(n_blocks):
                blocks.append(Residual(n, width, 2 if stage and not number else 1))
                n = width
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(n, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images (n_samples, n_in, height, width)."""
        x = self.blocks(functional.relu(self.norm(self.conv(x))))
        return self.output(x.mean((2, 3)))


class Attention(nn.Module):
    """Self-attention of several heads.

    Args:
        width: of the stream.
        n_heads: number of heads, which divides the width.
        causal: whether a place sees only those before it.
    """

    def __init__(self, width: int, n_heads: int, *, causal: bool) -> None:
        super().__init__()
        self.n_heads, self.head_size, self.causal = n_heads, width // n_heads, causal
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what each place of a stream (n_samples, n_places, width) reads from the others."""
        n, places, _ = x.shape
        query, key, value = (
            layer(x).view(n, places, self.n_heads, self.head_size).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        read = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out(read.transpose(1, 2).reshape(n, places, self.n_heads * self.head_size))


class Block(nn.Module):
    """A pre-norm transformer block with a hidden layer four times as wide as the stream.

    Args:
        width: of the stream.
        n_heads: number of heads.
        causal: as for `Attention`.
    """

    def __init__(self, width: int, n_heads: int, *, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, n_heads, causal=causal)
        self.hidden, self.out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream behind the block."""
        x = x + self.attention(self.norm1(x))
        return x + self.out(functional.gelu(self.hidden(self.norm2(x))))


class ViT(nn.Module):
    """A vision transformer whose output is read from the mean over patches.

    Args:
        size: height and width of an image.
        patch: those of a patch.
        width: of the stream.
        n_layers: number of blocks.
        n_heads: number of heads.
        n_in: channels of an image.
        n_classes: number of classes.
    """

    def __init__(
        self,
        *,
        size: int = 32,
        patch: int = 4,
        width: int = 96,
        n_layers: int = 4,
        n_heads: int = 4,
        n_in: int = 3,
        n_classes: int = 10,
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(n_in, width, patch, patch)
        self.places = nn.Parameter(0.02 * torch.randn((size // patch) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, n_heads, causal=False) for _ in range(n_layers)))
        self.norm, self.output = nn.LayerNorm(width), nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images (n_samples, n_in, size, size)."""
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places
        return self.output(self.norm(self.blocks(x)).mean(1))


class GPT(nn.Module):
    """A decoder of characters.

    Args:
        n_symbols: size of the vocabulary.
        width: of the stream.
        n_layers: number of blocks.
        n_heads: number of heads.
        context: the longest text that it reads.
    """

    def __init__(
        self, n_symbols: int, *, width: int = 128, n_layers: int = 4, n_heads: int = 4, context: int = 128
    ) -> None:
        super().__init__()
        self.symbols = nn.Embedding(n_symbols, width)
        self.places = nn.Parameter(0.02 * torch.randn(context, width))
        self.blocks = nn.Sequential(*(Block(width, n_heads, causal=True) for _ in range(n_layers)))
        self.norm, self.output = nn.LayerNorm(width), nn.Linear(width, n_symbols)
        nn.init.normal_(self.symbols.weight, std=0.02)

    def forward(self, symbols: Tensor) -> Tensor:
        """Return the logits of the next character at each place of texts (n_samples, n_places)."""
        x = self.symbols(symbols) + self.places[: symbols.shape[1]]
        return self.output(self.norm(self.blocks(x)))


IMAGE_NETWORKS = {
    "resnet20": lambda: ResNet((16, 32, 64), 3),
    "vit": ViT,
    "small resnet": lambda: ResNet((16, 32, 64), 1),
    "tiny resnet": lambda: ResNet((6, 8), 1, n_in=1),
}
TEXT_NETWORKS = {
    "gpt": GPT,
    "small gpt": lambda n_symbols: GPT(n_symbols, width=64, n_layers=2, context=64),
    "tiny gpt": lambda n_symbols: GPT(n_symbols, width=16, n_layers=1, n_heads=2, context=16),
}


def network(name: str, seed: int, *, n_symbols: int = 0) -> nn.Module:
    """Build a network by its name.

    Args:
        name: a key of `IMAGE_NETWORKS` or `TEXT_NETWORKS`.
        seed: of its weights; the global generator is left as it was.
        n_symbols: size of the vocabulary, for a text.

    Example:
        >>> sum(one.numel() for one in network("resnet20", 0).parameters())
        272474
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TEXT_NETWORKS[name](n_symbols) if name in TEXT_NETWORKS else IMAGE_NETWORKS[name]()
