"""``cofire report``."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from .page_output import refuse_unwritable, write_page
from .progress_bar import progress_bar


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, for example runs/demo.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("report.html"),
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Write one page that shows what runs have recorded: opens offline in any browser."""
    refuse_unwritable(output)
    with progress_bar(f"Writing {output}"):
        written = write_page(runs, output)
    typer.echo(written)
    if show and not webbrowser.open(output.resolve().as_uri()):
        typer.echo("No browser was found to open it with.", err=True)
