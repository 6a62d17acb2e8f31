"""Runs that lost a part, or that something else took the place of: refused with the name of what is missing."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cofire.record import Array, DamagedRows, Row, Rows, Run, Tracker, correlation, resumable


def row(step: int, run: str = "run") -> Row:
    return Row(run, step, 0, "fc", "nc", "{}", 0.5, 10, 0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of six steps, with checkpoints of steps 4 and 6."""
    with Run.open(tmp_path / "run", mode="write", config={"lr": 0.1}) as opened:
        for step in range(7):
            opened.table([row(step)])
            opened.save(step, {"value": step})
    return tmp_path / "run"


def resume(directory: Path) -> int:
    """Go on in the run; return from which step."""
    with Run.open(directory, mode="write", config={"lr": 0.1}) as opened, resumable(opened, every=1) as loop:
        return loop.step


def without_latest_rows(directory: Path) -> None:
    table = Rows(directory / "rows.sqlite")
    table.drop_after(3)
    table.close()


def without_config(directory: Path) -> None:
    facts = json.loads((directory / "run.json").read_text())
    del facts["config"]
    (directory / "run.json").write_text(json.dumps(facts))


LOST: dict[str, tuple[Callable[[Path], object], str]] = {
    "table": (lambda run: (run / "rows.sqlite").unlink(), r"lost its rows\.sqlite"),
    "description": (lambda run: (run / "run.json").unlink(), r"lost its run\.json"),
    "table and description": (
        lambda run: ((run / "rows.sqlite").unlink(), (run / "run.json").unlink()),
        r"lost its run\.json",
    ),
    "description and checkpoints": (
        lambda run: ((run / "run.json").unlink(), shutil.rmtree(run / "checkpoints")),
        r"lost its run\.json",
    ),
    "content of the table": (lambda run: (run / "rows.sqlite").write_bytes(b""), r"rows\.sqlite has lost its rows"),
    "all rows": (lambda run: ((run / "rows.sqlite").unlink(), Rows(run / "rows.sqlite").close()), "has 0 recordings"),
    "latest rows": (without_latest_rows, r"rows\.sqlite has lost rows: up to step 6 it has 4 recordings, and had 7"),
    "configuration": (without_config, r"run\.json is damaged: it has no config"),
    "checkpoints": (lambda run: shutil.rmtree(run / "checkpoints"), "rows up to step 6 but no checkpoint"),
}


@pytest.mark.parametrize("lost", LOST)
def test_a_run_that_lost_a_part_is_refused_with_its_name(lost: str, run: Path) -> None:
    take, says = LOST[lost]
    take(run)
    before = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    for _ in range(2):
        with pytest.raises(ValueError, match=says):
            resume(run)
    after = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    assert after == before  # the first attempt took nothing, and made nothing that the second would resume


@pytest.mark.filterwarnings("ignore:checkpoint .* is damaged:RuntimeWarning")
def test_a_run_all_of_whose_checkpoints_are_damaged_is_refused(run: Path) -> None:
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(ValueError, match=r"all checkpoints in .* are damaged"):
        resume(run)


def test_a_checkpoint_of_something_else_is_refused_by_name(run: Path) -> None:
    from cofire.record.runs.table_format import digest

    for path in (run / "checkpoints").iterdir():
        path.unlink()
    content = b"no checkpoint"
    (run / "checkpoints" / f"step-{9:012d}-{digest(content)}.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"step-0+9.*\.pt is not a checkpoint"):
        resume(run)


def test_a_run_that_was_killed_while_it_was_created_begins_anew(run: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    Rows(tmp_path / "new" / "rows.sqlite").close()
    assert resume(tmp_path / "new") == 0 and resume(run) == 6


def test_a_finished_run_that_is_run_again_stays_as_it_is(run: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}
    assert resume(run) == 6
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}
    assert {path.name for path in after if after[path] != before.get(path)} == {"lock"}


@pytest.mark.parametrize("how", ["removed", "moved", "replaced", "log"])
def test_a_directory_that_vanishes_during_training_is_an_error(how: str, tmp_path: Path) -> None:
    directory, model = tmp_path / "run", torch.nn.Sequential(torch.nn.Linear(3, 4))

    def vanish() -> None:
        if how == "log":
            (directory / "rows.sqlite-wal").unlink()
            return
        directory.rename(tmp_path / "other")
        if how == "removed":
            shutil.rmtree(tmp_path / "other")
        elif how == "replaced":
            Run.open(directory, mode="write").close()

    with (
        Run.open(directory, mode="write") as run,
        Tracker(model, [correlation()], run=run, every=1) as tracker,
        pytest.raises(OSError, match="removed or replaced"),
        resumable(run, every=1, tracker=tracker) as loop,
    ):
        model(torch.randn(8, 3))
        tracker.step()
        loop.edge(1)
        vanish()
        model(torch.randn(8, 3))
        with pytest.raises(OSError, match=r"rows\.sqlite was removed or replaced while it was open"):
            tracker.step()
        loop.edge(2)
    assert directory.exists() == (how in ("replaced", "log"))


@pytest.mark.parametrize("name", ["lock", "run.json", "rows.sqlite", "rows.sqlite-wal", "checkpoints"])
def test_a_link_in_a_run_directory_is_not_followed(name: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "run" / name).symlink_to(tmp_path / "theirs")
    with pytest.raises(ValueError, match=f"{name} is a link to .*theirs"):
        resume(tmp_path / "run")
    assert (tmp_path / "theirs").read_text() == "theirs"


DESCRIPTIONS = {
    "empty": b"",
    "cut off": b'{"config": {"a"',
    "a list": b"[1, 2]",
    "a number": b"3",
    "no UTF-8": b'{"config": "\xff\xfe"}',
    "deep": b"[" * 100_000,
    "a long number": b'{"config": {"a": ' + b"9" * 5000 + b"}}",
    "config of another type": b'{"config": [1]}',
    "layers of another type": b'{"config": null, "left_out": ["fc"]}',
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_damaged_description_is_a_line_that_names_it(name: str, run: Path) -> None:
    (run / "run.json").write_bytes(DESCRIPTIONS[name])
    with Run.open(run) as opened, pytest.raises(ValueError, match=r"run\.json is damaged") as read:
        assert opened.facts
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        resume(run)
    assert len(str(read.value)) < 400 and "\n" not in str(read.value)


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no valid text"):
        Run.open(os.fsdecode(bytes(tmp_path) + b"/\xff"), mode="write")
    with Run.open(tmp_path / "run", mode="write") as run:
        with pytest.raises(ValueError, match="a row has text"):
            run.table([row(1)._replace(site="\ud800")])
        with pytest.raises(ValueError, match="no valid text"):
            run.table([], [Array("run", 1, "fc", "\ud800", torch.ones(2).numpy())])
        with pytest.raises(ValueError, match="can't hold this value"):
            run.rows(site="\ud800")
        with pytest.raises(ValueError, match="64 bits"):
            run.rows(step=2**70)
        with pytest.raises(ValueError, match="a row has text"):
            run.table([row(1)._replace(value=10**400)])
        assert run.rows() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_a_killed_run_that_cannot_be_written_to_is_read_whole(run: Path, tmp_path: Path) -> None:
    table = Rows(run / "rows.sqlite")
    table([row(7)])
    (tmp_path / "medium").mkdir()
    for name in ("run.json", "rows.sqlite", "rows.sqlite-wal"):  # as if the writer had been killed now
        shutil.copy(run / name, tmp_path / "medium")
    table.close()
    (tmp_path / "medium").chmod(0o555)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        with Run.open(tmp_path / "medium") as opened:
            assert [found.step for found in opened.rows()] == list(range(8))
    finally:
        os.seteuid(0)
    assert len(list((tmp_path / "medium").iterdir())) == 3


def test_another_seed_does_not_resume(tmp_path: Path) -> None:
    def resumed(seed: int) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(3, 4))
        with (
            Run.open(tmp_path / "run", mode="write") as run,
            Tracker(model, [correlation()], run=run, every=1, seed=seed) as tracker,
            resumable(run, every=1, tracker=tracker) as loop,
        ):
            model(torch.randn(8, 3))
            tracker.step()
            loop.edge(loop.step + 1)

    resumed(3)
    resumed(3)
    with pytest.raises(ValueError, match="seed=3, and this one has seed=4"):
        resumed(4)


def test_cells_that_begin_like_formulas_are_text(tmp_path: Path) -> None:
    table = Rows(tmp_path / "rows.sqlite")
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@sum", "\ttab", "plain"]
    table([row(1)._replace(site=name, value=-0.5) for name in names])
    table.to_csv(tmp_path / "rows.csv")
    text = (tmp_path / "rows.csv").read_text()
    assert all(f"'{name}" in text for name in names[:-1]) and "'plain" not in text and ",-0.5," in text
    with pytest.raises(ValueError, match="is the table that is exported"):
        table.to_csv(table.path)
    with pytest.raises(DamagedRows):
        Rows(tmp_path / "rows.csv")
    table.close()
