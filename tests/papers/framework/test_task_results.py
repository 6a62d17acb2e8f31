import math
import sqlite3
from pathlib import Path

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.experiment import row
from cofire.papers.framework.repetitions import table_of
from cofire.papers.framework.task_results import FILE, Results, State
from cofire.papers.framework.tasks import Task
from cofire.record import RunLocked

TASK = Task.of("a.fig1", 1, {"width": 3}, [0, 1])
GOOD, ON_GPU = State(None, 2.0, "here"), State(None, 1.0, "there", "cuda")


class Fig1:
    """All of an experiment that results need."""

    training, version, grid = "a.fig1", 1, {"quick": ({"width": 3},)}


def rows_of(results: Results) -> Table:
    found = results.found(Fig1, "quick")  # type: ignore[arg-type]
    return table_of(found.repetitions.values())


def test_rows_come_back_with_their_settings(tmp_path: Path) -> None:
    with Results(tmp_path / "new", write=True) as results:
        assert results.state(TASK) is None and not results.finished(TASK)
        results.finish(TASK, [row("nc", 0.5, seed=1, epoch=4, site="fc", k=2), row("nc", math.nan, seed=0)], GOOD)
    with Results(tmp_path / "new") as results:
        assert results.finished(TASK) and results.state(TASK) == GOOD
        (one,) = rows_of(results).where(seed=1)
        (absent,) = rows_of(results).where(seed=0)
    assert (one["width"], one["k"], one["epoch"], one["value"], one["site"]) == (3, 2, 4, 0.5, "fc")
    assert math.isnan(absent["value"])


def test_all_tasks_of_a_point_count_and_a_seed_counts_once(tmp_path: Path) -> None:
    with Results(tmp_path, write=True) as results:
        for seeds, value in (([0, 1], 1.0), ([1, 2, 3], 2.0)):
            task = Task.of("a.fig1", 1, {"width": 3}, seeds)
            results.finish(task, [row("nc", value, seed=seed) for seed in seeds], GOOD)
        other = [Task.of("a.fig1", 2, {"width": 3}, [9]), Task.of("a.fig1", 1, {"width": 4}, [9])]
        for task in other:
            results.finish(task, [row("nc", 9, seed=9)], GOOD)
        results.finish(Task.of("a.fig1", 1, {"width": 3}, [3, 4]), [], State("RuntimeError: no", 1.0, "here"))
        results.finish(Task.of("a.fig1", 1, {"width": 3}, [3]), [], State("RuntimeError: no", 1.0, "here"))
        assert rows_of(results).per_seed() == {0: 1.0, 1: 2.0, 2: 2.0, 3: 2.0}
        found = results.found(Fig1, "quick")  # type: ignore[arg-type]
    assert [(one.seeds, one.error) for one in found.failures] == [((3, 4), "RuntimeError: no")]
    assert sum(one.seconds for one in found.repetitions.values()) == pytest.approx(1 + 3 * 2 / 3)


def test_the_kinds_of_device_are_told_apart(tmp_path: Path) -> None:
    with Results(tmp_path, write=True) as results:
        results.finish(TASK, [row("nc", 1, seed=0)], GOOD)
        assert not results.finished(TASK, device="cuda")
        results.finish(TASK, [row("nc", 2, seed=0)], ON_GPU)
        assert results.state(TASK) == GOOD and results.state(TASK, device="cuda") == ON_GPU
        found = results.found(Fig1, "quick")  # type: ignore[arg-type]
    assert {one.device: len(one.numbers) for one in found.repetitions.values() if one.seed == 0} == {
        "cpu": 1,
        "cuda": 1,
    }


def test_results_of_an_older_version_are_of_the_cpu(tmp_path: Path) -> None:
    with Results(tmp_path, write=True) as results:
        results.finish(TASK, [row("nc", 1, seed=0)], GOOD)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("ALTER TABLE tasks DROP COLUMN device")
    connection.close()
    for write in (False, True):
        with Results(tmp_path, write=write) as results:
            assert results.state(TASK) == GOOD and rows_of(results).per_seed() == {0: 1.0}


def test_a_failed_task_is_not_finished_and_may_succeed_later(tmp_path: Path) -> None:
    with Results(tmp_path, write=True) as results:
        results.finish(TASK, [], State("RuntimeError: no", 1.0, "here"))
        assert not results.finished(TASK) and results.state(TASK) == State("RuntimeError: no", 1.0, "here")
        results.finish(TASK, [row("nc", 1, seed=0)], GOOD)
        assert results.finished(TASK) and len(rows_of(results)) == 1


def test_a_task_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    twins = [row("nc", 1, seed=0), row("nc", 2, seed=0)]
    with Results(tmp_path, write=True) as results:
        with pytest.raises(ValueError, match="two rows"):
            results.finish(TASK, twins, GOOD)
        with pytest.raises(ValueError, match="not one of its seeds"):
            results.finish(TASK, [row("nc", 1, seed=7)], GOOD)
        assert results.state(TASK) is None and not rows_of(results)


def test_one_writer_and_many_readers(tmp_path: Path) -> None:
    with Results(tmp_path, write=True) as results:
        results.finish(TASK, [row("nc", 1, seed=0)], GOOD)
        with pytest.raises(RunLocked, match="in use"):
            Results(tmp_path, write=True)
        with Results(tmp_path) as reader:
            assert reader.finished(TASK)
    with Results(tmp_path, write=True) as again:
        assert again.finished(TASK)


def test_no_results_are_no_error_and_create_nothing(tmp_path: Path) -> None:
    with Results(tmp_path / "nowhere") as results:
        assert results.state(TASK) is None
    assert not (tmp_path / "nowhere").exists()


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 5000)
    with pytest.raises(ValueError, match="is not a table of results"):
        Results(tmp_path)
    (tmp_path / FILE).unlink()
    sqlite3.connect(tmp_path / FILE).close()
    with pytest.raises(ValueError, match="is not a table of results"):
        Results(tmp_path)


def test_a_full_disk_is_said_to_be_so(tmp_path: Path) -> None:
    results = Results(tmp_path, write=True)
    results._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(OSError, match="earlier tasks are safe"):
        results.finish(TASK, [], GOOD)
    results.close()
