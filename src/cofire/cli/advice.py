"""Ask what `cofire shrink` can do with a network that was inspected."""

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from .progress_bar import progress_bar
from .targets import Loading, Target

if TYPE_CHECKING:
    from ..reports.findings.shrink_findings import Advice

SAMPLES = 600
"""So many samples of the data are enough for a forecast."""


def advice(found: Target, batches: Iterable[Any], command: str) -> "Advice | None":
    """Return what can be cut; None, with a note, if that can't be told."""
    from ..nets.loading.batches import FirstSamples
    from ..nets.shrinking import forecast
    from ..reports.findings.shrink_findings import Advice

    assert found.model is not None
    try:
        with progress_bar("Asking what can be cut"):
            return Advice(forecast(found.model, FirstSamples(batches, n_samples=SAMPLES)), command)
    except ValueError as error:  # what can't be cut can still be inspected
        typer.echo(f"Note: what could be cut is not known: {error}.")
        return None


def shrink_command(target: str, loading: Loading) -> str:
    """Return the beginning of the command that shrinks what was inspected, as a shell takes it."""
    words = ["cofire", "shrink", target]
    for option in ("weights", "key", "task", "data", "column"):
        given = getattr(loading, option)
        words += [] if given is None else [f"--{option}", str(given)]
    return shlex.join([*words, *(["--allow-unexpected"] if loading.allow_unexpected else [])])
