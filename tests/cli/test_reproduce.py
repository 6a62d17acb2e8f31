from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cofire.cli import app, main
from cofire.papers import registry


@pytest.fixture(autouse=True)
def _own_experiments(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str):
    return CliRunner().invoke(app, arguments)


def reproduce(*arguments: str):
    return invoke("reproduce", "jin2022.fig5", "--scale", "smoke", "--jobs", "1", *arguments)


def test_an_experiment_runs_once_and_prints_its_claims(tmp_path: Path) -> None:
    first = reproduce()
    assert first.exit_code == 0, first.output
    told = " ".join(first.output.split())
    assert told.count("done (") == 4 and "falls with m" in told and "reproduced" in told
    assert (tmp_path / "runs/papers/jin2022.fig5/fig5.svg").exists()
    again = reproduce()
    assert again.exit_code == 0 and "done (" not in again.output and "Finished before: 4 of 4 tasks" in again.output


def test_the_list_shows_paper_cost_and_state() -> None:
    before = " ".join(invoke("experiments", "--scale", "smoke").output.split())
    assert "jin2022.fig5" in before and "not run" in before and "6.0 s" in before and "Neuronal Correlation" in before
    reproduce("--seeds", "3")
    assert "reproduced" in " ".join(invoke("experiments", "--scale", "smoke").output.split())
    assert not Path("elsewhere").exists() and invoke("experiments", "--out", "elsewhere").exit_code == 0


def test_a_failed_task_is_exit_status_one(monkeypatch) -> None:
    def fail(task) -> None:
        raise RuntimeError(f"no {task['init']}")

    experiment = registry.experiments()["jin2022.fig5"]
    run = experiment.run
    object.__setattr__(experiment, "run", lambda task: fail(task) if task["init"] == "Xavier" else run(task))
    try:
        found = reproduce()
    finally:
        object.__setattr__(experiment, "run", run)
    assert found.exit_code == 1 and "failed: RuntimeError: no Xavier" in " ".join(found.output.split())
    assert found.output.count("done (") == 3 and "inconclusive" in found.output


def test_pages_are_written_on_request(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("<!-- papers: begin -->\n<!-- papers: end -->\n")
    assert reproduce("--write-docs").exit_code == 0
    assert "jin2022.fig5" in (tmp_path / "docs/papers/index.md").read_text()


def test_wrong_input_prints_one_line_and_exits_with_two(monkeypatch, capsys) -> None:
    for arguments, said in (
        (["jin2022.fig55"], "did you mean jin2022.fig5"),
        (["jin2022.fig5", "--backend", "dask"], "needs a scheduler address"),
    ):
        monkeypatch.setattr("sys.argv", ["cofire", "reproduce", *arguments, "--scale", "smoke"])
        with pytest.raises(SystemExit) as left:
            main()
        errors = capsys.readouterr().err
        assert left.value.code == 2 and said in errors and "Traceback" not in errors


def test_wrong_options_exit_with_two() -> None:
    refuse = partial(invoke, "reproduce", "jin2022.fig5")
    assert {refuse("--scale", "huge").exit_code, refuse("--jobs", "0").exit_code, refuse("--seeds", "0").exit_code} == {
        2
    }
