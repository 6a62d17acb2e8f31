"""The files that commands write, and where what they print goes."""

import json
import os
import sys
import webbrowser
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import typer

STDOUT = Path("-")
REPLACED = (".html", ".htm", ".json")
"""Endings of the names of files that may be replaced, whatever is in them."""


def check_writable(output: Path, example: str = "report.html", *, inputs: Iterable[str | Path | None] = ()) -> None:
    """Raise a ValueError if a file cannot be written there, before anything takes time.

    Args:
        output: the file to write.
        example: a name for it.
        inputs: what the command reads, which the file must not replace: files, folders, and module:name. Other outputs
            may be among them.
    """
    if output == STDOUT:
        raise ValueError(f"only JSON can go to stdout; name a file to write, for example {example}")
    from ..record.runs.run_directory import refuse_part_of_run
    from ..stats._base.whole_files import check_target

    if output.is_dir():
        raise ValueError(f"{output} is a folder; name the file to write, for example {output / example}")
    if not output.parent.is_dir():
        raise ValueError(f"cannot write {output}: the folder {output.parent} does not exist")
    check_target(output)
    refuse_part_of_run(output)
    for given in inputs:
        if given is not None and _replaces(output, str(given)):
            raise ValueError(f"writing {output} would replace {given}; name another file")
    if output.suffix.lower() not in (Path(example).suffix, *REPLACED) and output.is_file() and not _is_ours(output):
        raise ValueError(f"{output} exists, and by its name it is no output of cofire; name another file")


def _replaces(output: Path, given: str) -> bool:
    """Return whether writing a file would replace an input or a part of it."""
    from ..nets.loading.factories import is_factory

    module = Path(*given.partition(":")[0].split("."))
    named = [Path(given), *([module.with_suffix(".py"), module / "__init__.py"] if is_factory(given) else [])]
    for path in named:
        if output.resolve() == path.resolve() or (output.exists() and path.exists() and output.samefile(path)):
            return True
    return Path(given).is_dir() and output.resolve().is_relative_to(Path(given).resolve()) and not _is_ours(output)


def _is_ours(output: Path) -> bool:
    """Return whether there is nothing yet, or an earlier output: those may lie in the folder of what they are about."""
    if not output.is_file():
        return not output.exists()
    with output.open("rb") as file:
        start = file.read(200).lstrip().lower()
    return not start or start.startswith((b"<!doctype html", b'{\n "schema": "cofire.'))


def check_json(output: Path | None, *, inputs: Iterable[str | Path | None] = ()) -> None:
    """Raise a ValueError if ``--json`` cannot be written."""
    if output is not None and not is_stdout(output):
        check_writable(output, "report.json", inputs=inputs)


def is_stdout(output: Path | None) -> bool:
    """Return whether ``--json`` goes to stdout: as ``-``, or by a name such as ``/dev/stdout``."""
    if output is None or output == STDOUT:
        return output is not None
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), output.stat())
    except (OSError, ValueError):  # there is no such file, or stdout is none
        return False


@contextmanager
def printing(json_file: Path | None, *, quiet: bool) -> Iterator[Callable[[dict[str, Any], str], None]]:
    """Send what a block prints where it belongs, and yield a function that writes JSON.

    With JSON on stdout all else goes to stderr, also what the user's model prints. Quiet commands print nothing but
    JSON, errors and exceeded limits.
    """
    stdout, alone = sys.stdout, is_stdout(json_file)

    def write(content: dict[str, Any], schema: str) -> None:
        if alone:
            print(as_json(content, schema), file=stdout, flush=True)
        elif json_file is not None:
            write_json(content, schema, json_file)

    with ExitStack() as stack:
        if quiet:
            nowhere = stack.enter_context(Path(os.devnull).open("w"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        elif alone:
            stack.enter_context(redirect_stdout(sys.stderr))
        yield write


def write_json(content: dict[str, Any], schema: str, path: Path) -> None:
    """Write content with cofire's version, and say so."""
    from ..stats._base.whole_files import replaced

    with replaced(path) as file:
        file.write(as_json(content, schema).encode())
    typer.echo(f"Wrote {path}.")


def as_json(content: dict[str, Any], schema: str) -> str:
    """Return content with the name of its schema and cofire's version as JSON."""
    from .._version import __version__

    # JSON has no NaN and no infinity; allow_nan=False catches one that was not turned into null.
    whole = {"schema": f"cofire.{schema}", "cofire": __version__, **content}
    return json.dumps(whole, allow_nan=False, indent=1, ensure_ascii=True)


def open_in_browser(address: str) -> None:
    """Open an address in a browser, or say that there is no browser."""
    if not webbrowser.open(address):
        typer.echo("No browser found to open the page.", err=True)
