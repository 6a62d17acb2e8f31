import subprocess
import sys

import pytest

from cofire.papers.framework.tasks import Task, grid

SETTINGS = {"widths": [30, 30], "activation": "relu", "rate": 0.1}


def test_the_identity_is_all_that_the_task_depends_on() -> None:
    task = Task.of("a.fig1", 1, SETTINGS, [0, 1])
    same = Task.of("a.fig1", 1, dict(reversed(SETTINGS.items())), (0, 1))
    assert task.id == same.id and task == same and hash(task) == hash(same)
    others = [
        Task.of("a.fig2", 1, SETTINGS, [0, 1]),
        Task.of("a.fig1", 2, SETTINGS, [0, 1]),
        Task.of("a.fig1", 1, SETTINGS | {"rate": 0.2}, [0, 1]),
        Task.of("a.fig1", 1, SETTINGS, [0, 1, 2]),
    ]
    assert len({task.id, *(other.id for other in others)}) == 5


def test_the_identity_is_the_same_in_another_process() -> None:
    code = "from cofire.papers.framework.tasks import Task; print(Task.of('a.fig1', 1, {'x': 0.1}, [3]).id)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == Task.of("a.fig1", 1, {"x": 0.1}, [3]).id


def test_settings_are_read_back_and_an_absent_one_is_named() -> None:
    task = Task.of("a.fig1", 1, SETTINGS, [0])
    assert task.values == SETTINGS and task["widths"] == [30, 30] and task.get("absent", 7) == 7
    with pytest.raises(KeyError, match="has no setting 'absent'; it has activation, rate, widths"):
        task["absent"]


def test_what_is_not_json_and_no_seed_are_refused() -> None:
    with pytest.raises(ValueError, match="parameters must be numbers"):
        Task.of("a.fig1", 1, {"x": object()}, [0])
    with pytest.raises(ValueError, match="at least one seed"):
        Task.of("a.fig1", 1, {}, [])


def test_a_grid_is_every_combination() -> None:
    points = grid(a=[1, 2], b=(3, 4), c="same", widths=[[5, 6]])
    assert len(points) == 4 and {"a": 2, "b": 3, "c": "same", "widths": [5, 6]} in points
    assert grid() == ({},)
