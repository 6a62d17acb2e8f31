import json
from dataclasses import replace
from pathlib import Path

import pytest

from cofire.papers import docs_pages
from cofire.papers.framework.outcome import outcome, save_outcome
from cofire.papers.framework.sweep import sweep
from cofire.papers.framework.task_results import Results

README = "# Title\n\n<!-- papers: begin -->\nold\n<!-- papers: end -->\n\nThe end.\n"


@pytest.fixture
def project(tmp_path: Path, made, monkeypatch) -> Path:
    monkeypatch.setattr(docs_pages, "experiments", lambda: {made().name: made()})
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def done(made, tmp_path: Path, *, n_tasks: int = 4, **settings):
    experiment = made(**settings)
    with Results(tmp_path / "out", write=True) as results:
        sweep([(experiment, task) for task in experiment.tasks("smoke")[:n_tasks]], results)
        return outcome(experiment, "smoke", results)


def test_a_page_has_figure_claims_settings_and_time(project: Path, made) -> None:
    written = docs_pages.write_pages([done(made, project)], project)
    page = (project / "docs/papers/jin2022.arithmetic.md").read_text()
    assert "![A line](jin2022.arithmetic.svg)" in page and (project / "docs/papers/jin2022.arithmetic.svg").exists()
    assert "| It rises \\| always | nowhere | **reproduced** | 2" in page and "**not reproduced**" in page
    assert "| setting | values, 2 seeds |" in page and "| `x` | 0, 1, 2, 3 |" in page and "Plain arithmetic." in page
    assert "Scale `smoke`: 4 tasks, " in page and "`paper` 1.5 h" in page
    assert [path.name for path in written] == ["jin2022.arithmetic.md", "index.md", "README.md"]


@pytest.mark.parametrize("together", [True, False])
def test_settings_are_apart_by_their_number_of_seeds(project: Path, made, together: bool) -> None:
    seeds = {"smoke": lambda point: 1 + 2 * (point["x"] == 2), "quick": 3, "paper": 5}
    found = replace(made(y=7), seeds=seeds, together=together)
    with Results(project / "out") as results:
        docs_pages.write_pages([outcome(found, "smoke", results)], project)
    page = (project / "docs/papers/jin2022.arithmetic.md").read_text()
    assert "| setting | values, 3 seeds | values, 1 seed |" in page
    assert "| `x` | 2 | 0, 1, 3 |" in page and "| `y` | 7 | 7 |" in page


def test_the_index_lists_every_known_claim_and_the_readme_counts_them(project: Path, made) -> None:
    docs_pages.write_pages([done(made, project)], project)
    index, readme = (project / name for name in ("docs/papers/index.md", "README.md"))
    assert "[jin2022.arithmetic](jin2022.arithmetic.md) | It rises \\| always | reproduced" in index.read_text()
    assert "[jin2022.arithmetic](jin2022.arithmetic.md) | A line | 1 reproduced, 1 not reproduced" in index.read_text()
    text = readme.read_text()
    tally = "Of 2 claims checked in the papers: 1 reproduced, 1 not reproduced. Of 0 claims of our own: no claims."
    assert f"<!-- papers: begin -->\n{tally}\n<!-- papers: end -->" in text
    assert text.startswith("# Title\n") and text.endswith("<!-- papers: end -->\n\nThe end.\n") and "old" not in text
    before = index.read_text(), text
    docs_pages.write_pages([], project)  # what is known is kept
    assert (index.read_text(), readme.read_text()) == before


def test_the_time_of_figures_that_share_a_training_counts_once(project: Path, made, monkeypatch) -> None:
    docs_pages.write_pages([done(made, project)], project)
    assert "All experiments took 0." in (project / "docs/papers/index.md").read_text()
    figures = [replace(made(), name="one.fig1"), replace(made(), name="one.fig2", task_name="one.fig1")]
    monkeypatch.setattr(docs_pages, "experiments", lambda: {one.name: one for one in figures})
    assert (
        docs_pages._seconds({"one.fig1": {"seconds": 2.0}, "one.fig2": {"seconds": 2.0}, "gone": {"seconds": 9.0}}) == 2
    )


def test_the_same_rows_give_the_same_bytes(project: Path, made) -> None:
    found = done(made, project)
    contents = []
    for _ in range(2):
        docs_pages.write_pages([found], project)
        contents.append({path: path.read_bytes() for path in (project / "docs/papers").iterdir()})
    assert contents[0] == contents[1]


def test_an_incomplete_sweep_is_marked_and_decides_nothing(project: Path, made) -> None:
    found = done(made, project, n_tasks=3, fails_at=1)
    assert found.missing == 2 and not any(verdict.reproduced for _, verdict in found.verdicts)
    docs_pages.write_pages([found], project)
    page = (project / "docs/papers/jin2022.arithmetic.md").read_text()
    assert "2 of 4 tasks finished" in page and "RuntimeError: it was told to" in page and "2 tasks are missing" in page


def test_nothing_run_is_a_page_without_a_figure(project: Path, made) -> None:
    docs_pages.write_pages([done(made, project, n_tasks=0)], project)
    page = (project / "docs/papers/jin2022.arithmetic.md").read_text()
    assert "![" not in page and page.count("**inconclusive**") == 2
    facts = json.loads((project / "docs/papers/claims.json").read_text())
    assert facts["jin2022.arithmetic"]["claims"][0]["effect"] is None


def test_pages_are_written_in_a_project_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run --write-docs in the project's folder"):
        docs_pages.write_pages([], tmp_path)
    (tmp_path / "docs").mkdir()
    with pytest.raises(ValueError, match="must hold the lines <!-- papers: begin -->"):
        docs_pages.write_pages([], tmp_path)


def test_rows_and_figures_are_files(tmp_path: Path, made) -> None:
    paths = save_outcome(done(made, tmp_path), tmp_path / "saved")
    assert [path.name for path in paths] == ["arithmetic.svg", "rows.csv"]
    lines = paths[1].read_text().splitlines()
    assert len(lines) == 1 + 4 * 2 * 3 and {"x", "seed", "epoch", "measure", "value"} <= set(lines[0].split(","))


def test_an_experiments_tables_are_on_its_page(project: Path, made) -> None:
    """Except a table that lacks rows."""
    tables = {
        "Levels": lambda table: f"there are {len(table.need(measure='level').values('epoch'))} epochs",
        "Slopes": lambda table: str(table.need(measure="slope")),
    }
    found = done(made, project)
    docs_pages.write_pages([replace(found, experiment=replace(found.experiment, tables=tables))], project)
    page = (project / "docs/papers/jin2022.arithmetic.md").read_text()
    assert "## Levels\n\nthere are 3 epochs\n" in page and "Slopes" not in page
