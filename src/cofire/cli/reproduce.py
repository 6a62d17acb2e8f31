"""``cofire reproduce``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .exit_statuses import FAILED
from .targets import RESULTS

if TYPE_CHECKING:
    from ..papers.docs_pages import Written
    from ..papers.framework.experiment import Experiment, Scale
    from ..papers.framework.outcome import Outcome
    from ..papers.framework.repetitions import Found
    from ..papers.framework.sweep import Done
    from ..papers.framework.task_results import Results

PROJECT = Path()


def seeds_of(text: str) -> range:
    """Read ``5`` as the seeds 0 to 4, and ``5:10`` as the seeds 5 to 9.

    Raises:
        typer.BadParameter: if it is neither, or there is no seed.

    Example:
        >>> seeds_of("5"), seeds_of("5:10")
        (range(0, 5), range(5, 10))
    """
    first, end = text.split(":", 1) if ":" in text else ("0", text)
    seeds = range(int(first), int(end)) if first.isdecimal() and end.isdecimal() else range(0)
    if not seeds:
        raise typer.BadParameter(f"give a number of seeds such as 5, or first and end such as 5:10, got {text!r}")
    return seeds


def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Experiments or papers, or: all.")
    ] = None,
    scale: Annotated[
        Literal["smoke", "quick", "medium", "paper"],
        typer.Option(
            help="smoke: seconds, on bundled digits, judges nothing; quick: minutes, on real data; "
            "medium: as published with fewer epochs or seeds; paper: as published."
        ),
    ] = "quick",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; one per core by default, one on a GPU.")
    ] = None,
    backend: Annotated[Literal["processes", "dask"], typer.Option(help="Where to run tasks.")] = "processes",
    scheduler: Annotated[str | None, typer.Option(help="Address of the Dask scheduler: tcp://host:8786.")] = None,
    device: Annotated[str, typer.Option(help="Where networks train: cpu, cuda or cuda:0.")] = "cpu",
    data_root: Annotated[Path | None, typer.Option(help="Folder with the data sets; downloaded by default.")] = None,
    seeds: Annotated[
        range | None,
        typer.Option(
            parser=seeds_of, metavar="N|FIRST:END", help="Seeds instead of the scale's own: 5, or 5:10 to add five."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for results; finished tasks are reused.")] = RESULTS,
    write_docs: Annotated[
        bool,
        typer.Option(
            help="Add the run to the evidence in docs/papers, without the repetitions that it has already; write its "
            "pages and the README's tally."
        ),
    ] = False,
    rejudge: Annotated[
        bool,
        typer.Option("--rejudge", help="Run nothing: judge the evidence in docs/papers again, and write its pages."),
    ] = False,
) -> None:
    """Run experiments of the papers, draw their figures, and report which claims hold."""
    from ..papers import docs_pages
    from ..papers.registry import chosen

    experiments = chosen(names or [])
    if rejudge:
        _tell_written(docs_pages.rejudge(experiments, PROJECT))
        return
    if not experiments:
        raise ValueError("name experiments or papers, or: all; `cofire experiments` lists them")
    if write_docs:
        docs_pages.check_project(PROJECT)
    where = {"jobs": jobs, "backend": backend, "scheduler": scheduler, "device": device}
    where["data_root"] = None if data_root is None else str(data_root.resolve())
    evidence = docs_pages.evidence_in(PROJECT)
    known = {one.name: evidence.found(one, scale) for one in experiments}  # what doesn't fit is told before the run
    from ..papers.framework.task_results import Results

    with Results(out, write=True) as results:
        failed = _run(experiments, scale, results, seeds, known if write_docs else {}, **where)
        if write_docs:
            _tell_written(docs_pages.publish(experiments, scale, results, PROJECT))
        for one in experiments:
            _show(one, scale, results, seeds, out)
    if failed:
        raise typer.Exit(FAILED)


def _run(
    experiments: "Sequence[Experiment]",
    scale: "Scale",
    results: "Results",
    seeds: range | None,
    known: "Mapping[str, Found]",
    *,
    jobs: int | None,
    device: str,
    **where: Any,
) -> bool:
    """Run what is neither finished nor known, after telling what it costs; return whether a task failed."""
    from joblib import cpu_count

    from ..papers.framework.repetitions import Found, left_to_do
    from ..papers.framework.sweep import sweep
    from ..papers.framework.task_context import Place, check_device

    if where["backend"] == "processes":
        check_device(device)
    kind = Place(device).kind
    work = [
        (one, left)
        for one in experiments
        for task in one.tasks(scale, seeds=seeds)
        if (left := left_to_do(task, known.get(one.name, Found()), kind)) is not None
    ]
    tasks = {task.id: task for _, task in work}.values()  # figures of one training share its tasks
    finished = {task.id for task in tasks if results.finished(task, device=kind)}
    if len(finished) < len(tasks):
        typer.echo(_cost(experiments, scale, work, finished))
    with _progress(len(finished), len(tasks)) as tell:
        n_jobs = jobs or (cpu_count() if kind == "cpu" else 1)
        ended = sweep(work, results, jobs=n_jobs, device=device, tell=tell, **where)
    return any(done.state.error for done in ended)


def _cost(experiments: "Sequence[Experiment]", scale: "Scale", work: "Sequence[Any]", finished: set[str]) -> str:
    """Say about how long the unfinished tasks take: their share of the repetitions that the scale has."""
    from ..papers.framework.verdict_text import duration
    from ..reports.data.formatting import plural

    minutes, left = 0.0, {task.id for _, task in work} - finished
    for one in {one.training: one for one in experiments}.values():
        wanted = sum(len(task.seeds) for task in one.tasks(scale))
        own = {task.id: len(task.seeds) for owner, task in work if owner is one and task.id in left}
        minutes += one.minutes[scale] * sum(own.values()) / wanted
    return f"To run: {plural(len(left), 'task')}, about {duration(60 * minutes)} on two cores."


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


def _show(one: "Experiment", scale: "Scale", results: "Results", seeds: range | None, out: Path) -> None:
    """Print an experiment's verdicts, and write its page, figures and rows into the folder of results."""
    from ..papers.docs_pages import evidence_in
    from ..papers.figure_page import write_page
    from ..papers.framework.outcome import outcome, save_rows

    found = outcome(one, scale, evidence_in(PROJECT), results, seeds=seeds)
    _print_verdicts(found)
    folder = out / one.name
    for path in (*write_page(found, folder), save_rows(found.table, folder / "rows.csv")):
        typer.echo(f"Wrote {path}")


def _print_verdicts(found: "Outcome") -> None:
    from rich.console import Console
    from rich.table import Table

    from ..papers.framework.verdict_text import effect_told, word_told
    from ..reports.data.formatting import plural

    table = Table("experiment", "claim", "verdict", "effect [95 % interval], repetitions")
    for claim, verdict in found.verdicts:
        effect = f"by {verdict.choice}:" if verdict.readings else effect_told(verdict)
        table.add_row(found.experiment.name, claim.name, word_told(verdict), effect)
        for name, reading in verdict.readings:
            table.add_row("", f"  {name}", word_told(reading), effect_told(reading))
    if found.verdicts:
        Console().print(table)
    else:
        typer.echo(f"{found.experiment.name}: the scale {found.scale} judges nothing.")
    if found.left_out:
        typer.echo(f"{found.experiment.name}: shown are {found.left_out}.")
    if found.missing:
        points = plural(len(found.points), "point")
        typer.echo(f"{found.experiment.name}: {found.missing} of {points} lack repetitions.")
    for failure in found.failures:
        typer.echo(f"{found.experiment.name}: failed and not counted: {failure}: {failure.error}")


def _tell_written(written: "Written") -> None:
    for path in written.paths:
        typer.echo(f"Wrote {path}")
    for path in written.removed:
        typer.echo(f"Removed {path}, which has no evidence")
    if written.without:
        typer.echo(f"No evidence of: {', '.join(written.without)}")
    for change in written.changes:
        typer.echo(f"Changed: {change}")
    if not written.changes:
        typer.echo("No verdict changed.")
