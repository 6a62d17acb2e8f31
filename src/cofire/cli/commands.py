"""The command line's frame: which commands there are, and how an error is told."""

import sys
from typing import Annotated

import typer

from .._version import __version__
from .compare import EPILOG as COMPARE_EPILOG
from .compare import compare
from .demo import demo
from .experiments import experiments
from .inspect import EPILOG, inspect
from .merge import merge
from .report import report
from .reproduce import reproduce
from .watch import watch

app = typer.Typer(
    name="cofire",
    help="Neurons that fire together: measure how the neurons of a network co-vary, and follow it through training.",
    epilog="Start with: cofire demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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


app.command(epilog="Example: cofire demo --epochs 10 --output digits.html")(demo)
app.command(epilog="Example: cofire report runs/a runs/b --output both.html --open")(report)
app.command(epilog="Example: cofire watch runs/a --open")(watch)
app.command(epilog=EPILOG)(inspect)
app.command(epilog=COMPARE_EPILOG)(compare)
app.command(epilog="Example: cofire merge nets.small:build --weights last.pt --data digits --out smaller.safetensors")(
    merge
)
app.command(epilog="Example: cofire reproduce jin2022.fig5 --scale smoke")(reproduce)
app.command(epilog="Example: cofire experiments --scale paper")(experiments)


def main() -> None:
    """Run the command line; a wrong input is one line on stderr and exit status 2."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError, ImportError) as error:
        if isinstance(error, ImportError) and not _is_a_package_short(error):
            raise
        typer.echo(f"cofire: {_sentence(error)}", err=True)
        sys.exit(2)


def _is_a_package_short(error: ImportError) -> bool:
    """Whether a package is absent: one that Python names, or that cofire tells of. A wrong import of our own is not."""
    return isinstance(error, ModuleNotFoundError) or error.name is None


def _sentence(error: Exception) -> str:
    """An error without Python's and the system's own notation."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f'this needs {error.name}; install it with: pip install "cofire[report,papers]"'
    return str(error)
