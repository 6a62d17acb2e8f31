"""Every experiment runs at the scale smoke, on bundled data: tasks, figures and the checks of its claims."""

from pathlib import Path

import pytest

from cofire.papers.figure_page import write_page
from cofire.papers.framework.outcome import outcome
from cofire.papers.framework.sweep import sweep
from cofire.papers.framework.task_results import Results
from cofire.papers.registry import experiments


@pytest.mark.parametrize("name", list(experiments()))
def test_smoke(name: str, tmp_path: Path) -> None:
    experiment = experiments()[name]
    with Results(tmp_path, write=True) as results:
        ended = sweep([(experiment, task) for task in experiment.tasks("smoke")], results)
        found = outcome(experiment, "smoke", results)
    assert not [done.state.error for done in ended if done.state.error]
    assert found.missing == 0 and found.table
    stems = {name if name != experiment.name.partition(".")[2] else "" for name in experiment.figures}
    page, *figures = write_page(found, tmp_path / "figures")
    assert {path.stem for path in figures} == {f"{name}-{stem}" if stem else name for stem in stems}
    assert "nothing is judged" in page.read_text() and not found.verdicts
    # A condition that is run at larger scales only has no rows here; any other mistake in a check is an error.
    verdicts = [claim.verdict(found.table) for claim in experiment.claims]
    assert not all("no rows" in verdict.note for verdict in verdicts)
