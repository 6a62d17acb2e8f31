import json
from dataclasses import replace
from pathlib import Path

import pytest

from cofire.papers import docs_pages
from cofire.papers.docs_pages import evidence_in, publish, rejudge
from cofire.papers.framework.experiment import Claim, Experiment, Readings
from cofire.papers.framework.outcome import outcome
from cofire.papers.framework.sweep import sweep
from cofire.papers.framework.task_results import Results
from cofire.papers.framework.verdicts import Bar, part

PAGES = Path("docs/papers")


def run(experiment: Experiment, root: Path, *, scale="quick", seeds: range | None = None, n_tasks: int = 99):
    with Results(root / "out", write=True) as results:
        sweep([(experiment, task) for task in experiment.tasks(scale, seeds=seeds)[:n_tasks]], results)
        return publish([experiment], scale, results, root)


def test_a_run_is_published_as_evidence_page_index_and_tally(project: Path, made) -> None:
    written = run(made(), project)
    assert [str(path.relative_to(project)) for path in written.paths] == [
        "docs/papers/evidence/jin2022.arithmetic.quick.parquet",
        "docs/papers/jin2022.arithmetic.md",
        "docs/papers/jin2022.arithmetic.svg",
        "docs/papers/claims.json",
        "docs/papers/index.md",
        "README.md",
    ]
    assert written.changes[0] == "jin2022.arithmetic rises: new → reproduced, 2.01 [1.99, 2.03], 3"
    index = (project / PAGES / "index.md").read_text()
    tally = "Of 1 claim that the papers make: 1 reproduced. Of 1 claim of our own: 1 not reproduced."
    assert (
        tally in index
        and "[jin2022.arithmetic](jin2022.arithmetic.md) | A line | 1 reproduced | 1 not reproduced |" in index
    )
    assert (
        "[jin2022.arithmetic](jin2022.arithmetic.md) | It rises \\| always | reproduced | 2.01 [1.99, 2.03], 3 | quick"
        in index
    )
    text = (project / "README.md").read_text()
    assert f"<!-- papers: begin -->\n{tally}\n<!-- papers: end -->" in text and "old" not in text
    assert text.startswith("# Title\n") and text.endswith("<!-- papers: end -->\n\nThe end.\n")


def contents(project: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*(project / PAGES).glob("*.*"), project / "README.md"]}


def test_pages_are_those_of_the_evidence_alone(project: Path, made) -> None:
    run(made(), project)
    before = contents(project)
    (project / PAGES / "jin2022.arithmetic.md").unlink()
    (project / "out/results.sqlite").unlink()
    for names in ([], [made()]):
        assert not rejudge(names, project).changes
        assert contents(project) == before


def test_pages_and_figures_without_evidence_are_removed(project: Path, made) -> None:
    run(made(), project)
    old, kept = (
        ["jin2022.fig9.md", "jin2022.fig9.svg", "jin2022.fig9-b.png", "jin2022.arithmetic-old.svg"],
        ["adding.md", "a.svg"],
    )
    for name in [*old, *kept]:
        (project / PAGES / name).write_text("<!-- Written by `cofire reproduce --write-docs`; -->" * (name in old))
    assert not rejudge([made()], project).removed
    assert {path.name for path in rejudge([], project).removed} == set(old)
    assert {path.name for path in (project / PAGES).glob("*.*")} == {
        *kept,
        "jin2022.arithmetic.md",
        "jin2022.arithmetic.svg",
        "index.md",
        "claims.json",
    }


def test_another_run_adds_to_the_evidence(project: Path, made) -> None:
    run(made(), project)
    (project / "out/results.sqlite").unlink()
    written = run(made(), project, seeds=range(3, 8))
    assert written.changes[0].endswith("rises: reproduced, 2.01 [1.99, 2.03], 3 → reproduced, 2.03 [2.01, 2.06], 8")
    found = outcome(made(), "quick", evidence_in(project))
    assert found.points[0].seeds == tuple(range(8))


def test_the_largest_scale_is_published(project: Path, made) -> None:
    for scale in ("paper", "quick"):
        run(made(), project, scale=scale)
    assert json.loads((project / PAGES / "claims.json").read_text())["jin2022.arithmetic"]["scale"] == "paper"


def test_a_judgement_that_changes_is_told(project: Path, made, monkeypatch) -> None:
    run(made(), project)
    strict = Claim("rises", "It rises", "Fig. 1", Bar(above=5, margin=1), lambda table: part({0: 0.0, 1: 0.1, 2: 0.0}))
    monkeypatch.setattr(docs_pages, "experiments", lambda: {made().name: replace(made(), claims=(strict,))})
    changes = rejudge([], project).changes
    assert changes[0].startswith(
        "jin2022.arithmetic rises: reproduced, 2.01 [1.99, 2.03], 3 → not at this scale, 0.033"
    )
    assert changes[1].endswith("falls: not reproduced, 2.01 [1.99, 2.03], 3 → gone")


def test_an_open_choice_is_in_the_index_with_every_reading(project: Path, made, monkeypatch) -> None:
    readings = {
        "signed": lambda table: part({0: 1.0, 1: 1.1, 2: 0.9}),
        "absolute": lambda table: part({0: 0.0, 1: 0.0}),
    }
    bar = Bar(above=0, margin=0.1)
    claim = Claim("grows", "WC grows", "Fig. 1", bar, Readings("the reading of WC", readings), reduction="exact")
    experiment = replace(made(), claims=(claim,))
    monkeypatch.setattr(docs_pages, "experiments", lambda: {experiment.name: experiment})
    changes = run(experiment, project).changes
    told = "depends on the reading of WC", "signed: 1 [0.752, 1.25], 3; absolute: 0 [0, 0], 2"
    assert changes == [f"jin2022.arithmetic grows: new → {', '.join(told)}"]
    assert f"WC grows | {' | '.join(told)} | quick" in (project / PAGES / "index.md").read_text()
    assert "1 depends on a choice" in (project / "README.md").read_text()


def test_failed_tasks_stay_known_until_they_succeed(project: Path, made, monkeypatch) -> None:
    page, told = project / PAGES / "jin2022.arithmetic.md", "**Failed:** `marker=x x=1 seeds=0,1,2`: `RuntimeError: no"
    works = made(marker="x")

    def fails(task):
        if task["x"] == 1:
            raise RuntimeError(f"no {len(task.seeds)}")
        return works.run(task)

    monkeypatch.setattr(docs_pages, "experiments", lambda: {works.name: works})
    for _ in range(2):
        run(replace(works, run=fails), project)
        assert page.read_text().count(told) == 1
    (project / "out/results.sqlite").unlink()
    run(works, project, seeds=range(1))
    assert page.read_text().count(told) == 1  # two of its seeds still lack
    run(works, project)
    assert "Failed" not in page.read_text() and "Incomplete" not in page.read_text()


def test_figures_of_one_training_are_published_together_and_their_time_counts_once(
    project: Path, made, monkeypatch
) -> None:
    figures = [replace(made(), name=f"jin2022.fig{k}", task_name="jin2022.fig1") for k in (1, 2)]
    monkeypatch.setattr(docs_pages, "experiments", lambda: {one.name: one for one in figures})
    run(figures[1], project)
    assert {path.stem for path in (project / PAGES).glob("*.md")} == {"index", "jin2022.fig1", "jin2022.fig2"}
    assert [path.name for path in (project / PAGES / "evidence").iterdir()] == ["jin2022.fig1.quick.parquet"]
    known = {"jin2022.fig1": {"seconds": 2.0}, "jin2022.fig2": {"seconds": 2.0}, "gone": {"seconds": 9.0}}
    assert docs_pages._seconds(known) == 2


def test_what_is_known_of_others_is_kept_as_long_as_their_evidence_is(project: Path, made, monkeypatch) -> None:
    both = [replace(made(), name=f"jin2022.fig{k}") for k in (1, 2)]
    monkeypatch.setattr(docs_pages, "experiments", lambda: {one.name: one for one in both})
    for one in both:
        run(one, project)
    facts = json.loads((project / PAGES / "claims.json").read_text())
    assert set(facts) == {"jin2022.fig1", "jin2022.fig2"}
    old = {"title": "x", "scale": "quick", "seconds": 1, "claims": [{"name": "a", "outcome": "reproduced"}]}
    (project / PAGES / "claims.json").write_text(json.dumps({**facts, "jin2022.fig9": old}))
    (project / PAGES / "evidence/jin2022.fig2.quick.parquet").unlink()
    written = rejudge(both, project)
    changes = written.changes
    assert written.without == ["jin2022.fig2"]
    assert set(json.loads((project / PAGES / "claims.json").read_text())) == {"jin2022.fig1"}
    assert "jin2022.fig9 a: reproduced → gone" in changes and len(changes) == 3


def test_the_index_opens_with_what_was_written_by_hand(project: Path, made) -> None:
    (project / PAGES).mkdir()
    (project / PAGES / "_opening.md").write_text("We believe **this**.\n")
    run(made(), project)
    assert "-->\n\nWe believe **this**.\n\nOf 1 claim" in (project / PAGES / "index.md").read_text()


def test_what_cannot_be_published_or_judged_is_refused(tmp_path: Path, project: Path, made) -> None:
    with pytest.raises(ValueError, match="the scale smoke judges nothing"):
        run(made(), project, scale="smoke")
    with pytest.raises(ValueError, match=r"no evidence of jin2022.arithmetic; run it with --write-docs first"):
        rejudge([made()], project)
    with pytest.raises(ValueError, match="there is no evidence of any figure"):
        rejudge([], project)
    elsewhere = tmp_path / "elsewhere"
    with pytest.raises(ValueError, match="run --write-docs and --rejudge in the project's folder"):
        rejudge([], elsewhere)
    (elsewhere / "docs").mkdir(parents=True)
    with pytest.raises(ValueError, match="must hold the lines <!-- papers: begin -->"):
        rejudge([], elsewhere)
