"""``cofire merge``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import DataOption, KeyOption, MaxSamplesOption, TargetArgument, UnexpectedOption, WeightsOption
from .output_files import check_writable
from .progress_bar import progress_bar
from .targets import Target, load_data, load_target

if TYPE_CHECKING:
    from ..nets.surgery import Surgery

EXACT = 1e-8
NOTHING_REMOVED = 3
"""Exit status if no unit could be removed; then no file is written."""


def merge(
    target: TargetArgument,
    output: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Write the smaller checkpoint to FILE (.safetensors).")
    ],
    weights: WeightsOption = None,
    key: KeyOption = None,
    allow_unexpected: UnexpectedOption = False,
    data: DataOption = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Remove a unit if others leave at most this share of its variance unexplained; 1e-8 by default."
        ),
    ] = None,
    keep: Annotated[str | None, typer.Option(help="Keep this share (0.5) or number of units in each layer.")] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Cut only these layers: 'encoder.*', 're:.*fc', '!head'. Repeatable."),
    ] = None,
    check: Annotated[str | None, typer.Option(metavar="DATA", help="Measure the cost on these inputs instead.")] = None,
    max_samples: MaxSamplesOption = 5000,
) -> None:
    """Remove units that others explain, fold them into those, and write the smaller network's weights.

    Learns from --data which units are constant, copies, or linear combinations of others. Prints what the cut costs,
    and which layers could not be cut and why. Load the file with cofire.nets.surgery.load_merged. If no unit can be
    removed, writes nothing and exits with status 3.
    """
    from rich.console import Console

    from ..nets.surgery import cost, merged_bytes
    from ..reports.terminal.merge_table import merge_summary
    from ..stats._base.whole_files import replaced

    check_writable(output, "smaller.safetensors")
    if output.suffix != ".safetensors":
        raise ValueError(f"--out must end in .safetensors, the only format that merge writes; got {output}")
    width = _width(keep, tolerance)
    found = load_target(target, weights=weights, key=key, allow_unexpected=allow_unexpected)
    if found.model is None:
        raise ValueError(f"merge runs the model, but {target} holds only weights; give module:factory and --weights")
    if data is None:
        raise ValueError("merge needs --data to learn which units others explain")
    batches = load_data(data, max_samples=max_samples)
    with progress_bar("Learning which units others explain"):
        surgery = _cut(found.model, batches, tolerance, width, layers or "*")
    with progress_bar("Measuring what the cut costs"):
        measured = cost(found.model, surgery, load_data(check or data, max_samples=max_samples))
    _print_notes(found, batches)
    Console().print(merge_summary(surgery, measured))
    if not surgery.cuts:
        raise typer.Exit(NOTHING_REMOVED)
    with replaced(output) as file:
        file.write(merged_bytes(surgery))
    typer.echo(f"\nWrote {output}; load it with cofire.nets.surgery.load_merged into a model that {target} builds.")


def _width(keep: str | None, tolerance: float | None) -> float | int | None:
    if keep is None:
        return None
    if tolerance is not None:
        raise ValueError("--tolerance and --keep exclude each other: one limits the error, the other sets the width")
    try:
        return int(keep) if keep.lstrip("+-").isdecimal() else float(keep)
    except ValueError as error:
        raise ValueError(f"--keep takes a share such as 0.5 or a whole number, got {keep!r}") from error


def _cut(model: Any, batches: Any, tolerance: float | None, width: float | int | None, pattern: Any) -> "Surgery":
    from ..nets.surgery import fold, prune

    if width is not None:
        return prune(model, batches, keep=width, pattern=pattern)
    return fold(model, batches, tolerance=EXACT if tolerance is None else tolerance, pattern=pattern)


def _print_notes(found: Target, batches: Any) -> None:
    from ..nets.loading.batches import batch_length
    from ..nets.redundancy import LEAST_INPUTS

    for note in found.notes:
        typer.echo(f"Note: {note}.")
    n_inputs = sum(map(batch_length, batches))
    if n_inputs < LEAST_INPUTS:
        typer.echo(
            f"Note: only {n_inputs} inputs were run. With fewer than {LEAST_INPUTS}, units that other inputs would "
            "activate count as constant, and chance makes units look like copies."
        )
