"""``cofire experiments``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .targets import RESULTS

if TYPE_CHECKING:
    from ..papers.framework.outcome import Outcome


def experiments(
    scale: Annotated[
        Literal["smoke", "quick", "medium", "paper"], typer.Option(help="Scale of cost and state.")
    ] = "quick",
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
            if scale not in one.scales:
                table.add_row(one.name, one.title, "–", "no such scale")
                continue
            state = _state(outcome(one, scale, results))
            table.add_row(one.name, one.title, duration(60 * one.minutes[scale]), state)
    console = Console()
    console.print(table)
    for paper, title in registry.PAPERS.items():
        console.print(f"{paper}: {title}", highlight=False)


def _state(found: "Outcome") -> str:
    from ..papers.framework.verdict_text import counted
    from ..reports.data.formatting import plural

    failed = f", {plural(len(found.failures), 'task')} failed" if found.failures else ""
    if not found.table and not failed:
        return "not run"
    if found.missing or failed:
        return f"{len(found.points) - found.missing} of {plural(len(found.points), 'point')}{failed}"
    return counted([verdict.word for _, verdict in found.verdicts]) if found.verdicts else "run"
