"""The files that commands write."""

import json
import webbrowser
from pathlib import Path
from typing import Any

import typer


def check_writable(output: Path, example: str = "report.html") -> None:
    """Raise a ValueError if a file cannot be written there, before anything takes time."""
    if output.is_dir():
        raise ValueError(f"{output} is a folder; name the file to write, for example {output / example}")
    if not output.parent.is_dir():
        raise ValueError(f"cannot write {output}: the folder {output.parent} does not exist")


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write content with cofire's version, and say so."""
    from ..stats._base.whole_files import replaced

    with replaced(path) as file:
        file.write(as_json(content).encode())
    typer.echo(f"Wrote {path}.")


def as_json(content: dict[str, Any]) -> str:
    """Return content with cofire's version as JSON."""
    from .._version import __version__

    # JSON has no NaN and no infinity; allow_nan=False catches one that was not turned into null.
    return json.dumps({"cofire": __version__, **content}, allow_nan=False, indent=1, ensure_ascii=True)


def open_in_browser(address: str) -> None:
    """Open an address in a browser, or say that there is no browser."""
    if not webbrowser.open(address):
        typer.echo("No browser found to open the page.", err=True)
