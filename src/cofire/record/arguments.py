"""What a tracker is given, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from .runs import WritableRun

Sink = Callable[..., object]
"""Takes rows; if its ``takes_arrays`` is true, rows and arrays."""


def check_whole(name: str, value: object) -> None:
    """Refuse what is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def check_objects(model: object, run: object, sink: object) -> None:
    """Refuse what is no model, no place for rows, or cannot be called with them."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"the model must be a torch.nn.Module, got {type(model).__qualname__}")
    if not isinstance(run, str | Path | WritableRun | None):
        raise ValueError(f"run must be a path, or a run opened with mode='write', got {type(run).__qualname__}")
    if sink is not None and not callable(sink):
        raise ValueError(f"a sink must be callable with a list of rows, got {type(sink).__qualname__}")
