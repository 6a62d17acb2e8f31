"""``cofire compare``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .exit_statuses import NOTHING_TO_DO
from .options import (
    BatchSizeOption,
    ColumnOption,
    DataOption,
    DeviceOption,
    DtypeOption,
    HtmlOption,
    JsonOption,
    KeyOption,
    MaxSamplesOption,
    QuietOption,
    TaskOption,
    UnexpectedOption,
)
from .output_files import check_json, check_writable, printing
from .progress_bar import progress_bar
from .targets import Loading, Target, described, device_named, notes_on, shown_name, weights_report

if TYPE_CHECKING:
    from ..nets.loading.inputs.find_inputs import Inputs
    from ..nets.redundancy import RedundancyReport
    from ..reports.data.comparison import Side


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="Weights, a folder or hub id of Hugging Face, timm:NAME, torchvision:NAME, module:factory, or a run "
            "directory.",
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What to compare A with; of the same kind.")],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Load weights into this model: module:factory, timm:NAME, torchvision:NAME."
        ),
    ] = None,
    key: KeyOption = None,
    allow_unexpected: UnexpectedOption = False,
    task: TaskOption = None,
    data: DataOption = None,
    column: ColumnOption = None,
    html: HtmlOption = None,
    json_file: JsonOption = None,
    max_samples: MaxSamplesOption = 5000,
    batch_size: BatchSizeOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare two checkpoints or two runs layer by layer, with the uncertainty of each difference.

    Layers are matched by name; layers that only one side has are listed. Runs are compared at their last recording. If
    no layer can be compared, exits with status 3.
    """
    from rich.console import Console

    from ..reports.data.comparison import Comparison
    from ..reports.findings.comparison_findings import as_plain
    from ..reports.page.comparison_page import write_comparison
    from ..reports.terminal.comparison_table import comparison_summary

    if html is not None:
        check_writable(html, inputs=(a, b, model, data, json_file))
    check_json(json_file, inputs=(a, b, model, data))
    loading = Loading(
        key=key, allow_unexpected=allow_unexpected, resize=True, task=task, data=data, column=column,
        max_samples=max_samples, batch_size=batch_size, device=device, dtype=dtype,
    )  # fmt: skip
    with printing(json_file, quiet=quiet) as write:
        found = Comparison(*(_side(target, model, loading) for target in (a, b)))
        console = Console()
        console.print(comparison_summary(found, width=console.width))
        for assumed in dict.fromkeys(side.made["assumed"] for side in (found.a, found.b) if "assumed" in side.made):
            typer.echo(f"Assumed: {assumed}.")
        if html is not None:
            typer.echo(f"Wrote {write_comparison(found, html)}; open it in a browser.")
        write(as_plain(found), "compare")
    if not found.pairs:
        raise typer.Exit(NOTHING_TO_DO)


def _side(target: str, model: str | None, loading: Loading) -> "Side":
    from ..nets.loading.pretrained_folders import has_weights
    from ..record import Run
    from ..reports import read
    from ..reports.comparing import measured_side
    from ..reports.data.comparison import Side

    if Path(target).is_dir() and not has_weights(Path(target)):
        if model or loading != Loading(
            resize=True, max_samples=loading.max_samples, batch_size=loading.batch_size, device=loading.device
        ):
            raise ValueError(
                f"{target} is a run, compared by its recorded numbers; --model, --key and --data go with weights"
            )
        with Run.open(target) as run:
            return Side.of_run(target, read(run, history=False))
    found = loading.target(target) if model is None else _with_weights(model, target, loading)
    inputs = loading.inputs(found) if loading.data is not None else None
    for note in notes_on(found, inputs):
        typer.echo(f"Note on {target}: {note}.")
    made = {name: text for name, text in described(found, loading, inputs).items() if name not in ("target", "weights")}
    settings = {**({"model": model} if model else {}), **made}
    return measured_side(shown_name(found, inputs), _report(found, inputs, loading), settings)


def _with_weights(model: str, weights: str, loading: Loading) -> Target:
    from ..nets.loading.checkpoint_files import SUFFIXES, is_file_of_weights

    if not (is_file_of_weights(weights) or Path(weights).is_dir()):
        raise ValueError(f"--model takes weights ({', '.join(SUFFIXES)}), got {weights!r}")
    return replace(replace(loading, weights=Path(weights)).target(model), name=weights)


def _report(found: Target, inputs: "Inputs | None", loading: Loading) -> "RedundancyReport":
    from ..nets.redundancy import redundancy_report

    with progress_bar(f"Inspecting {found.name}") as show:
        if inputs is None or found.model is None:
            return weights_report(found, device=device_named(loading.device), progress=show)
        return redundancy_report(found.model, inputs, progress=show)
