"""``cofire watch``."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from .options import OpenOption
from .output_files import open_in_browser


def watch(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories; they need not exist yet.")],
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to serve on; 0 for any.", show_default="8765, or any free one"),
    ] = None,
    show: OpenOption = False,
) -> None:
    """Serve a live report of runs in progress; the page refreshes with every recording.

    Listens on this machine only, until Ctrl-C. Reads the runs and never writes to them.
    """
    if find_spec("jinja2") is None:  # the page needs it; waiting for the first recording to say so would be late
        raise ModuleNotFoundError(name="jinja2")
    from ..reports.page.live import LivePage
    from ..reports.page.server import Server

    page = LivePage(runs)
    with Server(page, port=port) as server:
        typer.echo(f"Watching {', '.join(map(str, runs))} at {server.address} until Ctrl-C.")
        for sentence in page.waiting.values():
            typer.echo(sentence)
        if show:
            open_in_browser(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("Stopped.")
