"""``cofire watch``."""

import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer


def watch(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, begun or about to begin.")],
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Where to serve; 0 for any free port.", show_default="8765 if it is free"),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Show runs in a browser while they go on: their page renews itself when something was recorded.

    Serves this machine alone, until Ctrl-C. The runs are read, never written to.
    """
    if find_spec("scipy") is None:  # the first page may be long in coming
        raise ModuleNotFoundError(name="scipy")
    from ..reports.page.live import LivePage
    from ..reports.page.server import Server

    page = LivePage(runs)
    with Server(page, port=port) as server:
        typer.echo(f"Watching {', '.join(map(str, runs))} at {server.address} until Ctrl-C.")
        for directory in page.missing:
            typer.echo(f"There is no run in {directory} yet; waiting for it.")
        if show and not webbrowser.open(server.address):
            typer.echo("No browser was found to open it with.", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("Stopped.")
