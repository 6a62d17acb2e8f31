"""``cofire demo``."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from .options import OutputOption
from .output_files import check_writable
from .progress_bar import progress_bar


def demo(
    run: Annotated[Path, typer.Option(help="Run directory; an interrupted demonstration is resumed.")] = Path(
        "runs/demo"
    ),
    output: OutputOption = Path("report.html"),
    epochs: Annotated[int, typer.Option(min=1, help="Number of epochs to train.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for split, weights and batch order.")] = 0,
) -> None:
    """Train a small network on bundled digits, record how its neurons co-vary, and write an HTML report.

    A demonstration with other options replaces the earlier one in the run directory.
    """
    if find_spec("sklearn") is None:
        raise ValueError(
            'the demonstration\'s digits come with scikit-learn; install it with: pip install "cofire[demo]"'
        )
    check_writable(output, inputs=[run])
    from rich.console import Console

    from ..papers.demonstration import run_demo
    from ..record import Run
    from ..reports import read, summary, write_report
    from ..reports.data.formatting import plural

    with progress_bar(f"Training on digits, {plural(epochs, 'epoch')}") as show:
        found = run_demo(run, epochs=epochs, seed=seed, progress=show)
    # Write before printing: a reader that closes the pipe early (cofire demo | head) ends the process.
    with progress_bar(f"Writing {output}"):
        page = write_report([run], output)
    with Run.open(run) as opened:
        console = Console()
        console.print(summary(read(opened, history=False), width=console.width))
    typer.echo(f"\nTest accuracy {found.test_accuracy:.1%}, training accuracy {found.accuracy:.1%}.")
    typer.echo(f"Wrote {page}; open it in a browser.")
