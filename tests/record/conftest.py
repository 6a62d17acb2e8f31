"""Real processes that run a file of this folder, forked from one that has torch loaded, so that they start at once."""

import multiprocessing
import os
import runpy
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@dataclass
class Running:
    """A process that trains in a directory."""

    process: Any
    directory: Path

    def status(self) -> int:
        """Its exit status, once it has ended."""
        self.process.join(90)
        return self.process.exitcode

    def stop_when_paused(self, how: signal.Signals) -> int:
        """Send it a signal where it pauses; its exit status."""
        paused = self.directory / "paused"
        deadline = time.monotonic() + 60
        while not paused.exists():
            assert self.process.is_alive() and time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(self.process.pid, how)
        paused.unlink()
        return self.status()


@pytest.fixture(scope="session")
def start() -> Callable[..., Running]:
    """Start the training loop in a directory, with what shall stop it."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(
        [
            "cofire.papers.training",
            "cofire.papers.training.models",
            "cofire.stats.correlation.tile_sums_numba",
            "torch._dynamo",
        ]
    )

    def begin(directory: Path, **stop: int) -> Running:
        names = {"directory": directory, "stop": stop}
        process = server.Process(target=runpy.run_path, args=(str(HERE / "loop.py"), names, "__main__"), daemon=True)
        process.start()
        return Running(process, directory)

    return begin


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, start: Callable[..., Running]) -> Path:
    """A run that nothing stopped."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    assert start(directory).status() == 0
    return directory
