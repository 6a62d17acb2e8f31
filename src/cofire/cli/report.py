"""``cofire report``."""

from pathlib import Path
from typing import Annotated

import typer

from .options import OpenOption, OutputOption
from .output_files import check_writable, open_in_browser
from .progress_bar import progress_bar


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, for example runs/demo.")],
    output: OutputOption = Path("report.html"),
    show: OpenOption = False,
) -> None:
    """Write an HTML report on one or more runs; it opens offline in any browser."""
    check_writable(output, inputs=runs)
    from ..reports import write_report

    with progress_bar(f"Writing {output}"):
        page = write_report(runs, output)
    typer.echo(f"Wrote {page}; open it in a browser.")
    if show:
        open_in_browser(output.resolve().as_uri())
