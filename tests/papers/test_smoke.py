"""Every experiment runs at the scale smoke, on bundled data: tasks, figures and claims."""

from pathlib import Path

import pytest

from cofire.papers.framework.outcome import outcome, save_outcome
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
    written = {path.stem for path in save_outcome(found, tmp_path / "figures")}
    assert written == {*experiment.figures, "rows"}
    for claim, verdict in found.verdicts:
        assert "no rows" not in verdict.note, f"{claim.name}: {verdict.note}"
