"""The table: written whole or not at all, read back as it was, exported."""

import csv
import math
import sqlite3

import numpy as np
import pytest

from cofire.record import Array, Row, Rows
from cofire.record.runs.rows import canonical


def row(**changed: object) -> Row:
    return Row("a", 1, 0, "fc", "nc", "{}", 0.25, 128, 7)._replace(**changed)


@pytest.fixture
def rows(tmp_path):
    table = Rows(tmp_path / "rows.sqlite")
    yield table
    table.close()


VALUES = [0.1, 1e-300, 0.0, math.inf, -math.inf, math.nan, 1 / 3]


def test_numbers_come_back_as_they_were(rows) -> None:
    rows([row(step=step, value=value) for step, value in enumerate(VALUES)])
    found = [one.value for one in rows.select()]
    assert list(map(repr, found)) == list(map(repr, VALUES))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(), (0, 3), (4, 5)])
def test_arrays_come_back_as_they_were(rows, dtype, shape) -> None:
    value = np.ones(shape, dtype)
    rows([], [Array("a", 1, "fc", "x", value)])
    found = rows.array("fc", "x")
    assert found.dtype == value.dtype and found.shape == shape and np.array_equal(found, value)


def test_the_latest_array_unless_a_step_is_given(rows) -> None:
    rows([], [Array("a", step, "fc", "x", np.array(step)) for step in (3, 10, 7)])
    assert int(rows.array("fc", "x")) == 10 and int(rows.array("fc", "x", step=3)) == 3
    with pytest.raises(KeyError, match="no array 'x' was recorded for site 'fc' at step 4"):
        rows.array("fc", "x", step=4)


def test_arrays_that_only_pickle_could_hold_are_refused(rows) -> None:
    with pytest.raises(ValueError, match="must hold numbers or text"):
        rows([row()], [Array("a", 1, "fc", "x", np.array([print]))])
    assert rows.select() == []


def test_a_key_that_is_there_is_left_and_twins_are_refused(rows) -> None:
    rows([row()])
    rows([row(value=0.5)])
    assert [one.value for one in rows.select()] == [0.25]
    with pytest.raises(ValueError, match="same key"):
        rows([row(step=2), row(step=2, value=0.5)])


def test_selection(rows) -> None:
    rows([row(site=site, measure=measure, step=step) for site in "xy" for measure in "mn" for step in (1, 2)])
    assert len(rows.select()) == 8
    assert rows.select(site="x", measure="n", step=2) == [row(site="x", measure="n", step=2)]
    assert rows.select(run="another") == []


def test_later_steps_and_given_arrays_are_dropped(rows) -> None:
    arrays = [Array("a", step, "fc", name, np.zeros(1)) for step in (1, 2) for name in "xy"]
    rows([row(step=1), row(step=2)], arrays)
    rows.drop_arrays([arrays[0]])
    assert rows.arrays() == [("a", 2, "fc", "x"), ("a", 1, "fc", "y"), ("a", 2, "fc", "y")]
    rows.drop_after(1)
    assert rows.arrays() == [("a", 1, "fc", "y")] and rows.last_step() == 1


def test_names_with_quotes_are_only_names(rows) -> None:
    name = "x'; DROP TABLE rows; --\"\n"
    rows([row(site=name)])
    assert rows.select(site=name)[0].site == name


def test_a_closed_table_says_so(rows) -> None:
    rows.close()
    rows.close()
    with pytest.raises(ValueError, match=r"rows\.sqlite is closed"):
        rows([row()])


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"x" * 200, b"text"])
def test_other_files_are_refused(tmp_path, content) -> None:
    (tmp_path / "other").write_bytes(content)
    for opening in (Rows, Rows.read):
        with pytest.raises(ValueError, match="is not a table of rows"):
            opening(tmp_path / "other")
    with pytest.raises(FileNotFoundError):
        Rows.read(tmp_path / "absent")


def test_a_reader_cannot_write(rows, tmp_path) -> None:
    rows([row()])
    reader = Rows.read(tmp_path / "rows.sqlite")
    with pytest.raises(OSError, match="could not be written"):
        reader([row(step=2)])
    reader.close()


def test_a_reader_that_met_a_table_at_rest_sees_what_is_written_later(tmp_path) -> None:
    path = tmp_path / "rows.sqlite"
    first = Rows(path)
    first([row(step=step) for step in range(3)])
    first.close()
    reader = Rows.read(path)
    assert len(reader.select()) == 3 and [one.name for one in tmp_path.iterdir()] == ["rows.sqlite"]
    second = Rows(path)
    assert len(reader.select()) == 3
    second([row(step=step, site="x" * 90) for step in range(3, 900)])
    second.flush()
    assert len(reader.select()) == 900
    second.drop_after(1)
    assert reader.last_step() == 1
    second.close()
    third = Rows.read(path)
    assert reader.select() == third.select() == [row(step=0), row(step=1)]
    reader.close()
    third.close()


def test_a_reader_of_a_run_that_was_moved_goes_on(tmp_path) -> None:
    table = Rows(tmp_path / "a" / "rows.sqlite")
    table([row()])
    table.close()
    reader = Rows.read(tmp_path / "a" / "rows.sqlite")
    (tmp_path / "a").rename(tmp_path / "b")
    assert reader.select() == [row()]
    reader.close()


def test_within_a_snapshot_a_table_that_is_written_to_again_is_an_error(tmp_path) -> None:
    Rows(tmp_path / "rows.sqlite").close()
    reader = Rows.read(tmp_path / "rows.sqlite")
    with pytest.raises(OSError, match="began to be written to while it was read"), reader.snapshot():
        assert reader.select() == []
        writer = Rows(tmp_path / "rows.sqlite")
        writer([row()])
        reader.select()
    with reader.snapshot():
        assert reader.select() == [row()]
    reader.close()
    writer.close()


def test_a_locked_table_is_an_error_that_keeps_what_is_there(rows, tmp_path, monkeypatch) -> None:
    rows([row()])
    rows._connection.fetch("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "rows.sqlite")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OSError, match="locked"):
        rows([row(step=2)])
    other.close()
    rows([row(step=3)])
    assert [one.step for one in rows.select()] == [1, 3]


def test_csv(rows, tmp_path) -> None:
    rows([row(step=step, value=value, site='a "layer", 1') for step, value in enumerate(VALUES)])
    rows.to_csv(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [one["value"] for one in found] == list(map(repr, VALUES)) and found[0]["site"] == 'a "layer", 1'
    assert list(found[0]) == list(Row._fields)


def test_pandas_and_parquet(rows, tmp_path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    rows([row(step=step, value=value) for step, value in enumerate(VALUES)])
    frame = rows.to_pandas()
    assert list(frame.columns) == list(Row._fields) and list(map(repr, frame["value"].tolist())) == list(
        map(repr, VALUES)
    )
    rows.to_parquet(tmp_path / "rows.parquet")
    pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / "rows.parquet"), frame)


def test_an_export_that_fails_leaves_the_old_file(rows, tmp_path, monkeypatch) -> None:
    (tmp_path / "rows.csv").write_text("old")

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(PermissionError, match=r"rows\.csv could not be written \(permission denied\)"):
        rows.to_csv(tmp_path / "rows.csv")
    assert [path.name for path in tmp_path.glob("*.csv*")] == ["rows.csv"]
    assert (tmp_path / "rows.csv").read_text() == "old"


def test_without_pandas_the_remedy_is_named(rows, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match=r"cofire\[pandas\]"):
        rows.to_pandas()


def test_parameters_are_canonical() -> None:
    assert canonical({"b": 1, "a": [1.5]}) == canonical({"a": [1.5], "b": 1})
    with pytest.raises(ValueError, match="parameters must be"):
        canonical({"x": np.ones(1)})
