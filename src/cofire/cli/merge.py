"""``cofire merge``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .page_output import refuse_unwritable
from .progress_bar import progress_bar
from .targets import DataOption, TargetArgument, WeightsOption, load_data, load_target

if TYPE_CHECKING:
    from torch import nn

    from ..nets.surgery import Surgery

EXACT = 1e-8


def merge(
    target: TargetArgument,
    output: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The smaller checkpoint to write, .safetensors.")
    ],
    weights: WeightsOption = None,
    data: DataOption = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Largest share of a unit's variance left unexplained for it to go; 1e-8 if absent."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(help="Keep so many units of each layer instead: a share such as 0.5, or a whole number."),
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only these layers: 'encoder.*', 're:.*fc', '!head'.")
    ] = None,
    check: Annotated[
        str | None, typer.Option(metavar="DATA", help="Measure what it cost on these data, instead of --data.")
    ] = None,
    max_samples: Annotated[int, typer.Option(min=2, help="Inputs to run at most.")] = 5000,
) -> None:
    """Fold units that others explain into those, and write the smaller network's weights.

    Which units are constant, copies, or linear combinations of others is learnt from --data. Says what it cost, and
    which layers could not be cut, and why. The file is loaded by cofire.nets.surgery.load_merged.
    """
    from rich.console import Console

    from ..nets.loading.batches import batch_length
    from ..nets.redundancy import LEAST_INPUTS
    from ..nets.surgery import cost, merged_bytes
    from ..record.runs.whole_files import replaced
    from ..reports.data.formatting import plural
    from ..reports.terminal.merge_table import merge_summary

    _refuse(output, tolerance, keep)
    number = None if keep is None else _number(keep)
    found = load_target(target, weights=weights)
    if found.model is None:
        raise ValueError(f"merging runs the model, and {target} is weights alone; give module:factory and --weights")
    if data is None:
        raise ValueError("merging needs --data: inputs tell which units others explain")
    with progress_bar("Learning which units others explain"):
        batches = load_data(data, max_samples=max_samples)
        n_inputs = sum(map(batch_length, batches))
        surgery = _cut(found.model, batches, tolerance, number, layers)
    with progress_bar("Measuring what the cut costs"):
        measured = cost(found.model, surgery, load_data(check or data, max_samples=max_samples))
    for note in found.notes:
        typer.echo(f"Note: {note}.")
    if n_inputs < LEAST_INPUTS:
        typer.echo(
            f"Note: {plural(n_inputs, 'input')} were run, fewer than {LEAST_INPUTS}: on so few, units that other "
            "inputs would wake count as constant, and copies cannot be told from chance."
        )
    Console().print(merge_summary(surgery, measured))
    with replaced(output) as file:
        file.write(merged_bytes(surgery))
    typer.echo(f"\nWrote {output}; cofire.nets.surgery.load_merged puts it into a model that {target} makes.")


def _refuse(output: Path, tolerance: float | None, keep: str | None) -> None:
    refuse_unwritable(output, "smaller.safetensors")
    if output.suffix != ".safetensors":
        raise ValueError(f"{output} must end in .safetensors, the one format that is written")
    if tolerance is not None and keep is not None:
        raise ValueError("give --tolerance or --keep, not both: one asks for an error, the other for a width")


def _cut(
    model: "nn.Module",
    batches: Any,
    tolerance: float | None,
    keep: float | int | None,
    layers: list[str] | None,
) -> "Surgery":
    from ..nets.surgery import fold, prune

    pattern: Any = layers or "*"
    if keep is not None:
        return prune(model, batches, keep=keep, pattern=pattern)
    return fold(model, batches, tolerance=EXACT if tolerance is None else tolerance, pattern=pattern)


def _number(keep: str) -> float | int:
    try:
        return int(keep) if keep.lstrip("+-").isdecimal() else float(keep)
    except ValueError as error:
        raise ValueError(f"--keep is a share such as 0.5 or a whole number, got {keep!r}") from error
