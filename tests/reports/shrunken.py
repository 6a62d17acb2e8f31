"""A shrunken network with a name that is no name, for the tests of tables and pages."""

from functools import cache

import torch
from torch import nn

from cofire.nets.shrinking import Shrunk, accuracy, shrink

EVIL = "<script>alert(1)</script>\x1b[31m/[bold]"


@cache
def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module(EVIL, nn.Linear(6, 24))
    net.add_module("act", nn.ReLU())
    net.add_module("hidden", nn.Linear(24, 16))
    net.add_module("act2", nn.ReLU())
    net.add_module("out", nn.Linear(16, 3))
    return net


@cache
def shrunken() -> Shrunk:
    x = torch.randn(600, 6, generator=torch.Generator().manual_seed(0))
    return shrink(network(), [(x, torch.arange(600) % 3)], keep=0.6, score=accuracy)
