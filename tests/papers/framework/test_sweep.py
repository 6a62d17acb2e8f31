import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cofire.papers.framework.repetitions import table_of
from cofire.papers.framework.sweep import Done, run_task, sweep
from cofire.papers.framework.task_context import Place, here
from cofire.papers.framework.task_results import Results


def work(experiment):
    return [(experiment, task) for task in experiment.tasks("smoke")]


def rows_of(experiment, results: Results):
    return table_of(results.found(experiment, "smoke").repetitions.values())


def lines(path: Path) -> list[str]:
    return sorted(path.read_text().split()) if path.exists() else []


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_is_run_once_and_never_again(made, tmp_path: Path, jobs: int) -> None:
    experiment = made(log=str(tmp_path / "log"))
    told: list[Done] = []
    with Results(tmp_path / "out", write=True) as results:
        ended = sweep(work(experiment) * 2, results, jobs=jobs, tell=told.append)
        assert [(done.done, done.total) for done in told] == [(k, 4) for k in (1, 2, 3, 4)] and ended == told
        assert not sweep(work(experiment), results, jobs=jobs)
        table = rows_of(experiment, results)
    assert lines(tmp_path / "log") == ["0", "1", "2", "3"]
    assert table.per_seed(x=2, epoch=1) == {0: 3.0, 1: 3.1}


def test_processes_give_what_one_process_gives(made, tmp_path: Path) -> None:
    tables = []
    for jobs in (1, 2):
        with Results(tmp_path / str(jobs), write=True) as results:
            sweep(work(made()), results, jobs=jobs)
            tables.append(sorted(map(str, rows_of(made(), results))))
    assert tables[0] == tables[1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failed_task_is_kept_with_its_error_and_tried_again(made, tmp_path: Path, jobs: int) -> None:
    experiment = made(fails_at=1, log=str(tmp_path / "log"))
    with Results(tmp_path / "out", write=True) as results:
        ended = sweep(work(experiment), results, jobs=jobs)
        failed = [done for done in ended if done.state.error]
        assert len(ended) == 4 and [done.task["x"] for done in failed] == [1]
        kept = results.state(failed[0].task)
        assert kept is not None and "RuntimeError: it was told to" in str(kept.error)
        assert [done.task["x"] for done in sweep(work(experiment), results, jobs=jobs)] == [1]
    assert lines(tmp_path / "log") == ["0", "1", "1", "2", "3"]


def test_a_process_that_dies_costs_its_own_task_only(made, tmp_path: Path) -> None:
    experiment = made(dies_at=1, sleep=0.2)
    with Results(tmp_path, write=True) as results:
        ended = sweep(work(experiment), results, jobs=2)
        finished = [task["x"] for task in experiment.tasks("smoke") if results.finished(task)]
    assert finished == [0, 2, 3]
    (dead,) = [done for done in ended if done.state.error]
    assert dead.task["x"] == 1 and "its process died" in str(dead.state.error)


def test_rows_that_are_not_the_tasks_make_it_a_failed_one(made, tmp_path: Path) -> None:
    experiment = made()
    first, second = experiment.tasks("smoke")[:2]
    object.__setattr__(experiment, "run", lambda task: experiment_rows(task, first))
    with Results(tmp_path, write=True) as results:
        ended = sweep([(experiment, first), (experiment, second)], results)
        assert [bool(done.state.error) for done in ended] == [False, True]
        assert results.finished(first) and not results.finished(second)


def experiment_rows(task, good):
    from cofire.papers.framework.experiment import row

    return [row("level", 1, seed=0 if task == good else 99)]


INTERRUPTED = """
import sys
sys.path.insert(0, {folder!r})
import conftest
from cofire.papers.framework.task_results import Results
from cofire.papers.framework.sweep import sweep

experiment = conftest.make(log={log!r}, sleep=0.4)
work = [(experiment, task) for task in experiment.tasks("smoke")]
with Results({out!r}, write=True) as results:
    sweep(work, results, jobs={jobs}, tell=lambda done: print("ended"))
"""


@pytest.mark.parametrize(("how", "jobs"), [(signal.SIGKILL, 1), pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow)])
def test_an_interrupted_sweep_goes_on_where_it_was(made, tmp_path: Path, how: signal.Signals, jobs: int) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    code = INTERRUPTED.format(folder=str(Path(__file__).parents[1]), log=str(log), out=str(out), jobs=jobs)
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background ignores it
    )
    assert process.stdout is not None and process.stdout.readline()
    os.killpg(process.pid, how)
    process.communicate(timeout=120)
    time.sleep(0.1)
    experiment = made(log=str(log), sleep=0.4)
    with Results(out, write=True) as results:
        before = {task.id for task in experiment.tasks("smoke") if results.finished(task)}
        assert before
        again = sweep(work(experiment), results)
        assert {done.task.id for done in again} == {task.id for task in experiment.tasks("smoke")} - before
        assert all(results.finished(task) for task in experiment.tasks("smoke"))


def test_a_task_runs_on_one_thread_and_leaves_them_as_they_were(made) -> None:
    import torch

    seen = []
    before = torch.get_num_threads()
    _, _, state = run_task(lambda task: seen.append(torch.get_num_threads()) or [], made().tasks("smoke")[0], Place())
    assert seen == [1] and torch.get_num_threads() == before and state.error is None and state.device == "cpu"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_finds_its_checkpoint_which_goes_when_it_is_finished(made, tmp_path: Path, jobs: int) -> None:
    experiment = made(x=[0, 1], keeps=True, fails_at=1)
    with Results(tmp_path, write=True) as results:
        sweep(work(experiment), results, jobs=jobs)
        good, bad = experiment.tasks("smoke")
        assert not results.checkpoint(good).exists() and results.checkpoint(bad).exists()


def test_a_device_that_is_not_there_is_refused(made, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with Results(tmp_path, write=True) as results:
        with pytest.raises(ValueError, match="Device 'cuda' is not available: PyTorch sees no GPU here"):
            sweep(work(made()), results, device="cuda")
        with pytest.raises(ValueError, match="device must be cpu, cuda or cuda:<number>, got 'tpu'"):
            sweep(work(made()), results, device="tpu")
    _, _, state = run_task(lambda task: [], made().tasks("smoke")[0], Place("cuda"))  # as on a cluster's machine
    assert "Device 'cuda' is not available" in str(state.error) and state.device == "cuda" and here() == Place()


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    with Results(tmp_path, write=True) as results:
        with pytest.raises(ValueError, match="jobs must be at least 1"):
            sweep([], results, jobs=0)
        with pytest.raises(ValueError, match="needs a scheduler address"):
            sweep([], results, backend="dask")
        with pytest.raises(ValueError, match="needs a scheduler address"):
            sweep([], results, scheduler="tcp://here:1")
        with pytest.raises(ValueError, match="got 'threads'"):
            sweep([], results, backend="threads")  # type: ignore[arg-type]
