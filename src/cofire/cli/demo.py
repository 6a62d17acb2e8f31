"""``cofire demo``."""

from pathlib import Path
from typing import Annotated

import typer

from .page_output import refuse_unwritable, write_page
from .progress_bar import progress_bar


def demo(
    run: Annotated[Path, typer.Option(help="Where the run is kept; it is resumed if it was interrupted.")] = Path(
        "runs/demo"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("report.html"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Of the split, the weights and the batches.")] = 0,
) -> None:
    """Train a small network on bundled digits, follow its neurons, and write report.html."""
    refuse_unwritable(output)
    from ..papers.demonstration import run_demo
    from ..reports.data.formatting import plural

    with progress_bar(f"Training on digits, {plural(epochs, 'epoch')}") as show:
        found = run_demo(run, epochs=epochs, seed=seed, progress=show)
    # before anything is printed: whoever reads may have had enough after a line (cofire demo | head)
    with progress_bar(f"Writing {output}"):
        written = write_page([run], output)
    _print_summary(run)
    typer.echo(f"\nTest accuracy {found.test_accuracy:.1%}, training accuracy {found.accuracy:.1%}.\n{written}")


def _print_summary(run: Path) -> None:
    from rich.console import Console

    from ..record import Run
    from ..reports import read, summary

    with Run.open(run) as opened:
        console = Console()
        console.print(summary(read(opened, history=False), width=console.width))
