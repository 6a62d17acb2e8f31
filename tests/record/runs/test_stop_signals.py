"""Signals in real training processes, with data loaders' workers: what is saved, and how soon the process leaves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cofire.record import Run, resumable
from cofire.record.runs.stop_signals import handling

PROGRAM = """
import sys, time, torch
from torch.utils.data import DataLoader, Dataset
from cofire.record import Run, resumable

directory, loading, workers, pause = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])

class Slow(Dataset):
    def __len__(self):
        return 400
    def __getitem__(self, index):
        time.sleep(loading if index >= 6 else 0)
        return torch.full((3,), float(index))

if __name__ == "__main__":
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with Run.open(directory, mode="write") as run, resumable(run, every=1000, model=model) as loop:
        for step, x in enumerate(DataLoader(Slow(), batch_size=2, num_workers=workers), 1):
            optimizer.zero_grad()
            model(x).mean().backward()
            optimizer.step()
            if step == 3:
                print("third", flush=True)
                time.sleep(pause)
            loop.edge(step)
"""


def expected(steps: int) -> torch.Tensor:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.stack([torch.full((3,), 2.0 * step), torch.full((3,), 2.0 * step + 1)])).mean().backward()
        optimizer.step()
    return model.weight.detach()


@pytest.fixture
def third(tmp_path: Path):
    """Start the program and wait until it is in its third step."""
    started: list[subprocess.Popen] = []

    def start(*, loading: float = 0.0, workers: int = 0, pause: float = 0.0) -> subprocess.Popen:
        arguments = [sys.executable, "-c", PROGRAM, str(tmp_path / "run"), *map(str, (loading, workers, pause))]
        process = subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == b"third\n"
        time.sleep(0.5)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def saved(directory: Path) -> tuple[int, torch.Tensor]:
    with Run.open(directory, mode="write") as run:
        found = run.load()
    assert found is not None
    return found[0], found[1]["model"]["weight"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("where", ["in a step", "at the loader"])
def test_a_signal_to_the_whole_group_saves(how: signal.Signals, where: str, third, tmp_path: Path) -> None:
    process = third(workers=2, **({"pause": 3.0} if where == "in a step" else {"loading": 20.0}))
    os.killpg(process.pid, how)
    _, said = process.communicate(timeout=60)
    assert process.returncode in ((143,) if how == signal.SIGTERM else (130, -signal.SIGINT)), said
    assert saved(tmp_path / "run")[0] == 3
    torch.testing.assert_close(saved(tmp_path / "run")[1], expected(3), rtol=0, atol=0)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_leaves_at_once(how: signal.Signals, third, tmp_path: Path) -> None:
    process = third(pause=40.0)
    process.send_signal(how)
    time.sleep(0.5)
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(how)
    process.communicate(timeout=60)
    assert time.monotonic() - began < 20 and process.returncode in (-how, 128 + how)
    assert saved(tmp_path / "run")[0] == 0


def test_an_error_that_no_signal_came_before_saves_nothing(tmp_path: Path) -> None:
    model = torch.nn.Linear(1, 1)
    with (
        pytest.raises(RuntimeError, match="of the user"),
        Run.open(tmp_path / "run", mode="write") as run,
        resumable(run, every=100, model=model) as loop,
    ):
        loop.edge(3)
        raise RuntimeError("of the user")
    assert saved(tmp_path / "run")[0] == 0


@pytest.mark.parametrize("change", [True, False])
def test_an_error_after_a_signal_saves_what_is_whole(change: bool, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("cofire.record.runs.resume.workers_are_watched", lambda: True)
    model = torch.nn.Linear(1, 1)
    with (
        pytest.raises(RuntimeError if change else SystemExit),
        Run.open(tmp_path / "run", mode="write") as run,
        resumable(run, every=100, model=model) as loop,
    ):
        loop.edge(3)
        torch.rand(4)  # the state of the generators is the one between the steps
        loop.terminate()
        if change:
            with torch.no_grad():
                model.weight.add_(1)
        raise RuntimeError("a worker died")
    assert saved(tmp_path / "run")[0] == (0 if change else 3)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_ends_as_ever() -> None:
    reached = []
    there, here = os.pipe()
    with handling(reached.append):
        child = os.fork()
        if child == 0:
            os.write(here, b"!")
            time.sleep(60)
            os._exit(0)
        os.read(there, 1)  # Python drops signals that reach a child before it has begun
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    assert not reached


def test_handlers_are_restored_and_ignored_signals_stay_ignored() -> None:
    def mine(number: int, frame: object) -> None: ...

    before: Callable | int | None = signal.signal(signal.SIGTERM, mine)
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with handling(lambda number: None):
            assert signal.getsignal(signal.SIGTERM) is not mine and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is mine and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupt)
