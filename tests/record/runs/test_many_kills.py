"""Trainings killed at places drawn at random, once or twice, and resumed: the bytes of one that nothing stopped."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cofire.record import Run

SEED = 22
STEPS, WRITES = 52, 9


def outcome(directory: Path) -> tuple[object, ...]:
    """All that a run holds in the end: rows, arrays, weights, and the names of its files."""
    with Run.open(directory) as run:
        rows = sorted(tuple(map(str, row[1:])) for row in run.rows())
        arrays = [(key, run.array(key[1], key[2], step=key[0]).tobytes()) for key in sorted(run.arrays())]
    names = sorted(path.name for path in directory.rglob("*") if path.suffix in (".json", ".sqlite", ".partial"))
    return rows, arrays, (directory / "weights").read_bytes(), names


def kill(directory: Path, start: Callable, draw: random.Random, **options: object) -> str:
    """Train until a place drawn at random, and end the process there."""
    directory.mkdir(exist_ok=True)
    kind = draw.choice(["step", "write", "clock"])
    how = draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]) if kind == "step" else signal.SIGKILL
    if kind == "clock":
        delay = draw.uniform(0.0, 1.0)
        running = start(directory, **options)
        time.sleep(delay)
        os.kill(running.process.pid, how)
        running.status()
        return f"after {delay:.3f} s"
    place = draw.randrange(1, STEPS) if kind == "step" else draw.randrange(WRITES)
    running = start(directory, **{kind: place}, **options)
    while running.process.is_alive() and not (directory / "paused").exists():  # a resumed one may be beyond it
        time.sleep(0.01)
    if (directory / "paused").exists():
        running.stop_when_paused(how)
    running.status()
    return f"{how.name} at {kind} {place}"


def faults(seed: int, number: int, folder: Path, start: Callable, undisturbed: Path, **options: object) -> list[str]:
    draw, found, expected = random.Random(seed), [], outcome(undisturbed)
    for index in range(number):
        run = folder / f"case{index}" / "run"
        run.parent.mkdir()
        places = [kill(run, start, draw, **options) for _ in range(draw.choice([1, 1, 2]))]
        status = start(run, **options).status()
        if status or outcome(run) != expected:
            found.append(f"{index}, {', '.join(places)}: status {status}, or another outcome")
    return found


@pytest.mark.parametrize("number", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_a_training_that_was_killed_ends_as_one_that_was_not(number, tmp_path, start, undisturbed) -> None:
    assert faults(SEED, number, tmp_path, start, undisturbed) == []


def test_it_finds_a_part_that_is_not_restored(tmp_path, start, undisturbed) -> None:
    assert faults(SEED, 2, tmp_path, start, undisturbed, forgets="optimizer")
