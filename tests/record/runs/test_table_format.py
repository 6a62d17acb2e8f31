"""The format of ``rows.sqlite``: new fields, checksums, and runs recorded in the first format."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cofire
from cofire.record import (
    Array,
    DamagedRows,
    Measure,
    Row,
    Rows,
    Run,
    correlation,
    entropy,
    resumable,
    weight_correlation,
)
from cofire.record.runs.table_format import VERSION
from cofire.reports import write_report

OLD_RUN = Path(__file__).parents[1] / "old_run"


def row(**changed: Any) -> Row:
    return Row("a", 1, 0, "fc", "nc", "{}", 0.25, 128, 7)._replace(**changed)


@pytest.fixture
def old(tmp_path) -> Path:
    return Path(shutil.copytree(OLD_RUN, tmp_path / "run"))


def loop(directory: Path, steps: int) -> None:
    """The loop that recorded the old run."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    measures = [correlation(sites="0"), weight_correlation(sites="0"), entropy("gaussian", sites="0")]
    with (
        Run.open(directory, mode="write", config={"lr": 0.1}) as run,
        cofire.Tracker(model, measures, run=run, every=2) as tracker,
        resumable(run, every=6, model=model, optimizer=optimizer, tracker=tracker) as loop,
    ):
        for step in range(loop.step, steps):
            optimizer.zero_grad()
            loss = model(torch.randn(16, 4)).square().mean()
            loss.backward()
            optimizer.step()
            tracker.step()
            tracker.log(loss=loss.item())
            loop.edge(step + 1)


class TestTheFirstFormat:
    def test_it_is_read_with_unknown_new_fields(self, old):
        with Run.open(old) as run:
            rows, arrays = run.rows(), run.arrays()
            assert run.rows(mode="train") == []
            assert run.array("0", "correlation", step=4).shape == (6, 6)
        assert len(rows) == 57 and len(arrays) == 24
        assert {found[9:] for found in rows} == {("", None, None, None)}
        nc = next(found for found in rows if (found.measure, found.step) == ("nc", 4))
        assert nc.value == 0.3382061743725837 and nc.n_samples == 16

    def test_reading_leaves_it_as_it_is(self, old):
        before = (old / "rows.sqlite").read_bytes()
        write_report(old, old.parent / "report.html")
        assert (old / "rows.sqlite").read_bytes() == before
        assert "Neuronal correlation" in (old.parent / "report.html").read_text()

    def test_resuming_upgrades_it_and_goes_on(self, old):
        with Run.open(old) as run:
            rows, histogram = run.rows(), run.array("0", "histogram", step=2)
        loop(old, 12)
        with Run.open(old) as run:
            found = run.rows()
            assert [one for one in found if one.step <= 6] == rows
            assert np.array_equal(run.array("0", "histogram", step=2), histogram)
            later = {one.step: one for one in found if one.measure == "nc" and one.step > 6}
            assert {one[9:] for one in later.values()} == {("train", "", 6, 6)} and list(later) == [8, 10, 12]
            # Step 6 was the third recording, whose arrays an earlier process had taken for the last.
            assert {step for step, _, _ in run.arrays()} == {2, 4, 8, 12}

    def test_an_upgrade_that_fails_changes_nothing(self, old):
        path = old / "rows.sqlite"
        broken = sqlite3.connect(path)
        broken.execute("CREATE TABLE other (x)")
        broken.close()
        before = path.read_bytes()
        with pytest.raises(DamagedRows, match="is not a table of rows"):
            Rows(path)
        assert path.read_bytes()[100:] == before[100:]  # the header says that a log was used

    def test_a_damaged_array_is_an_error_too(self, old):
        changed = sqlite3.connect(old / "rows.sqlite")
        changed.execute("UPDATE arrays SET value = x'00' WHERE name = 'histogram' AND step = 2")
        changed.commit()
        changed.close()
        with Run.open(old) as run, pytest.raises(DamagedRows, match="the array 'histogram' of site '0' at step 2"):
            run.array("0", "histogram", step=2)


def test_a_newer_format_is_refused(tmp_path):
    Rows(tmp_path / "rows.sqlite").close()
    newer = sqlite3.connect(tmp_path / "rows.sqlite")
    newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.close()
    for opening in (Rows, lambda path: Rows.read(path).select()):
        with pytest.raises(ValueError, match=f"has format {VERSION + 1}.*upgrade cofire"):
            opening(tmp_path / "rows.sqlite")


class TestRows:
    def test_training_and_evaluation_are_kept_apart(self, tmp_path):
        table = Rows(tmp_path / "rows.sqlite")
        table([row(mode="train"), row(mode="eval", value=0.5)], [Array("a", 1, "fc", "x", np.ones(1), "eval")])
        assert [one.value for one in table.select(mode="eval")] == [0.5] and len(table.select()) == 2
        assert table.array("fc", "x", mode="eval").shape == (1,)
        with pytest.raises(KeyError):
            table.array("fc", "x", mode="train")
        table.close()

    def test_numbers_of_other_libraries_become_pythons(self, tmp_path):
        table = Rows(tmp_path / "rows.sqlite")
        given = row(step=np.int64(3), value=np.float32(0.5), n_samples=torch.tensor(9), seed=np.uint8(1))
        table([given._replace(n_units=np.int32(4))], [Array("a", np.int64(3), "fc", "x", np.ones(1))])
        assert table.select(step=np.int64(3)) == [row(step=3, value=0.5, n_samples=9, seed=1, n_units=4)]
        assert table.array("fc", "x", step=3).shape == (1,)
        table.close()

    @pytest.mark.parametrize(
        "field",
        [
            *({"step": 1.5}, {"step": 2**63}, {"value": "much"}, {"value": None}, {"site": 3}),
            *({"mode": "test"}, {"mode": None}, {"unit": 1}, {"n_units": "4"}, {"seed": 0.5}),
        ],
        ids=str,
    )
    def test_fields_of_another_type_are_refused(self, tmp_path, field):
        table = Rows(tmp_path / "rows.sqlite")
        with pytest.raises(ValueError, match="a row has text, a number as value"):
            table([row(), row(step=2)._replace(**field)])
        assert table.select() == []
        table.close()

    def test_a_misspelled_quantity_is_an_error_and_an_own_one_is_not(self, tmp_path):
        table = Rows(tmp_path / "rows.sqlite")
        table([row(), row(measure="sparsity")])
        for wrong, right in (("nc_debaised", "nc_debiased"), ("sparsety", "sparsity")):
            with pytest.raises(ValueError, match=f"unknown quantity '{wrong}'; did you mean '{right}'"):
                table.select(measure=wrong)
        assert table.select(measure="wc") == table.select(measure="spread") == table.select(measure="nc2") == []
        table.close()


class TestChecksums:
    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE rows SET value = value + 1e-16 WHERE step = 2 AND site = 'fc'",
            "UPDATE rows SET n_samples = 127 WHERE step = 2",
            "UPDATE rows SET unit = 'nats' WHERE step = 2 AND site = 'out'",
            "UPDATE rows SET step = 7 WHERE step = 2 AND site = 'fc'",
            "UPDATE rows SET run = 'b' WHERE step = 2",
            "DELETE FROM rows WHERE step = 2 AND site = 'fc'",
            "DELETE FROM rows WHERE step = 2",
            "DELETE FROM recordings WHERE step = 2",
            "DELETE FROM recordings",
            "UPDATE arrays SET name = 'y' WHERE step = 2",
            "DELETE FROM arrays",
            "UPDATE rows SET value = x'00' WHERE step = 2",
        ],
    )
    def test_a_changed_recording_is_named_and_the_steps_before_it_can_be_kept(self, tmp_path, change):
        path = tmp_path / "rows.sqlite"
        table = Rows(path)
        for step in (1, 2, 3):
            rows = [row(step=step, site=site, value=step / 10) for site in ("fc", "out")]
            table(rows, [Array("a", step, "fc", "x", np.ones(3))] if step == 2 else [])
        table.close()
        changed = sqlite3.connect(path)
        changed.execute(change)
        changed.commit()
        changed.close()
        step = 1 if change == "DELETE FROM recordings" else 2
        reader = Rows.read(path)
        for read in (reader.select, lambda: reader.select(step=3), reader.arrays, reader.last_step):
            with pytest.raises(DamagedRows, match=rf"rows\.sqlite.*recording at step {step}.*drop_after\({step - 1}\)"):
                read()
        reader.close()
        table = Rows(path)
        table.drop_after(step - 1)
        assert {one.step for one in table.select()} == set(range(1, step))
        table.close()

    def test_a_changed_array_is_an_error_when_it_is_read(self, tmp_path):
        path = tmp_path / "rows.sqlite"
        table = Rows(path)
        table([], [Array("a", 4, "fc", "x", np.ones(3))])
        table.close()
        changed = sqlite3.connect(path)
        [(content,)] = changed.execute("SELECT value FROM arrays")
        changed.execute("UPDATE arrays SET value = ?", (content[:-1] + b"\1",))
        changed.commit()
        changed.close()
        with pytest.raises(DamagedRows, match=r"the array 'x' of site 'fc' at step 4.*drop_after\(3\)"):
            Rows.read(path).array("fc", "x")

    def test_rows_that_another_recording_wrote_first_stay_its_own(self, tmp_path):
        table = Rows(tmp_path / "rows.sqlite")
        table([row(value=float("nan")), row(step=2, value=-0.0)])
        table([row(), row(site="out")], [Array("a", 1, "fc", "x", np.ones(1))])
        table([row(step=2)])
        table.drop_arrays([Array("a", 1, "fc", "x", np.ones(1))])
        assert len(table.select()) == 3 and table.arrays() == []
        table.rename("b")
        table.close()
        assert {one.run for one in Rows.read(tmp_path / "rows.sqlite").select()} == {"b"}

    def test_recordings_are_verified_once(self, tmp_path, monkeypatch):
        seen = []
        verify = cofire.record.runs.rows.verify
        monkeypatch.setattr(
            "cofire.record.runs.rows.verify", lambda *a, after: (seen.append(after), verify(*a, after=after))
        )
        table = Rows(tmp_path / "rows.sqlite")
        table([row()])
        reader = Rows.read(tmp_path / "rows.sqlite")
        for _ in range(3):
            reader.select()
        table([row(step=2)])
        reader.select()
        reader.select()
        assert seen == [0, 1]
        reader.close()
        table.close()


class TestTracker:
    def followed(self, **options: Any) -> list[Row]:
        rows, model = [], nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
        measures = [correlation(), weight_correlation(), entropy("knn"), Measure(lambda x: 1.0, name="own", unit="m")]
        with cofire.Tracker(model, measures, every=1, sink=rows.extend, **options) as tracker:
            model(torch.randn(64, 4))
            tracker.step()
            tracker.log(lr=0.1)
            tracker.log("eval", loss=0.5)
        return [one for one in rows if one.step == 1]

    def test_rows_say_mode_unit_and_number_of_units(self):
        rows = {(one.site, one.measure): one for one in self.followed()}
        assert rows["0", "nc"][9:] == ("train", "", 6, 6) and rows["2", "own"][9:] == ("train", "m", 3, 3)
        assert rows["0", "n_constant"].unit == "units" and rows["0:pre", "entropy_knn"].unit == "nats"
        assert rows["0", "wc"][9:] == ("", "", 6, 6)
        assert rows["", "lr"][9:] == ("", None, None, None) and rows["", "loss"].mode == "eval"

    def test_a_probe_gives_rows_of_evaluation(self):
        rows = self.followed(probe=torch.randn(50, 4))
        assert {one.mode for one in rows if one.measure == "nc"} == {"eval"}
        assert {one.mode for one in rows if one.measure == "wc"} == {""}

    def test_two_trackers_of_a_run_keep_training_and_evaluation(self, tmp_path):
        model, x = nn.Sequential(nn.Linear(4, 6), nn.Tanh()), torch.randn(64, 4)
        with (
            Run.open(tmp_path / "run", mode="write") as run,
            cofire.Tracker(model, [correlation()], run=run, every=1) as one,
            cofire.Tracker(model, [correlation()], run=run, every=1, probe=x) as other,
        ):
            model(2 * x)
            one.step()
            other.step()
            assert [found.mode for found in run.rows(step=1, measure="nc")] == ["eval", "train"]
