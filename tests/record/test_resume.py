"""Runs killed at chosen steps and resumed, by real processes, against one that was left alone."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cofire.record import Run, RunLocked

LOOP = Path(__file__).with_name("loop.py")


def start(directory: Path, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(LOOP), str(directory), *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def finish(directory: Path) -> None:
    process = start(directory)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


def stop_at(directory: Path, step: int, how: signal.Signals) -> subprocess.Popen[bytes]:
    process = start(directory, step)
    assert process.stderr is not None
    paused = directory / "paused"
    deadline = time.monotonic() + 60
    while not paused.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    paused.unlink()
    process.stderr.close()
    process.send_signal(how)
    return process


def outcome(directory: Path) -> tuple[list[tuple[object, ...]], list[tuple[int, str, str]], bytes]:
    with Run.open(directory) as run:
        rows = sorted(tuple(map(str, row[1:])) for row in run.rows())
        return rows, sorted(run.arrays()), (directory / "weights").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "run"
    finish(directory)
    return directory


@pytest.mark.parametrize("step", [1, 14, 20, 51])
def test_kill_nine_and_resume_gives_the_same_rows_and_weights(step: int, undisturbed: Path, tmp_path: Path) -> None:
    process = stop_at(tmp_path / "run", step, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finish(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_terminate_saves_at_the_edge_of_a_step_and_exits_143(undisturbed: Path, tmp_path: Path) -> None:
    process = stop_at(tmp_path / "run", 20, signal.SIGTERM)
    assert process.wait(timeout=90) == 143
    with Run.open(tmp_path / "run", mode="write") as run:
        found = run.load()
        assert found is not None and found[0] in (20, 21)
    finish(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_damaged_newest_checkpoint_falls_back_with_a_warning(tmp_path: Path) -> None:
    stop_at(tmp_path / "run", 30, signal.SIGKILL).wait()
    with Run.open(tmp_path / "run", mode="write") as run:
        newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
        newest.write_bytes(newest.read_bytes()[:-100])
        with pytest.warns(RuntimeWarning, match="falling back"):
            found = run.load()
    assert found is not None and found[0] == 13


def test_second_writer_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", mode="write", config={"seed": 0}):
        with pytest.raises(RunLocked):
            Run.open(tmp_path / "run", mode="write")
        with Run.open(tmp_path / "run") as reader:
            assert reader.config == {"seed": 0}


def test_changed_configuration_is_refused_naming_what_changed(tmp_path: Path) -> None:
    Run.open(tmp_path / "run", mode="write", config={"lr": 0.1, "net": {"width": 8}}).close()
    with pytest.raises(ValueError, match=r"lr: was 0.1, now 0.2"):
        Run.open(tmp_path / "run", mode="write", config={"lr": 0.2, "net": {"width": 8}})


def test_full_disk_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Run.open(tmp_path / "run", mode="write") as run:
        run.save(1, {"value": 1})
        before = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr("os.fsync", full)
            run.save(2, {"value": 2})
        assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == before
        found = run.load()
        assert found is not None and found[1]["value"] == 1
