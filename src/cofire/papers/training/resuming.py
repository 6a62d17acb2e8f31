"""The state of networks while they learn, for a task's checkpoint; and their way to the task's device and back."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ...record import Row, Tracker
from ...record.runs.rng_state import restore_rng, rng_states
from ..framework.task_context import here
from .models import Dropout


def learning_state(
    models: Sequence[nn.Module],
    rows: Iterable[Row],
    *,
    step: int,
    epoch: int,
    optimizer: torch.optim.Optimizer | None = None,
    trackers: Iterable[Tracker] = (),
) -> dict[str, Any]:
    """Return all on which the rest of a training depends, in types that ``torch.load(weights_only=True)`` reads."""
    return {
        "models": [model.state_dict() for model in models],
        "generators": [layer.generator.get_state() for layer in _dropouts(models)],
        "rng": rng_states(),
        "rows": json.dumps(list(rows)),  # read faster than as many objects
        "step": step,
        "epoch": epoch,
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "trackers": [tracker.state_dict() for tracker in trackers],
    }


def restore_learning(
    models: Sequence[nn.Module], state: Mapping[str, Any], optimizer: torch.optim.Optimizer | None = None
) -> None:
    """Put networks, their dropout, the global generators and the optimizer into a state, in place."""
    for model, weights in zip(models, state["models"], strict=True):
        model.load_state_dict(weights)
    for layer, generator in zip(_dropouts(models), state["generators"], strict=True):
        layer.generator.set_state(generator)
    restore_rng(state["rng"])
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])


def rows_in(state: Mapping[str, Any]) -> list[Row]:
    """Return the rows that a state holds."""
    return [Row._make(row) for row in json.loads(state["rows"])]


def _dropouts(models: Sequence[nn.Module]) -> list[Dropout]:
    return [layer for model in models for layer in model.modules() if isinstance(layer, Dropout)]


@contextmanager
def on_device(models: Sequence[nn.Module]) -> Iterator[torch.device]:
    """Move networks to the running task's device for a block, and to the CPU afterwards, where they are measured."""
    device = torch.device(here().device)
    for model in models:
        model.to(device)
    try:
        yield device
    finally:
        for model in models:
            model.to("cpu")
