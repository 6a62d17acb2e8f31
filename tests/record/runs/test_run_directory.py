"""Run directories: one writer, one configuration, and what is left when the disk is full."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from cofire.record import Array, Row, Run, RunLocked
from cofire.record.runs.description import differences


def row(step: int, value: float = 0.5) -> Row:
    return Row("run", step, 0, "fc", "nc", "{}", value, 10, 0)


def test_second_writer_is_refused_and_readers_are_not(tmp_path) -> None:
    with Run.open(tmp_path / "run", mode="write", config={"seed": 0}):
        with pytest.raises(RunLocked, match="in use by process"):
            Run.open(tmp_path / "run", mode="write")
        with Run.open(tmp_path / "run") as reader:
            assert reader.config == {"seed": 0}
    Run.open(tmp_path / "run", mode="write").close()


def test_a_second_process_is_refused(start, tmp_path) -> None:
    with Run.open(tmp_path / "run", mode="write"):
        assert start(tmp_path / "run").status() == 1


def test_changed_configuration_is_refused_naming_what_changed(tmp_path) -> None:
    Run.open(tmp_path / "run", mode="write", config={"lr": 0.1, "net": {"width": 8}}).close()
    with pytest.raises(ValueError, match=r"lr: was 0.1, now 0.2"):
        Run.open(tmp_path / "run", mode="write", config={"lr": 0.2, "net": {"width": 8}})
    Run.open(tmp_path / "run", mode="write", config={"net": {"width": 8}, "lr": 0.1}).close()


def test_differences_are_named_by_their_place() -> None:
    assert list(differences({"a": {"b": 1}}, {"a": {"b": [1]}})) == ["a.b: was 1, now [1]"]


@pytest.mark.parametrize("config", [{"f": print}, {"x": float("nan")}, {"x": torch.ones(2)}])
def test_configurations_that_json_does_not_hold_are_refused(tmp_path, config) -> None:
    with pytest.raises(ValueError, match="configuration must be made of"):
        Run.open(tmp_path / "run", mode="write", config=config)


def test_reading_creates_nothing(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="not a run directory"):
        Run.open(tmp_path)
    with Run.open(tmp_path / "run", mode="write") as run:
        run.table([row(1)])
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    with Run.open(tmp_path / "run") as reader:
        assert reader.rows() == [row(1)]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before


def test_a_reader_sees_what_a_writer_has_just_recorded(tmp_path) -> None:
    with Run.open(tmp_path / "run", mode="write") as run, Run.open(tmp_path / "run") as reader:
        run.table([row(3)])
        assert [found.step for found in reader.rows()] == [3]


def test_rows_of_a_renamed_directory_go_on_under_its_new_name(tmp_path) -> None:
    with Run.open(tmp_path / "old", mode="write") as run:
        run.table([Row("old", 1, 0, "fc", "nc", "{}", 0.5, 10, 0)], [Array("old", 1, "fc", "x", np.ones(2))])
    (tmp_path / "old").rename(tmp_path / "new")
    with Run.open(tmp_path / "new", mode="write") as run:
        run.table([Row("new", 2, 0, "fc", "nc", "{}", 0.25, 10, 0)])
        assert [(row.run, row.step) for row in run.rows()] == [("new", 1), ("new", 2)]
        assert run.table.arrays() == [("new", 1, "fc", "x")]


@pytest.mark.parametrize("damage", ["", "not json", "{}"])
def test_a_damaged_description_says_so(tmp_path, damage) -> None:
    from cofire.reports import read

    Run.open(tmp_path / "run", mode="write").close()
    (tmp_path / "run" / "run.json").write_text(damage)
    with Run.open(tmp_path / "run") as run:
        if damage == "{}":
            assert run.left_out == {}
            return
        with pytest.raises(ValueError, match="damaged"):
            read(run)


FULL = """
import os, resource, sys
import numpy as np
from cofire.record import Array, Row, Run

run = Run.open(sys.argv[1], mode="write")
row = Row("run", 1, 0, "fc", "nc", "{}", 0.5, 10, 0)
run.table([row])
run.save(1, {"value": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18))
for write in (
    lambda: run.save(2, {"value": "x" * (1 << 20)}),
    lambda: run.table([row._replace(step=2)], [Array("run", 2, "fc", "big", np.zeros(1 << 18))]),
):
    try:
        write()
    except OSError as error:
        print(error)
run.table([row._replace(step=3)])
"""


def test_a_full_disk_keeps_what_was_there_and_says_so(tmp_path) -> None:
    """The kernel refuses bytes beyond a file size, as it does on a full disk."""
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "run"], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    checkpoint, rows = done.stdout.splitlines()
    assert "step-000000000002" in checkpoint and "what was there before is kept" in checkpoint
    assert "rows.sqlite" in rows and "recorded before is safe" in rows
    assert ".partial" not in done.stdout and "Errno" not in done.stdout
    with Run.open(tmp_path / "run", mode="write") as run:
        assert [found.step for found in run.rows()] == [1, 3]  # whole recordings, and it goes on where it can
        assert run.load() == (1, {"value": 1})
    assert not list(tmp_path.rglob(".*.partial"))
