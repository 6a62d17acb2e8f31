"""Scripts that are run again: a directory for each run, or the earlier run replaced."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

import cofire
from cofire.record import Run
from cofire.record.runs.starting_over import placed


def script(run, *, steps: int = 3, **options) -> str:
    """Train a little and return the directory."""
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    with cofire.Tracker(model, run=run, every=1, **options) as tracker:
        for _ in range(steps):
            model(torch.randn(30, 4))
            tracker.step()
    return tracker.run.name


def steps_of(directory) -> set[int]:
    with Run.open(directory) as run:
        return {row.step for row in run.rows()}


def test_a_script_that_is_run_again_is_told_both_ways(tmp_path):
    script(tmp_path / "a")
    with pytest.raises(ValueError, match=r"an earlier run, up to step 3; overwrite=True .* run=\".*/auto\" ") as error:
        script(tmp_path / "a")
    assert str(tmp_path / "auto") in str(error.value)
    assert steps_of(tmp_path / "a") == {1, 2, 3}


def test_overwriting_leaves_only_the_new_run(tmp_path):
    script(tmp_path / "a", steps=5)
    with Run.open(tmp_path / "a", mode="write") as run:
        run.save(5, {"x": 1})
    (tmp_path / "a" / "notes.txt").write_text("mine")
    (tmp_path / "a" / "checkpoints" / "best.pt").write_text("mine")
    script(tmp_path / "a", steps=2, overwrite=True)
    assert steps_of(tmp_path / "a") == {1, 2}
    kept = {str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert kept == {"run.json", "rows.sqlite", "lock", "notes.txt", "checkpoints/best.pt"}


def test_overwriting_nothing_is_starting(tmp_path):
    script(tmp_path / "a", overwrite=True)
    assert steps_of(tmp_path / "a") == {1, 2, 3}


def test_overwriting_waits_for_the_lock(tmp_path):
    script(tmp_path / "a")
    with Run.open(tmp_path / "a", mode="write"), pytest.raises(OSError, match="in use"):
        script(tmp_path / "a", overwrite=True)
    assert steps_of(tmp_path / "a") == {1, 2, 3}


def test_another_configuration_may_overwrite(tmp_path):
    Run.open(tmp_path / "a", mode="write", config={"lr": 0.1}).close()
    with pytest.raises(ValueError, match="overwrite=True replaces it"):
        Run.open(tmp_path / "a", mode="write", config={"lr": 0.2})
    with Run.open(tmp_path / "a", mode="write", config={"lr": 0.2}, overwrite=True) as run:
        assert run.config == {"lr": 0.2}


def test_auto_is_a_new_directory_each_time(tmp_path):
    assert [script(tmp_path / "runs" / "auto") for _ in range(3)] == ["run-1", "run-2", "run-3"]
    (tmp_path / "runs" / "run-7").mkdir()
    (tmp_path / "runs" / "run-x").mkdir()
    assert script(str(tmp_path / "runs" / "auto")) == "run-8"
    assert not (tmp_path / "runs" / "auto").exists()


def test_auto_gives_nothing_twice(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: placed(tmp_path / "auto"), range(40)))
    assert {path.name for path in found} == {f"run-{number}" for number in range(1, 41)}


def test_overwriting_needs_a_path_and_no_state(tmp_path):
    model = nn.Linear(4, 2)
    with pytest.raises(ValueError, match="needs the run's directory, got none"):
        cofire.Tracker(model, overwrite=True)
    with Run.open(tmp_path / "a", mode="write") as run, pytest.raises(ValueError, match="got an open run"):
        cofire.Tracker(model, run=run, overwrite=True)
    state = cofire.Tracker(model).state_dict()
    with pytest.raises(ValueError, match="starts over, and state continues"):
        cofire.Tracker(model, run=tmp_path / "a", overwrite=True, state=state)


def test_by_default_correlation_and_weights_are_recorded():
    rows = []
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    with cofire.Tracker(model, every=1, sink=rows.extend) as tracker:
        model(torch.randn(30, 4))
        tracker.step()
    assert {"nc_debiased", "wc"} <= {row.measure for row in rows}
    assert {row.site for row in rows} == {"0", "2"}
