"""``cofire reproduce``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from ..papers.framework.outcome import Outcome
    from ..papers.framework.sweep import Done

RESULTS = Path("runs/papers")


def reproduce(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Experiments, papers, or: all.")],
    scale: Annotated[
        Literal["smoke", "quick", "paper"],
        typer.Option(help="smoke: seconds, on bundled digits; quick: minutes, on real data; paper: as printed."),
    ] = "quick",
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes, one thread each; by default one a core.")] = None,
    backend: Annotated[Literal["processes", "dask"], typer.Option(help="Where tasks run.")] = "processes",
    scheduler: Annotated[str | None, typer.Option(help="Address of the Dask scheduler: tcp://host:8786.")] = None,
    data_root: Annotated[
        Path | None, typer.Option(help="The folder with the data sets; by default they are downloaded.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds, in place of the scale's own number.")] = None,
    out: Annotated[Path, typer.Option(help="Where results are kept, and found again by the next run.")] = RESULTS,
    write_docs: Annotated[bool, typer.Option(help="Write docs/papers and the README's table.")] = False,
) -> None:
    """Run experiments of the papers, draw their figures, and say which claims hold."""
    from ..papers.framework.outcome import outcome
    from ..papers.framework.registry import chosen
    from ..papers.framework.sweep import sweep
    from ..papers.framework.task_results import Results

    experiments = chosen(names)
    work = [(experiment, task) for experiment in experiments for task in experiment.tasks(scale, seeds=seeds)]
    with Results(out, write=True) as results:
        tasks = {task.id: task for _, task in work}.values()  # figures of one training share theirs
        before = sum(results.finished(task) for task in tasks)
        with _progress(before, len(tasks)) as tell:
            where = {"jobs": jobs or _cores(), "backend": backend, "scheduler": scheduler}
            ended = sweep(work, results, **where, data_root=_text(data_root), tell=tell)
        found = [outcome(experiment, scale, results, seeds=seeds) for experiment in experiments]
    _show(found, out)
    if write_docs:
        _write_docs(found)
    if any(done.state.error for done in ended):
        raise typer.Exit(1)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _cores() -> int:
    from joblib import cpu_count

    return cpu_count()


@contextmanager
def _progress(before: int, total: int) -> "Iterator[Callable[[Done], None]]":
    """A bar over the grid with the time left, and a line for each task that ends."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from ..reports.data.formatting import plural

    left = TimeRemainingColumn(), TextColumn("left")
    with Progress(TextColumn("tasks"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), *left) as bar:
        grid = bar.add_task("", total=total, completed=before)
        if before:
            bar.console.print(f"Finished before: {before} of {plural(total, 'task')}.")

        def tell(done: "Done") -> None:
            bar.console.print(_line(done), highlight=False, markup=False, soft_wrap=True)
            bar.update(grid, completed=before + done.done)

        yield tell


def _line(done: "Done") -> str:
    error = done.state.error
    told = f"failed: {error.strip().splitlines()[-1]}" if error else "done"
    return f"{done.task} {told} ({done.state.seconds:.1f} s)"


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


def _write_docs(found: "list[Outcome]") -> None:
    from ..papers.framework.docs_pages import write_pages

    for path in write_pages(found, Path()):
        typer.echo(f"Wrote {path}")
