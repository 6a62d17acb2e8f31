"""The command line: arguments in, calls out. Heavy imports happen inside the commands."""

import sys
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ._version import __version__

app = typer.Typer(
    name="cofire",
    help="Neurons that fire together: measure how the neurons of a network co-vary, and follow it through training.",
    epilog="Start with: cofire demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; a wrong input is one line on stderr and exit status 2."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        typer.echo(f"cofire: {_sentence(error)}", err=True)
        sys.exit(2)


def _sentence(error: Exception) -> str:
    """An error without Python's and the system's own notation."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    if isinstance(error, ModuleNotFoundError):
        return f'this needs {error.name}; install it with: pip install "cofire[report,papers]"'
    return str(error)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"cofire {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: cofire demo --epochs 10 --output digits.html")
def demo(
    run: Annotated[Path, typer.Option(help="Where the run is kept; it is resumed if it was interrupted.")] = Path(
        "runs/demo"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("report.html"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Of the split, the weights and the batches.")] = 0,
) -> None:
    """Train a small network on bundled digits, follow its neurons, and write report.html."""
    _refuse_unwritable(output)
    from .papers.demo import run_demo

    with _progress(f"Training on digits, {epochs} epochs") as show:
        found = run_demo(run, epochs=epochs, seed=seed, progress=show)
    _print_summary(run)
    typer.echo(f"\nTest accuracy {found.test_accuracy:.1%}, training accuracy {found.accuracy:.1%}.")
    _write([run], output)


@app.command(epilog="Example: cofire report runs/a runs/b --output both.html --open")
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, for example runs/demo.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("report.html"),
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Write one page that shows what runs have recorded: opens offline in any browser."""
    _refuse_unwritable(output)
    _write(runs, output)
    if show and not webbrowser.open(output.resolve().as_uri()):
        typer.echo("No browser was found to open it with.", err=True)


def _refuse_unwritable(output: Path) -> None:
    """Before anything takes time."""
    if output.is_dir():
        raise ValueError(f"{output} is a folder; name the page to write, for example {output / 'report.html'}")
    if not output.parent.is_dir():
        raise ValueError(f"{output} cannot be written: there is no folder {output.parent}")


def _write(runs: list[Path], output: Path) -> None:
    from .report import write_report

    typer.echo(f"Wrote {write_report(runs, output)}; open it in a browser.")


def _print_summary(run: Path) -> None:
    from rich.console import Console

    from .record import Run
    from .report import read, summary

    with Run.open(run) as opened:
        Console().print(summary(read(opened)))


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
