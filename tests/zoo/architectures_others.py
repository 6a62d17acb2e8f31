"""Diffusers' UNet and VAE, PyTorch Geometric, and small modules of one's own."""

import torch
from architectures import Architecture, images
from torch import nn
from torch.nn import functional as F


def diffusers():
    from diffusers import AutoencoderKL, UNet2DConditionModel

    blocks = {"block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 4}

    def unet():
        return UNet2DConditionModel(
            sample_size=8,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=24,
            attention_head_dim=4,
            **blocks,
        )

    def vae():
        both = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
        return AutoencoderKL(latent_channels=4, **both, **blocks)

    latents = lambda: (torch.randn(2, 4, 8, 8), torch.tensor([3, 5]), torch.randn(2, 7, 24))  # noqa: E731
    return [
        Architecture("diffusers", "UNet2DConditionModel", unet, latents),
        Architecture("diffusers", "AutoencoderKL", vae, images(32)),
    ]


class Graph(nn.Module):
    """Two layers of a kind over a graph, the mean over its nodes and a head."""

    def __init__(self, make):
        super().__init__()
        self.first, self.second = make(6, 16), make(16, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x, *edges):
        return self.head(self.second(F.relu(self.first(x, *edges)), *edges)).mean(0)


def torch_geometric():
    from torch_geometric import nn as graph

    def edges():
        return torch.randn(10, 6), torch.randint(0, 10, (2, 30))

    def kinds():
        return (*edges(), torch.randint(0, 3, (30,)))

    layers = {
        "GCN": (graph.GCNConv, edges),
        "GraphSAGE": (graph.SAGEConv, edges),
        "GAT": (lambda n, m: graph.GATConv(n, m // 4, heads=4), edges),
        "GIN": (lambda n, m: graph.GINConv(nn.Sequential(nn.Linear(n, 20), nn.ReLU(), nn.Linear(20, m))), edges),
        "RGCN": (lambda n, m: graph.RGCNConv(n, m, num_relations=3), kinds),
    }
    return [
        Architecture("torch_geometric", name, lambda make=make: Graph(make), example)
        for name, (make, example) in layers.items()
    ]


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class Scale(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, 1, 1))

    def forward(self, x):
        return x * self.weight


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Dense(nn.Module):
    """A layer of one's own that keeps its weight as (in, out)."""

    def __init__(self, n, m):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(n, m)), nn.Parameter(torch.randn(m))

    def forward(self, x):
        return x @ self.w + self.b


class Chunks(nn.Module):
    """The same modules on each chunk of a long input, as a reader of sound does it."""

    def __init__(self):
        super().__init__()
        self.conv, self.cell, self.head = nn.Conv1d(1, 8, 5), nn.LSTMCell(8, 10), nn.Linear(10, 3)

    def forward(self, x):
        h = c = x.new_zeros(len(x), 10)
        for chunk in x.split(20, -1):
            h, c = self.cell(F.relu(self.conv(chunk)).mean(-1), (h, c))
        return self.head(h)


class Experts(nn.Module):
    """A mixture in which each row takes its best expert, weighted by the gate."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(6, 3)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(6, 10), nn.GELU(), nn.Linear(10, 6)) for _ in range(3))

    def forward(self, x):
        weights = self.gate(x).softmax(-1)
        return x + sum(weights[:, k, None] * expert(x) for k, expert in enumerate(self.experts))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.table, self.layers, self.head = nn.Embedding(20, 6), kind, nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.layers(self.table(x))[0][:, -1])


def small():
    from torch.nn.utils import parametrizations

    recurrent = {"input_size": 6, "hidden_size": 8, "num_layers": 3, "bidirectional": True, "batch_first": True}
    rows, sentences = (lambda: torch.randn(5, 6)), (lambda: torch.randint(0, 20, (3, 7)))
    pooled = Lambda(lambda x: x.mean((2, 3)))
    models = {
        "own pooling": (lambda: nn.Sequential(nn.Conv2d(3, 8, 4), nn.ReLU(), pooled, nn.Linear(8, 3)), images(16)),
        "own view": (
            lambda: nn.Sequential(nn.Conv2d(3, 8, 4), Lambda(lambda x: x.view(len(x), -1)), nn.Linear(8 * 169, 4)),
            images(16),
        ),
        "own swish": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), Swish(), Scale(8), nn.Conv2d(8, 4, 1)), images(12)),
        "own norm": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), LayerNorm2d(8), nn.Conv2d(8, 4, 1)), images(12)),
        "own dense": (lambda: nn.Sequential(Dense(6, 9), nn.Tanh(), Dense(9, 3)), rows),
        "chunks": (Chunks, lambda: torch.randn(2, 1, 80)),
        "experts": (lambda: nn.Sequential(Experts(), nn.Linear(6, 2)), rows),
        "LSTM": (lambda: Recurrent(nn.LSTM(**recurrent)), sentences),
        "GRU": (lambda: Recurrent(nn.GRU(**recurrent)), sentences),
        "RNN": (lambda: Recurrent(nn.RNN(**recurrent)), sentences),
        "Transformer": (
            lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 3, 20, batch_first=True), 2),
            lambda: torch.randn(2, 7, 12),
        ),
        "spectral norm": (
            lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 10)), nn.ReLU(), nn.Linear(10, 3)),
            rows,
        ),
        "weight norm": (
            lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 10)), nn.ReLU(), nn.Linear(10, 3)),
            rows,
        ),
    }
    return [Architecture("small", name, *both) for name, both in models.items()]
