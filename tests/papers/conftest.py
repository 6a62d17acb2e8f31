"""A small experiment of plain arithmetic; its tasks can be told to fail, to wait, or to kill their process."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest
from matplotlib.figure import Figure

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.experiment import Claim, Experiment, row
from cofire.papers.framework.plots import draw, panels
from cofire.papers.framework.tasks import Task, grid
from cofire.papers.framework.verdicts import Bar, part
from cofire.record import Row

# What runs tasks cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def run(task: Task) -> Iterator[Row]:
    log = task.get("log")
    if log is not None:
        with Path(log).open("a") as file:
            file.write(f"{task['x']}\n")
    misbehave(task)
    for seed in task.seeds:
        for epoch in range(3):
            yield row("level", task["x"] + epoch + seed / 10, seed=seed, epoch=epoch)


def misbehave(task: Task) -> None:
    if task["x"] == task.get("fails_at"):
        raise RuntimeError("it was told to")
    if task["x"] == task.get("dies_at"):
        os.kill(os.getpid(), signal.SIGKILL)
    if task["x"] == task.get("dies_once_at") and not Path(task["marker"]).exists():
        Path(task["marker"]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(task.get("sleep", 0.0))


def figure(table: Table) -> Figure:
    drawn, axes = panels()
    draw(axes[0][0], table.curve("epoch", x=0), "x = 0", color="black")
    return drawn


def make(**settings: object) -> Experiment:
    points = grid(**{"x": [0, 1, 2, 3], **settings})
    return Experiment(
        name="jin2022.arithmetic",
        title="A line",
        grid={"smoke": points, "quick": points, "paper": points},
        seeds={"smoke": 2, "quick": 3, "paper": 5},
        run=run,
        figures={"arithmetic": figure},
        claims=(
            Claim(
                "rises",
                "It rises | always",
                "nowhere",
                Bar(above=0, margin=0.1, why="a tenth of what it rises by"),
                lambda table: part(rise(table), "rise"),
            ),
            Claim("falls", "It falls", "nowhere", Bar(below=0, margin=0.1), lambda table: part(rise(table))),
        ),
        minutes={"smoke": 0.1, "quick": 1, "paper": 90},
        notes="Plain arithmetic.",
    )


def rise(table: Table) -> dict[int, float]:
    first, last = (table.per_seed(x=0, epoch=epoch) for epoch in (0, 2))
    return {seed: last[seed] - first[seed] + seed / 100 for seed in first}


@pytest.fixture
def made():
    return make
