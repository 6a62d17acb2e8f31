"""``cofire merge``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .exit_statuses import NOTHING_TO_DO
from .options import (
    BatchSizeOption,
    ColumnOption,
    DataOption,
    DeviceOption,
    DtypeOption,
    KeyOption,
    LeaveOption,
    MaxSamplesOption,
    QuietOption,
    TargetArgument,
    TaskOption,
    UnexpectedOption,
    WeightsOption,
)
from .output_files import check_writable, printing
from .progress_bar import progress_bar
from .shrink_output import show
from .targets import Loading

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
    task: TaskOption = None,
    column: ColumnOption = None,
    max_samples: MaxSamplesOption = 5000,
    batch_size: BatchSizeOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Remove units that others explain exactly, and write the smaller network's weights.

    Learns from --data which units are constant, copies, or linear combinations of others, and lets those others make up
    for them: what `cofire shrink` does without --keep and --max-loss. Load the file with
    cofire.nets.surgery.load_merged. If no unit can be removed, writes nothing and exits with status 3.
    """
    from ..nets.surgery import merged_bytes
    from ..stats._base.whole_files import replaced

    check_writable(output, "smaller.safetensors", inputs=(target, weights, data, check))
    if output.suffix != ".safetensors":
        raise ValueError(f"--out must end in .safetensors, the only format that merge writes; got {output}")
    if data is None:
        raise ValueError("merge needs --data to learn which units others explain")
    loading = Loading(
        weights=weights, key=key, allow_unexpected=allow_unexpected, task=task, data=data, column=column,
        max_samples=max_samples, batch_size=batch_size, device=device, dtype=dtype,
    )  # fmt: skip
    with printing(None, quiet=quiet):
        found = loading.target(target)
        inputs = loading.inputs(found)
        others = None if check is None else loading.inputs(found, check)
        with progress_bar("Merging units"):
            shrunk = _merged(found.model, inputs, others, leave or ())
        show(found, inputs, shrunk, None, None)
        if not shrunk.cuts:
            raise typer.Exit(NOTHING_TO_DO)
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
