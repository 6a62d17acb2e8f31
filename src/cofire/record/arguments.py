"""What a tracker is given, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from .runs.run_directory import WritableRun

Sink = Callable[..., object]
"""Takes rows; if its ``takes_arrays`` is true, rows and arrays."""


def check_whole(name: str, value: object) -> None:
    """Refuse what is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def check_seed(seed: object) -> None:
    """Refuse what rows cannot hold: a seed is a whole number of 64 bits."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be a whole number from 0 to below 2**63, got {seed!r}")


def check_objects(model: object, run: object, sink: object) -> None:
    """Refuse what is no model, no place for rows, or cannot be called with them."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"the model must be a torch.nn.Module, got {type(model).__qualname__}")
    if not isinstance(run, str | Path | WritableRun | None):
        raise ValueError(f"run must be a path, or a run opened with mode='write', got {type(run).__qualname__}")
    if isinstance(run, str) and not run:
        raise ValueError("run is a directory's path, got an empty one; give '.' for the current directory")
    if sink is not None and not callable(sink):
        raise ValueError(f"a sink must be callable with a list of rows, got {type(sink).__qualname__}")
