"""``cofire inspect``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .advice import advice, shrink_command
from .exit_statuses import EXCEEDED
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
    TargetArgument,
    TaskOption,
    UnexpectedOption,
    WeightsOption,
)
from .output_files import check_json, check_writable, printing
from .progress_bar import progress_bar
from .targets import Loading, Target, data_as_plain, described, device_named, notes_on, shown_name, weights_report

if TYPE_CHECKING:
    from ..nets.loading.inputs.find_inputs import Inputs
    from ..nets.redundancy import RedundancyReport
    from ..reports.findings.shrink_findings import Advice


def inspect(
    target: TargetArgument,
    weights: WeightsOption = None,
    key: KeyOption = None,
    allow_unexpected: UnexpectedOption = False,
    task: TaskOption = None,
    data: DataOption = None,
    column: ColumnOption = None,
    html: HtmlOption = None,
    json_file: JsonOption = None,
    fail_above: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LIMIT",
            help="Exit with status 1 if any layer exceeds the limit: nc, nc_debiased, nc_low, nc_high, wc, or a share "
            "of the units: copies, constant, superfluous. Repeatable.",
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Run only these layers: 'encoder.*', 're:.*fc', '!head'. Needs --data. Repeatable."
        ),
    ] = None,
    max_samples: MaxSamplesOption = 5000,
    batch_size: BatchSizeOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    advise: Annotated[
        bool,
        typer.Option(
            "--advise/--no-advise",
            help="With --data, say what cofire shrink can cut and predict what that costs. Takes a part of the time of "
            "shrinking.",
        ),
    ] = True,
    quiet: QuietOption = False,
) -> None:
    """Report how redundant a network's layers are, from its weights or from its activations on data.

    Counts units that are constant, copy others or follow from others, measures how strongly the units of a layer
    co-vary next to the noise floor, and estimates how many units would do. Reads weights safely: code in a checkpoint
    never runs.
    """
    from .gates import Gate, failures

    gates = [Gate.parse(text) for text in fail_above or []]
    if html is not None:
        check_writable(html, inputs=(target, weights, data, json_file))
    check_json(json_file, inputs=(target, weights, data))
    loading = Loading(
        weights=weights, key=key, allow_unexpected=allow_unexpected, task=task, data=data, column=column,
        max_samples=max_samples, batch_size=batch_size, device=device, dtype=dtype,
    )  # fmt: skip
    with printing(json_file, quiet=quiet) as write:
        found = loading.target(target)
        inputs = loading.inputs(found) if data is not None else None
        report = _report(found, inputs, layers, loading)
        told = advice(found, inputs, shrink_command(target, loading)) if inputs is not None and advise else None
        _show(found, report, told, loading, inputs, html)
        write(_as_plain(found, report, told, loading, inputs), "inspect")
    failed = failures(gates, report)  # last, so that a failing CI job still has its page and JSON
    for sentence in failed:
        typer.echo(f"cofire: {sentence}", err=True)
    if failed:
        raise typer.Exit(EXCEEDED)


def _report(target: Target, inputs: "Inputs | None", layers: list[str] | None, loading: Loading) -> "RedundancyReport":
    from ..nets.redundancy import redundancy_report

    if inputs is None or target.model is None:
        if layers:
            raise ValueError("--layers chooses which layers run on data; add --data")
        with progress_bar("Inspecting weights") as show:
            return weights_report(target, device=device_named(loading.device), progress=show)
    with progress_bar("Inspecting layers") as show:
        return redundancy_report(target.model, inputs, layers or "*", progress=show)


def _show(
    target: Target,
    report: "RedundancyReport",
    told: "Advice | None",
    loading: Loading,
    inputs: "Inputs | None",
    html: Path | None,
) -> None:
    from rich.console import Console

    from .._version import __version__
    from ..reports.page.inspection_page import Inspection, write_inspection
    from ..reports.terminal.inspection_table import inspection_summary

    made = {**described(target, loading, inputs), "cofire": __version__}
    inspection = Inspection(shown_name(target, inputs), report, made, told)
    for note in notes_on(target, inputs):
        typer.echo(f"Note: {note}.")
    console = Console()
    console.print(inspection_summary(inspection, width=console.width))
    if html is not None:
        typer.echo(f"Wrote {write_inspection(inspection, html)}; open it in a browser.")


def _as_plain(
    found: Target, report: "RedundancyReport", told: "Advice | None", loading: Loading, inputs: "Inputs | None"
) -> dict[str, Any]:
    from ..nets.redundancy.to_json import as_plain

    plain = as_plain(report)
    about = {"target": found.name, "data": data_as_plain(loading, inputs), "notes": list(notes_on(found, inputs))}
    cuts = None if told is None else {**told.forecast.to_dict(), "command": told.command}
    return {"version": plain.pop("version"), **about, **plain, "shrink": cuts}
