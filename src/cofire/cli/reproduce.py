"""``cofire reproduce``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .targets import RESULTS

if TYPE_CHECKING:
    from ..papers.framework.outcome import Outcome
    from ..papers.framework.sweep import Done


def reproduce(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Experiments or papers, or: all.")],
    scale: Annotated[
        Literal["smoke", "quick", "paper"],
        typer.Option(help="smoke: seconds, on bundled digits; quick: minutes, on real data; paper: as published."),
    ] = "quick",
    jobs: Annotated[int | None, typer.Option(min=1, help="Number of processes; one per core by default.")] = None,
    backend: Annotated[Literal["processes", "dask"], typer.Option(help="Where to run tasks.")] = "processes",
    scheduler: Annotated[str | None, typer.Option(help="Address of the Dask scheduler: tcp://host:8786.")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder with the data sets; downloaded by default.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of seeds, instead of the scale's own.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for results; finished tasks are reused.")] = RESULTS,
    write_docs: Annotated[bool, typer.Option(help="Write docs/papers and the README's tally.")] = False,
) -> None:
    """Run experiments of the papers, draw their figures, and report which claims hold."""
    from joblib import cpu_count

    from ..papers.docs_pages import write_pages
    from ..papers.framework.outcome import outcome
    from ..papers.framework.sweep import sweep
    from ..papers.framework.task_results import Results
    from ..papers.registry import chosen

    experiments = chosen(names)
    work = [(experiment, task) for experiment in experiments for task in experiment.tasks(scale, seeds=seeds)]
    with Results(out, write=True) as results:
        tasks = {task.id: task for _, task in work}.values()  # figures of one training share its tasks
        before = sum(results.finished(task) for task in tasks)
        with _progress(before, len(tasks)) as tell:
            where = {"jobs": jobs or cpu_count(), "backend": backend, "scheduler": scheduler}
            root = None if data_root is None else str(data_root.resolve())
            ended = sweep(work, results, **where, data_root=root, tell=tell)
        found = [outcome(experiment, scale, results, seeds=seeds) for experiment in experiments]
    _show(found, out)
    for path in write_pages(found, Path()) if write_docs else ():
        typer.echo(f"Wrote {path}")
    if any(done.state.error for done in ended):
        raise typer.Exit(1)


@contextmanager
def _progress(before: int, total: int) -> "Iterator[Callable[[Done], None]]":
    """Draw a bar over all tasks with the time left, and print a line for each task that ends."""
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ..reports.data.formatting import plural

    columns = Progress.get_default_columns()  # a text, a bar, the percentage and the time left
    with Progress(*columns[:2], MofNCompleteColumn(), TimeElapsedColumn(), columns[-1], TextColumn("left")) as bar:
        grid = bar.add_task("tasks", total=total, completed=before)
        if before:
            bar.console.print(f"Finished before: {before} of {plural(total, 'task')}.")

        def tell(done: "Done") -> None:
            error = done.state.error
            result = f"failed: {error.strip().splitlines()[-1]}" if error else "done"
            line = f"{done.task} {result} ({done.state.seconds:.1f} s)"
            bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
            bar.update(grid, completed=before + done.done)

        yield tell


def _show(found: "list[Outcome]", out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..papers.framework.outcome import save_outcome
    from ..papers.framework.verdict_text import effect_told

    table = Table("experiment", "claim", "verdict", "effect [95 % interval], seeds")
    for one in found:
        for claim, verdict in one.verdicts:
            table.add_row(one.experiment.name, claim.name, verdict.outcome, effect_told(verdict))
    Console().print(table)
    for one in found:
        for path in save_outcome(one, out / one.experiment.name):
            typer.echo(f"Wrote {path}")
