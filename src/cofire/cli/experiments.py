"""``cofire experiments``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .targets import RESULTS

if TYPE_CHECKING:
    from ..papers.framework.outcome import Outcome


def experiments(
    scale: Annotated[Literal["smoke", "quick", "paper"], typer.Option(help="Scale of cost and state.")] = "quick",
    out: Annotated[Path, typer.Option(help="Folder with the results.")] = RESULTS,
) -> None:
    """List the papers' experiments, with their cost on two cores and their state."""
    from rich.console import Console
    from rich.table import Table

    from ..papers import registry
    from ..papers.framework.outcome import outcome
    from ..papers.framework.task_results import Results
    from ..papers.framework.verdict_text import duration

    table = Table("experiment", "what it shows", f"cost ({scale})", "state")
    with Results(out) as results:
        for one in registry.experiments().values():
            state = _state(outcome(one, scale, results))
            table.add_row(one.name, one.title, duration(60 * one.minutes[scale]), state)
    console = Console()
    console.print(table)
    for paper, title in registry.PAPERS.items():
        console.print(f"{paper}: {title}", highlight=False)


def _state(found: "Outcome") -> str:
    from ..papers.framework.verdict_text import counted
    from ..reports.data.formatting import plural

    if not any(state for _, state in found.tasks):
        return "not run"
    if not found.missing:
        return counted([verdict.outcome for _, verdict in found.verdicts])
    finished = f"{len(found.tasks) - found.missing} of {plural(len(found.tasks), 'task')}"
    return f"{finished}, {len(found.errors)} failed" if found.errors else finished
