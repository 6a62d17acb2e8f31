"""The same sweeps on a real cluster of two worker processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cofire.papers.framework.repetitions import table_of
from cofire.papers.framework.sweep import sweep
from cofire.papers.framework.task_results import Results

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=60
    ) as cluster:
        yield cluster.scheduler_address


def rows_of(experiment, results: Results):
    return table_of(results.found(experiment, "smoke").repetitions.values())


def finished(experiment, results: Results) -> list[int]:
    return [task["x"] for task in experiment.tasks("smoke") if results.finished(task)]


def test_a_killed_worker_costs_nothing(made, tmp_path: Path, scheduler: str) -> None:
    experiment = made(dies_once_at=2, marker=str(tmp_path / "marker"), sleep=0.1)
    work = [(experiment, task) for task in experiment.tasks("smoke")]
    with Results(tmp_path / "out", write=True) as results:
        ended = sweep(work, results, backend="dask", scheduler=scheduler)
        assert len(ended) == 4 and not any(done.state.error for done in ended)
        assert finished(experiment, results) == [0, 1, 2, 3] and (tmp_path / "marker").exists()
        assert not sweep(work, results, backend="dask", scheduler=scheduler)
        rows = rows_of(experiment, results)
    with Results(tmp_path / "here", write=True) as results:
        sweep(work, results)
        assert sorted(map(str, rows)) == sorted(map(str, rows_of(experiment, results)))


def test_a_failed_task_is_kept_with_its_error(made, tmp_path: Path, scheduler: str) -> None:
    experiment = made(fails_at=0)
    with Results(tmp_path, write=True) as results:
        sweep([(experiment, task) for task in experiment.tasks("smoke")], results, backend="dask", scheduler=scheduler)
        assert finished(experiment, results) == [1, 2, 3]
        state = results.state(experiment.tasks("smoke")[0])
        assert state is not None and "it was told to" in str(state.error)


@pytest.mark.slow
def test_a_task_that_kills_every_worker_is_to_blame_alone(made, tmp_path: Path, scheduler: str) -> None:
    experiment = made(dies_at=1)
    with Results(tmp_path, write=True) as results:
        sweep([(experiment, task) for task in experiment.tasks("smoke")], results, backend="dask", scheduler=scheduler)
        assert finished(experiment, results) == [0, 2, 3]
