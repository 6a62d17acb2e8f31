"""What `cofire shrink` and `cofire merge` print."""

from typing import TYPE_CHECKING

import typer

from .targets import Target, notes_on

if TYPE_CHECKING:
    from ..nets.loading.inputs.find_inputs import Inputs
    from ..nets.shrinking import Shrunk


def show(found: Target, inputs: "Inputs", shrunk: "Shrunk", keep: float | None, max_loss: float | None) -> None:
    """Print what was cut and what it costs, with all notes."""
    from rich.console import Console

    from ..nets.redundancy import LEAST_INPUTS
    from ..reports.data.shrink_rows import beyond, why_nothing
    from ..reports.terminal.shrink_table import shrink_summary

    for note in notes_on(found, inputs):
        typer.echo(f"Note: {note}.")
    if keep is None and max_loss is None and shrunk.n_samples[0] < LEAST_INPUTS:
        typer.echo(
            f"Note: only {shrunk.n_samples[0]} inputs were run. With fewer than {LEAST_INPUTS}, units that other "
            "inputs would activate count as constant, and chance makes units look like copies."
        )
    Console().print(shrink_summary(shrunk, why_nothing=why_nothing(keep, max_loss)))
    if note := beyond(shrunk, max_loss):
        typer.echo(f"\nNote: {note}.")
