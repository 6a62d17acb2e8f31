"""`Outcome`: the results of an experiment at a scale: verdicts, figures, rows and time."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...record.runs.whole_files import replaced
from .claim_table import MissingRows, Table
from .experiment import Claim, Experiment, Scale
from .plots import save
from .task_results import Results, State
from .tasks import Task
from .verdicts import Verdict


@dataclass(frozen=True)
class Outcome:
    """Results of an experiment at a scale, from its finished tasks.

    Attributes:
        experiment: the experiment.
        scale: the scale.
        tasks: each task with its state, or None if it was not run.
        table: rows of the finished tasks.
        verdicts: each claim with its verdict.
    """

    experiment: Experiment
    scale: Scale
    tasks: Sequence[tuple[Task, State | None]]
    table: Table
    verdicts: Sequence[tuple[Claim, Verdict]]

    @property
    def missing(self) -> int:
        """Number of unfinished tasks."""
        return sum(state is None or state.error is not None for _, state in self.tasks)

    @property
    def seconds(self) -> float:
        """Total processor time of the tasks, each on one thread."""
        return sum(state.seconds for _, state in self.tasks if state is not None)

    @property
    def errors(self) -> list[tuple[Task, str]]:
        """Failed tasks, each with the last line of its error."""
        return [(task, state.error.strip().splitlines()[-1]) for task, state in self.tasks if state and state.error]


def outcome(experiment: Experiment, scale: Scale, results: Results, *, seeds: int | None = None) -> Outcome:
    """Judge an experiment by the tasks that are finished; run nothing."""
    tasks = [(task, results.state(task)) for task in experiment.tasks(scale, seeds=seeds)]
    finished = [task for task, state in tasks if state is not None and state.error is None]
    table = results.table(finished)
    verdicts = [(claim, claim.verdict(table, missing=len(tasks) - len(finished))) for claim in experiment.claims]
    return Outcome(experiment, scale, tasks, table, verdicts)


def save_outcome(found: Outcome, directory: Path) -> list[Path]:
    """Write an outcome's rows and those figures that have rows, and return the files' paths."""
    directory.mkdir(parents=True, exist_ok=True)
    return [*draw_figures(found, directory), _save_rows(found.table, directory / "rows.csv")]


def draw_figures(found: Outcome, directory: Path) -> list[Path]:
    """Draw the figures into a directory, except those that lack rows, and return the files' paths."""
    paths = []
    for name, figure in found.experiment.figures.items():
        try:
            paths.append(save(figure(found.table), directory / name))
        except MissingRows:
            continue
    return paths


def _save_rows(table: Table, path: Path) -> Path:
    columns = list(dict.fromkeys(name for record in table for name in record))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    with replaced(path) as file:
        file.write(text.getvalue().encode())
    return path
