"""Checks of what users give: each raises ValueError with what was got and what was expected."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from .runs.run_directory import WritableRun

Sink = Callable[..., object]
"""Takes rows; if its ``takes_arrays`` is true, rows and arrays."""


def check_whole(name: str, value: object, *, least: int = 1) -> None:
    """Refuse anything but a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def check_seed(seed: object) -> None:
    """Refuse seeds that don't fit into rows: they are whole numbers of 63 bits."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be a whole number from 0 to below 2**63, got {seed!r}")


def check_objects(model: object, run: object, sink: object) -> None:
    """Refuse what is not a model, not a place for rows, or cannot be called with them."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"the model must be a torch.nn.Module, got {type(model).__qualname__}")
    if not isinstance(run, str | Path | WritableRun | None):
        raise ValueError(f"run must be a path, or a run opened with mode='write', got {type(run).__qualname__}")
    if isinstance(run, str) and not run:
        raise ValueError("run is a directory's path, got an empty one; give '.' for the current directory")
    if sink is not None and not callable(sink):
        raise ValueError(f"a sink must be callable with a list of rows, got {type(sink).__qualname__}")


def check_overwrite(overwrite: bool, run: object, state: object) -> None:
    """Refuse to overwrite what isn't given by its path, or what is to be continued."""
    if overwrite and not isinstance(run, str | Path):
        got = "none" if run is None else "an open run; open it with Run.open(..., mode='write', overwrite=True)"
        raise ValueError(f"overwrite=True needs the run's directory, got {got}")
    if overwrite and state is not None:
        raise ValueError("overwrite=True starts over, and state continues an earlier training; give one of them")
