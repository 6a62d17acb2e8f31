"""The commands of ``cofire``, and how they report errors."""

import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated

import typer

from .._version import __version__
from .compare import compare
from .demo import demo
from .exit_statuses import FAILED
from .experiments import experiments
from .inspect import inspect
from .merge import merge
from .report import report
from .reproduce import reproduce
from .shrink_command import shrink
from .users_errors import users_error
from .watch import watch

OF_PAPERS = ("joblib", "matplotlib", "pooch", "sklearn")
INSTALLED_BY = {
    "PIL": "pillow",
    "transformers": '"cofire[transformers]"',
    **dict.fromkeys(OF_PAPERS, '"cofire[papers]"'),
}
"""What to install for a module that is missing, where that has another name, or an extra."""

app = typer.Typer(
    name="cofire",
    help="Neurons that fire together: measure how the neurons of a network co-vary, and follow it through training.",
    epilog="Start with: cofire demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

COMMANDS = {
    demo: ["cofire demo --epochs 10 --output digits.html"],
    report: ["cofire report runs/a runs/b --output both.html --open"],
    watch: ["cofire watch runs/a --open"],
    inspect: [
        "cofire inspect model.safetensors",
        "cofire inspect timm:resnet50 --data images/ --html page.html",
        "cofire inspect google-bert/bert-base-uncased --task fill-mask --data texts.csv --json - --quiet",
        "cofire inspect nets.small:build --weights last.pt --data digits --html page.html",
        "cofire inspect nets.small:build --weights last.pt --data inputs/ --fail-above nc_low=0.4",
    ],
    compare: [
        "cofire compare before.safetensors after.safetensors",
        "cofire compare last.pt smaller.safetensors --model nets.small:build --data digits --html page.html",
        "cofire compare runs/plain runs/dropout",
    ],
    merge: ["cofire merge nets.small:build --weights last.pt --data digits --out smaller.safetensors"],
    shrink: [
        "cofire shrink nets.small:build --weights last.pt --data digits --keep 0.7 --out smaller",
        "cofire shrink nets.small:build --weights last.pt --data digits --max-loss 0.01 --score accuracy --out smaller",
    ],
    reproduce: ["cofire reproduce jin2022.fig5 --scale smoke"],
    experiments: ["cofire experiments --scale paper"],
}
"""Each command with the examples that its help shows."""

for command, examples in COMMANDS.items():
    # typer keeps the line breaks inside a docstring's later paragraphs, which looks ragged at any other width
    paragraphs = [" ".join(paragraph.split()) for paragraph in (command.__doc__ or "").split("\n\n")]
    heading = "Example: " if len(examples) == 1 else "Examples:\n\n"
    app.command(help="\n\n".join(paragraphs), epilog=heading + "\n\n".join(examples))(command)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cofire {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


class Terminated(SystemExit):
    """SIGTERM came."""


def _leave(number: int, frame: object) -> None:
    """Leave after SIGTERM so that half-written files are removed; a second one ends the process at once."""
    signal.signal(number, signal.SIG_DFL)
    raise Terminated(128 + number)


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # names may be anything, and terminals may know little
    with suppress(ValueError):  # outside of the main thread
        signal.signal(signal.SIGTERM, _leave)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Terminated:
        raise
    except (Exception, SystemExit) as error:
        if (said := users_error(error)) is not None:  # whatever it is: users' code can fail in any way
            typer.echo(f"cofire: {said}", err=True)
            sys.exit(FAILED)
        if not isinstance(error, ValueError | OSError | ImportError):
            raise
        # A missing package is the user's to install. A module or a name that is missing in cofire is a bug: show where.
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "cofire":
            raise
        typer.echo(f"cofire: {_message(error)}", err=True)
        sys.exit(FAILED)


def _message(error: Exception) -> str:
    """Return an error's message without the notation of Python and the operating system."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"this needs {package}; install it with: pip install {INSTALLED_BY.get(package, package)}"
    return str(error)
