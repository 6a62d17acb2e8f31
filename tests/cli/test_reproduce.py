import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cofire.cli import app, main
from cofire.papers import docs_pages, registry
from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.experiment import Claim, Experiment, row
from cofire.papers.framework.tasks import Task, grid
from cofire.papers.framework.verdicts import Bar, part

MARKERS = "<!-- papers: begin -->\n<!-- papers: end -->\n"


def run(task: Task):
    if task["x"] == task.get("fails_at"):
        raise RuntimeError(f"no {task['x']}")
    return [row("level", task["x"] + 1 + seed / 10, seed=seed) for seed in task.seeds]


def level(table: Table):
    return part(table.per_seed(x=0), "level at 0")


def line(**others: object) -> Experiment:
    points = grid(x=[0, 1, 2, 3], **others)
    return Experiment(
        name="jin2022.line",
        title="A line",
        grid=dict.fromkeys(("smoke", "quick", "paper"), points),
        seeds={"smoke": 2, "quick": 3, "paper": 5},
        run=run,
        figures={},
        claims=(Claim("up", "It is up", "Fig. 1", Bar(above=0, margin=0.1), level),),
        minutes={"smoke": 0.1, "quick": 4, "paper": 600},
    )


@pytest.fixture(autouse=True)
def _own_experiments(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    use(monkeypatch, line())


def use(monkeypatch, experiment: Experiment) -> None:
    for module in (registry, docs_pages):
        monkeypatch.setattr(module, "experiments", lambda: {experiment.name: experiment})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(MARKERS)
    return tmp_path


def invoke(*arguments: str):
    return CliRunner().invoke(app, arguments)


def reproduce(*arguments: str):
    return invoke("reproduce", "jin2022.line", "--jobs", "1", *arguments)


def told(found) -> str:
    return " ".join(found.output.split())


def test_an_experiment_runs_once_and_prints_its_cost_and_its_claims(tmp_path: Path) -> None:
    first = reproduce()
    assert first.exit_code == 0, first.output
    assert "To run: 4 tasks, about 4.0 min on two cores." in told(first)
    assert told(first).count("done (") == 4 and "reproduced" in told(first)
    page = (tmp_path / "runs/papers/jin2022.line/jin2022.line.md").read_text()
    assert "**reproduced**" in page and (tmp_path / "runs/papers/jin2022.line/rows.csv").exists()
    again = reproduce()
    assert again.exit_code == 0 and "done (" not in again.output and "Finished before: 4 of 4 tasks" in again.output
    assert "To run" not in again.output


def test_seeds_add_repetitions() -> None:
    assert "[" in told(reproduce("--seeds", "3")) and "], 3" in told(reproduce("--seeds", "3"))
    more = reproduce("--seeds", "3:8")
    assert more.exit_code == 0 and "], 8" in told(more) and "about 6.7 min" in told(more)


def test_smoke_judges_nothing() -> None:
    found = told(reproduce("--scale", "smoke"))
    assert "the scale smoke judges nothing" in found and "reproduced" not in found


def test_the_list_shows_cost_and_state() -> None:
    before = told(invoke("experiments"))
    assert "jin2022.line" in before and "not run" in before and "4.0 min" in before and "Neuronal Correlation" in before
    assert "no such scale" in told(invoke("experiments", "--scale", "medium"))
    reproduce()
    assert "1 reproduced" in told(invoke("experiments"))
    assert not Path("elsewhere").exists() and invoke("experiments", "--out", "elsewhere").exit_code == 0


def test_a_failed_task_is_told_and_exit_status_one(monkeypatch) -> None:
    use(monkeypatch, line(fails_at=2))
    found = reproduce()
    assert found.exit_code == 2 and "failed: RuntimeError: no 2" in told(found) and found.output.count("done (") == 3
    assert "failed and not counted: fails_at=2 x=2 seeds=0,1,2: RuntimeError: no 2" in told(found)
    assert "1 of 4 points lack repetitions" in told(found)
    assert "3 of 4 points, 1 task failed" in told(invoke("experiments"))


def test_a_run_is_published_and_judged_again(project: Path, monkeypatch) -> None:
    first = reproduce("--write-docs")
    assert first.exit_code == 0, first.output
    assert "Changed: jin2022.line up: new → reproduced" in told(first)
    assert (project / "docs/papers/evidence/jin2022.line.quick.parquet").exists()
    assert "Of 1 claim that the papers make: 1 reproduced" in (project / "README.md").read_text()
    monkeypatch.setattr("cofire.papers.framework.sweep.run_task", lambda *given: pytest.fail("it ran"))
    for names in ([], ["jin2022.line"], ["jin2022"]):
        again = invoke("reproduce", "--rejudge", *names)
        assert again.exit_code == 0 and "No verdict changed." in again.output and "Wrote docs/papers" in again.output


def test_a_run_elsewhere_counts_with_the_evidence_of_the_project(project: Path) -> None:
    reproduce("--write-docs")
    more = reproduce("--seeds", "3:5", "--out", "elsewhere")
    assert "], 5" in told(more) and "1 reproduced" in (project / "README.md").read_text()


def test_what_the_evidence_has_is_not_run_again_for_it(project: Path) -> None:
    reproduce("--write-docs")
    evidence = project / "docs/papers/evidence/jin2022.line.quick.parquet"
    before = evidence.read_bytes()
    again = reproduce("--write-docs", "--out", "elsewhere")
    assert again.exit_code == 0 and "done (" not in again.output and evidence.read_bytes() == before
    more = reproduce("--write-docs", "--seeds", "5", "--out", "third")
    assert "seeds=3,4" in more.output and "seeds=0" not in more.output
    assert "done (" in reproduce("--out", "fourth").output  # whoever checks it runs all


def test_wrong_input_prints_one_line_and_exits_with_two(monkeypatch, capsys) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    for arguments, said in (
        (["jin2022.lime"], "did you mean jin2022.line"),
        (["jin2022.line", "--backend", "dask"], "needs a scheduler address"),
        (["jin2022.line", "--device", "cuda"], "Device 'cuda' is not available: PyTorch sees no GPU here"),
        (["jin2022.line", "--device", "abacus"], "device must be cpu, cuda or cuda:<number>, got 'abacus'"),
        (["jin2022.line", "--scale", "medium"], "jin2022.line has no scale medium; it has smoke, quick, paper"),
        (["jin2022.line", "--write-docs"], "run --write-docs and --rejudge in the project's folder"),
        (["--rejudge"], "run --write-docs and --rejudge in the project's folder"),
        ([], "name experiments or papers, or: all"),
    ):
        monkeypatch.setattr("sys.argv", ["cofire", "reproduce", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        shown = capsys.readouterr()
        assert left.value.code == 2 and said in shown.err and "Traceback" not in shown.err, arguments
        assert shown.err.count("\n") == 1 and "done" not in shown.out


def test_evidence_that_does_not_fit_is_refused_before_the_run(project: Path, monkeypatch) -> None:
    reproduce("--write-docs")
    new = line()
    object.__setattr__(new, "version", 2)
    use(monkeypatch, new)
    found = reproduce()
    assert isinstance(found.exception, ValueError) and "recorded by version 1" in str(found.exception)
    assert "done (" not in found.output


def test_wrong_options_exit_with_two() -> None:
    refuse = partial(invoke, "reproduce", "jin2022.line")
    wrong = [
        ["--scale", "huge"],
        ["--jobs", "0"],
        *(["--seeds", text] for text in ("0", "5:5", "x", "-1", "1:2:3", ":")),
    ]
    assert {refuse(*options).exit_code for options in wrong} == {2}


def test_it_runs_without_the_repository(tmp_path: Path) -> None:
    """And without pyarrow, which only evidence needs."""
    code = (
        "import sys; sys.modules['pyarrow'] = None; sys.path.insert(0, sys.argv.pop(1)); import test_reproduce as t\n"
        "from cofire.papers import docs_pages, registry\n"
        "registry.experiments = docs_pages.experiments = lambda: {'jin2022.line': t.line()}\n"
        "from cofire.cli import main; main()"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), "reproduce", "jin2022.line", "--jobs", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/papers/jin2022.line/jin2022.line.md").exists()
