from pathlib import Path

import pytest
import torch

from cofire.papers.framework import task_context
from cofire.papers.framework.task_context import Checkpoint, Place, begin_stage, check_device, here, running_at


@pytest.fixture(autouse=True)
def _always_due(monkeypatch) -> None:
    monkeypatch.setattr(task_context, "SAVED_EVERY", 0.0)


def test_stages_go_on_where_they_were(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints/a.pt"
    with running_at(Place(checkpoint=path)):
        assert here().checkpoint == path
        first, second = begin_stage("one"), begin_stage("two")
        first.finish(lambda: {"weights": torch.ones(2)})
        second.save(lambda: {"epoch": 3})
    with running_at(Place(checkpoint=path)):
        again = begin_stage("one"), begin_stage("two"), begin_stage("three")
    assert [(stage.finished, stage.state is None) for stage in again] == [(True, False), (False, False), (False, True)]
    assert again[1].state == {"epoch": 3}
    with running_at(Place(checkpoint=path)):  # other code than before: what it left is of no use
        assert begin_stage("another").state is None and begin_stage("two").state is None


def test_a_finished_stage_keeps_what_was_then(tmp_path: Path) -> None:
    weights = torch.ones(2)
    with running_at(Place(checkpoint=tmp_path / "a.pt")):
        begin_stage("one").finish(lambda: {"weights": weights})
        weights.zero_()
        begin_stage("two").save(dict)
    with running_at(Place(checkpoint=tmp_path / "a.pt")):
        state = begin_stage("one").state
    assert state is not None and state["weights"].tolist() == [1, 1]


def test_states_are_saved_at_most_once_a_minute(tmp_path: Path, monkeypatch) -> None:
    now, monotonic = [0.0], "monotonic"
    monkeypatch.setattr(task_context, monotonic, lambda: now[0])
    monkeypatch.setattr(task_context, "SAVED_EVERY", 60.0)
    asked = []
    with running_at(Place(checkpoint=tmp_path / "a.pt")):
        stage = begin_stage("one")
        for now[0] in (30.0, 59.0, 60.0, 61.0, 119.0, 121.0):
            stage.save(lambda: asked.append(now[0]) or {})
    assert asked == [60.0, 121.0]


def test_a_damaged_file_starts_the_task_over(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"not torch")
    with pytest.warns(RuntimeWarning, match=r"a.pt is damaged, so its task starts over"):
        assert Checkpoint(tmp_path / "a.pt").stage("one").state is None


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"seconds": 1.0, "stages": [{"name": "one", "state": Path("x"), "finished": False}]}, tmp_path / "a.pt")
    with pytest.warns(RuntimeWarning, match="starts over"):
        Checkpoint(tmp_path / "a.pt")


def test_outside_of_a_task_nothing_is_kept() -> None:
    stage = begin_stage("one")
    stage.save(lambda: pytest.fail("asked"))
    stage.finish(lambda: pytest.fail("asked"))
    assert stage.state is None and here() == Place()


def test_devices_are_checked_by_their_number(monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [check_device(name).type for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda"]
    assert Place("cuda:1").kind == "cuda"
    with pytest.raises(ValueError, match="Device 'cuda:2' is not available: PyTorch sees 2 GPUs here"):
        check_device("cuda:2")
    for name in ("cpu:0", "cuda:", "cuda:x", "mps", ""):
        with pytest.raises(ValueError, match="device must be cpu, cuda or cuda:<number>"):
            check_device(name)


def test_the_time_before_an_interruption_counts(tmp_path: Path, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(task_context, "process_time", lambda: now[0])
    for expected in (10.0, 17.0):  # three seconds after its last saving, the first is killed
        with running_at(Place(checkpoint=tmp_path / "a.pt")) as elapsed:
            stage = begin_stage("one")
            now[0] += 7
            stage.save(dict)
            now[0] += 3
            assert elapsed() == expected
