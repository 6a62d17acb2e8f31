"""Interleaved timing: every contender runs once a round, so drift of the machine hits all alike."""

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

import numpy as np
import torch
from rich.console import Console
from rich.table import Table


def measure(contenders: Mapping[str, Callable[[], object]], *, rounds: int = 5) -> dict[str, float]:
    """Median seconds of each contender over interleaved rounds, after one warm-up each."""
    keep_memory()
    for run in contenders.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            seconds[name].append(_timed(run))
    return {name: median(values) for name, values in seconds.items()}


def _timed(run: Callable[[], object]) -> float:
    start = perf_counter()
    run()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return perf_counter() - start


def keep_memory() -> None:
    """Have the C library keep what is freed, as it does in a program that has freed a large block once.

    Otherwise a contender gives megabytes back to the system at each run and pays for them anew at the next, or for what
    the one before it freed.
    """
    np.empty(31 << 20, np.uint8)


def report(title: str, seconds: Mapping[str, float], *, floor: str, goals: Mapping[str, str] | None = None) -> None:
    """Print seconds and the ratio to the floor, with the goal where one is set."""
    table = Table(title=title, title_justify="left")
    for column in ("", "seconds", f"ratio to {floor}", "goal"):
        table.add_column(column, justify="left" if column in ("", "goal") else "right")
    for name, value in seconds.items():
        table.add_row(name, f"{value:.4g}", f"{value / seconds[floor]:.3g}", (goals or {}).get(name, ""))
    Console().print(table)
