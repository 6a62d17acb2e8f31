"""Pruning by Torch-Pruning, as it comes, if it is installed; it is no dependency."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from warnings import catch_warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...nets.surgery.copies import copied
from .shrink_contenders import has_batch_norms, recalibrated

CRITERIA = {"torch-pruning group norm": "GroupMagnitudeImportance", "torch-pruning taylor": "GroupTaylorImportance"}
PREFIX = "torch-pruning"
TRIES = 8
"""Ratios that are tried to reach a share of the parameters."""


def importable() -> bool:
    """Return whether Torch-Pruning is installed."""
    return find_spec("torch_pruning") is not None


def smaller_networks(
    model: nn.Module, batches: Sequence[tuple[Any, Tensor]], share: float, by: str
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the network pruned to a share of its parameters, as it is and with batch norms recalibrated.

    Nothing is yielded where Torch-Pruning is absent, or fails on the network.

    Args:
        model: the network.
        batches: the calibration data, with what is wanted.
        share: the share of parameters that stays.
        by: a key of `CRITERIA`.
    """
    if not importable():
        return
    try:
        with catch_warnings(action="ignore"):
            smaller = _pruned(model, batches, share, CRITERIA[by])
        smaller(batches[0][0])
    except Exception:  # whatever it raises on a network that it can't follow
        return
    yield "as it is", smaller
    if has_batch_norms(smaller):
        yield "batch norms", recalibrated(smaller, [inputs for inputs, _ in batches])


def _pruned(model: nn.Module, batches: Sequence[tuple[Any, Tensor]], share: float, importance: str) -> nn.Module:
    """Return the network at the smallest ratio, found by bisection, that leaves at most this share."""
    budget = share * sum(one.numel() for one in model.parameters())
    net = copied(model).eval()
    if "Taylor" in importance:
        with torch.enable_grad():
            for inputs, wanted in batches:
                functional.cross_entropy(net(inputs).flatten(0, -2), wanted.flatten()).backward()
    low, high, best = 0.0, 1.0, None
    for _ in range(TRIES):
        ratio = (low + high) / 2
        smaller = _at_ratio(net, batches[0][0][:1], ratio, importance)
        if sum(one.numel() for one in smaller.parameters()) <= budget:
            best, high = smaller, ratio
        else:
            low = ratio
    if best is None:
        raise ValueError(f"no ratio leaves {share:.0%} of the parameters; choose a larger share")
    best.zero_grad()
    return best


def _at_ratio(net: nn.Module, example: Tensor, ratio: float, importance: str) -> nn.Module:
    """Return a pruned copy of a network, which has its gradients if they count."""
    library = import_module("torch_pruning")
    smaller = copied(net)
    for old, new in zip(net.parameters(), smaller.parameters(), strict=True):
        new.grad = None if old.grad is None else old.grad.clone()
    library.pruner.BasePruner(
        smaller,
        example,
        importance=getattr(library.importance, importance)(),
        pruning_ratio=ratio,
        max_pruning_ratio=1.0,
        ignored_layers=[layer for name, layer in smaller.named_modules() if name == "output"],
    ).step()
    return smaller
