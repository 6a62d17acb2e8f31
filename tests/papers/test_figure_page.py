import math
from dataclasses import replace
from pathlib import Path

import pytest

from cofire.papers.figure_page import write_page
from cofire.papers.framework.experiment import Claim, Experiment, Readings
from cofire.papers.framework.outcome import Outcome, outcome, save_rows
from cofire.papers.framework.repetitions import Failure, Found
from cofire.papers.framework.sweep import sweep
from cofire.papers.framework.task_results import Results
from cofire.papers.framework.verdicts import Bar, Part, part


def done(experiment: Experiment, folder: Path, *, scale="quick", n_tasks: int = 4) -> Outcome:
    with Results(folder / "out", write=True) as results:
        sweep([(experiment, task) for task in experiment.tasks(scale)[:n_tasks]], results)
        return outcome(experiment, scale, results)


def page_of(found: Outcome, folder: Path) -> str:
    return write_page(found, folder)[0].read_text()


def test_a_page_says_what_was_claimed_what_came_out_and_what_it_rests_on(tmp_path: Path, made) -> None:
    experiment = replace(made(), claim_text="Sums rise.", differs="They may not.")
    paths = write_page(done(experiment, tmp_path), tmp_path)
    assert [path.name for path in paths] == ["jin2022.arithmetic.md", "jin2022.arithmetic.svg"]
    page = paths[0].read_text()
    assert (
        "Sums rise. **What came out:** The paper's claim is reproduced; our own claim is not "
        "reproduced. **Why it may differ:** They may not." in page
    )
    assert "![A line](jin2022.arithmetic.svg)" in page and "Plain arithmetic." in page
    assert (
        "| It rises \\| always | nowhere | **reproduced** | 2.01 [1.99, 2.03], 3 | at least 0.1: steps are of 1 |"
        in page
    )
    assert "| It falls | ours; theory | **not reproduced** | 2.01 [1.99, 2.03], 3 | at most −0.1 |" in page
    assert "| setting | values, 3 repetitions |" in page and "| `x` | 0, 1, 2, 3 |" in page
    assert "Scale `quick`: 12 repetitions of 4 points on cpu, " in page and "and `paper` 1.5 h." in page
    assert "Incomplete" not in page and "Failed" not in page


def test_what_depends_on_a_choice_shows_every_reading(tmp_path: Path, made) -> None:
    readings = {
        "signed": lambda table: part({0: 1.0, 1: 1.1, 2: 0.9}),
        "absolute": lambda table: part({0: 0.0, 1: 0.0, 2: 0.001}),
    }
    bar = Bar(above=0, margin=0.1)
    claim = Claim("grows", "WC grows", "Fig. 1", bar, Readings("the reading of WC", readings), reduction="exact")
    page = page_of(done(replace(made(), claims=(claim,)), tmp_path), tmp_path)
    assert "The paper's claim depends on the reading of WC." in page
    assert "| WC grows | Fig. 1 | **depends on the reading of WC** | by the reading of WC: | at least 0.1 |  |" in page
    assert "| ↳ signed |  | reproduced | 1 [0.752, 1.25], 3 |" in page
    assert "| ↳ absolute |  | not reproduced |" in page


def test_what_cannot_be_decided_says_what_the_papers_scale_costs(tmp_path: Path, made) -> None:
    censored = Part(part({0: 0.0, 1: 0.1}).number, "growth", censored="still rising at step 9")
    claim = Claim("c", "It grows", "Fig. 1", Bar(above=1, margin=0.1), lambda table: {"a": censored, "b": censored})
    found = done(replace(made(), claims=(claim,)), tmp_path)
    page = page_of(found, tmp_path)
    assert "The paper's claim cannot be decided at this scale" in page
    assert "a: growth; still rising at step 9; 0 of 2 parts hold; the paper's scale takes about 1.5 h" in page
    assert "the paper's scale takes" not in page_of(replace(found, scale="paper"), tmp_path)


def test_a_fragile_verdict_says_so(tmp_path: Path, made) -> None:
    found = done(made(), tmp_path)
    fragile = [(claim, replace(verdict, fragile=True)) for claim, verdict in found.verdicts]
    assert "**reproduced (fragile)**" in page_of(replace(found, verdicts=fragile), tmp_path)


def test_what_failed_is_missing_or_left_out_is_told(tmp_path: Path, made) -> None:
    found = done(made(fails_at=1), tmp_path, n_tasks=3)
    page = page_of(replace(found, left_out="numbers of cpu; 3 repetitions on cuda left out"), tmp_path)
    assert (
        "**Incomplete:** 2 of 4 points lack repetitions." in page
        and "| setting | values, 3 repetitions | values, not run |" in page
    )
    assert "**Failed:** `fails_at=1 x=1 seeds=0,1,2`: `RuntimeError: it was told to`" in page
    assert "1 task failed and does not count" in page and "Shown are numbers of cpu; 3 rep" in page


@pytest.mark.parametrize("together", [True, False])
def test_settings_are_apart_by_their_number_of_repetitions(tmp_path: Path, made, together: bool) -> None:
    seeds = {"smoke": lambda point: 1 + 2 * (point["x"] == 2), "quick": 3, "paper": 5}
    page = page_of(
        done(replace(made(y=7), seeds=seeds, together=together), tmp_path, scale="smoke", n_tasks=99), tmp_path
    )
    assert "| setting | values, 3 repetitions | values, 1 repetition |" in page
    assert "| `x` | 2 | 0, 1, 3 |" in page and "| `y` | 7 | 7 |" in page


def test_smoke_judges_nothing(tmp_path: Path, made) -> None:
    page = page_of(done(made(), tmp_path, scale="smoke"), tmp_path)
    assert "nothing is judged" in page and "reproduced" not in page and "![A line]" in page


def test_nothing_run_is_a_page_without_a_figure(tmp_path: Path, made) -> None:
    page = page_of(outcome(made(), "quick"), tmp_path)
    assert (
        "![" not in page and page.count("**not at this scale**") == 2 and "not run: no rows with x=0, epoch=0" in page
    )


def test_an_experiments_tables_are_on_its_page(tmp_path: Path, made) -> None:
    """Except a table that lacks rows."""
    tables = {
        "Levels": lambda table: f"there are {len(table.need(measure='level').values('epoch'))} epochs",
        "Slopes": lambda table: str(table.need(measure="slope")),
    }
    page = page_of(done(replace(made(), tables=tables), tmp_path), tmp_path)
    assert "## Levels\n\nthere are 3 epochs\n" in page and "Slopes" not in page


def test_rows_are_a_file(tmp_path: Path, made) -> None:
    lines = save_rows(done(made(), tmp_path).table, tmp_path / "rows.csv").read_text().splitlines()
    assert len(lines) == 1 + 4 * 3 * 3 and {"x", "seed", "epoch", "measure", "value"} <= set(lines[0].split(","))


def test_a_number_that_is_none_is_a_dash(tmp_path: Path, made) -> None:
    claim = Claim("c", "It grows", "Fig. 1", Bar(above=1, margin=0.1), lambda table: Part(diverged="all diverged"))
    found = outcome(replace(made(), claims=(claim,)), "paper", Nothing())
    assert math.isnan(found.verdicts[0][1].number.effect)
    assert "| **not reproduced** | – | at least 1.1 | all diverged |" in page_of(found, tmp_path)


class Nothing:
    def found(self, experiment, scale) -> Found:
        return Found(failures=[Failure('{"x": 0}', "cuda", (0,), "no")])
