"""``cofire merge``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    DataOption,
    KeyOption,
    LeaveOption,
    MaxSamplesOption,
    TargetArgument,
    UnexpectedOption,
    WeightsOption,
)
from .output_files import check_writable
from .progress_bar import progress_bar
from .shrink_output import NOTHING_REMOVED, show
from .targets import load_data, load_target

if TYPE_CHECKING:
    from ..nets.shrinking import Shrunk


def merge(
    target: TargetArgument,
    output: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Write the smaller checkpoint to FILE (.safetensors).")
    ],
    data: DataOption = None,
    check: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Measure on these inputs; by default, on a third of --data, held out."),
    ] = None,
    leave: LeaveOption = None,
    weights: WeightsOption = None,
    key: KeyOption = None,
    allow_unexpected: UnexpectedOption = False,
    max_samples: MaxSamplesOption = 5000,
) -> None:
    """Remove units that others explain exactly, and write the smaller network's weights.

    Learns from --data which units are constant, copies, or linear combinations of others, and lets those others make up
    for them: what `cofire shrink` does without --keep and --max-loss. Load the file with
    cofire.nets.surgery.load_merged. If no unit can be removed, writes nothing and exits with status 3.
    """
    from ..nets.surgery import merged_bytes
    from ..stats._base.whole_files import replaced

    check_writable(output, "smaller.safetensors")
    if output.suffix != ".safetensors":
        raise ValueError(f"--out must end in .safetensors, the only format that merge writes; got {output}")
    found = load_target(target, weights=weights, key=key, allow_unexpected=allow_unexpected)
    if found.model is None:
        raise ValueError(f"merge runs the model, but {target} holds only weights; give module:factory and --weights")
    if data is None:
        raise ValueError("merge needs --data to learn which units others explain")
    batches = load_data(data, max_samples=max_samples)
    others = None if check is None else load_data(check, max_samples=max_samples)
    with progress_bar("Merging units"):
        shrunk = _merged(found.model, batches, others, leave or ())
    show(found, shrunk, None, None)
    if not shrunk.cuts:
        raise typer.Exit(NOTHING_REMOVED)
    with replaced(output) as file:
        file.write(merged_bytes(shrunk.model, shrunk.plan["counts"]))
    typer.echo(f"\nWrote {output}; load it with cofire.nets.surgery.load_merged into a model that {target} builds.")


def _merged(model: Any, batches: Any, check: Any, leave: Any) -> "Shrunk":
    """Merge units; measure accuracy too if the data have labels of classes."""
    from ..nets.loading.batches import FirstSamples
    from ..nets.shrinking import accuracy, shrink
    from ..nets.surgery.scores import NoLabels

    score: Any = accuracy
    try:
        accuracy(model, FirstSamples(batches if check is None else check, n_samples=2))
    except NoLabels:
        score = None
    return shrink(model, batches, check=check, leave=leave, score=score)
