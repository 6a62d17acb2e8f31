"""What an architecture of the zoo is, and all of them."""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Architecture:
    """A model with random weights and what it takes.

    Attributes:
        library: whose it is.
        name: of the architecture.
        build: makes it.
        example: makes a tensor, a tuple of arguments or a dict of keyword arguments.
        dtype: in which the laws are tested.
        large: has more than 100 million parameters, so that it is built and run without memory only.
    """

    library: str
    name: str
    build: Callable[[], nn.Module]
    example: Callable[[], Any]
    dtype: torch.dtype = torch.float64
    large: bool = False

    def __str__(self) -> str:
        return f"{self.library}-{self.name}"


def images(size=64, n=2, channels=3):
    return lambda: torch.randn(n, channels, size, size)


def register_operators_of_torchvision():
    """Define the operators that torchvision asks for when it is imported, if its compiled ones don't load.

    Returns what must be kept alive as long as they are wanted.
    """
    folder = Path(importlib.util.find_spec("torchvision").origin).parent
    try:
        for path in folder.glob("_C*.so"):
            torch.ops.load_library(path)
    except OSError:
        pass
    if hasattr(torch.ops.torchvision, "nms"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _suppressed, "CPU")
    extension = importlib.import_module("torchvision.extension")
    extension._has_ops = lambda: True  # it asks before each call
    return library


def _suppressed(boxes, scores, threshold):
    """Non-maximum suppression: the best box, and each further one that overlaps no better one too much."""
    kept = []
    for k in scores.argsort(descending=True).tolist():
        if all(_overlap(boxes[k], boxes[other]) <= threshold for other in kept):
            kept.append(k)
    return torch.tensor(kept, dtype=torch.int64)


def _overlap(a, b):
    sides = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0)
    shared = sides.prod()
    return float(shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared))
