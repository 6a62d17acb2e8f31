"""``cofire inspect``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .advice import advice, shrink_command
from .options import (
    DataOption,
    HtmlOption,
    JsonOption,
    KeyOption,
    MaxSamplesOption,
    TargetArgument,
    UnexpectedOption,
    WeightsOption,
)
from .output_files import check_writable, write_json
from .progress_bar import progress_bar
from .targets import Target, load_data, load_target, weights_report

if TYPE_CHECKING:
    from ..nets.redundancy import RedundancyReport
    from ..reports.findings.shrink_findings import Advice


def inspect(
    target: TargetArgument,
    weights: WeightsOption = None,
    key: KeyOption = None,
    allow_unexpected: UnexpectedOption = False,
    data: DataOption = None,
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
    device: Annotated[str, typer.Option(help="Device to compute on: cpu, cuda, cuda:1, mps.")] = "cpu",
    advise: Annotated[
        bool,
        typer.Option(
            "--advise/--no-advise",
            help="With --data, say what cofire shrink can cut and predict what that costs. Takes a part of the time of "
            "shrinking.",
        ),
    ] = True,
) -> None:
    """Report how redundant a network's layers are, from its weights or from its activations on data.

    Counts units that are constant, copy others or follow from others, measures how strongly the units of a layer
    co-vary next to the noise floor, and estimates how many units would do. Reads weights safely: code in a checkpoint
    never runs.
    """
    from .gates import EXCEEDED, Gate, failures

    gates = [Gate.parse(text) for text in fail_above or []]
    for output, example in ((html, "report.html"), (json_file, "report.json")):
        if output is not None:
            check_writable(output, example)
    found = load_target(target, weights=weights, key=key, allow_unexpected=allow_unexpected)
    report = _report(found, data, layers, max_samples, device)
    told = None
    if data is not None and advise:
        command = shrink_command(target, data, weights=weights, key=key, allow_unexpected=allow_unexpected)
        told = advice(found, load_data(data, max_samples=max_samples), command)
    _show(found, report, told, {"data": data, "at most": f"{max_samples:,} inputs"} if data else {}, html)
    if json_file is not None:
        from ..nets.redundancy.to_json import as_plain

        cuts = None if told is None else {**told.forecast.to_dict(), "command": told.command}
        write_json({"target": found.name, "notes": list(found.notes), **as_plain(report), "shrink": cuts}, json_file)
    failed = failures(gates, report)  # last, so that a failing CI job still has its page and JSON
    for sentence in failed:
        typer.echo(f"cofire: {sentence}", err=True)
    if failed:
        raise typer.Exit(EXCEEDED)


def _report(
    target: Target, data: str | None, layers: list[str] | None, max_samples: int, device: str
) -> "RedundancyReport":
    from ..nets.redundancy import redundancy_report

    place = _device(device)
    if data is None:
        if layers:
            raise ValueError("--layers chooses which layers run on data; add --data")
        with progress_bar("Inspecting weights") as show:
            return weights_report(target, device=place, progress=show)
    if target.model is None:
        raise ValueError(f"--data needs a model to run, but {target.name} holds only weights; give module:factory")
    batches = load_data(data, max_samples=max_samples)
    with progress_bar("Inspecting layers") as show:
        return redundancy_report(target.model.to(place), batches, layers or "*", progress=show)


def _device(name: str) -> Any:
    import torch

    devices = ["cpu"]
    if torch.accelerator.is_available() and (kind := torch.accelerator.current_accelerator()):
        devices += [kind.type, *(f"{kind.type}:{index}" for index in range(torch.accelerator.device_count()))]
    if name not in devices:
        raise ValueError(f"device {name!r} is not available; choose from: {', '.join(devices)}")
    return torch.device(name)


def _show(
    target: Target, report: "RedundancyReport", told: "Advice | None", settings: dict[str, str], html: Path | None
) -> None:
    from rich.console import Console

    from .._version import __version__
    from ..reports.page.inspection_page import Inspection, write_inspection
    from ..reports.terminal.inspection_table import inspection_summary

    notes = {f"note {index}" if index > 1 else "note": note for index, note in enumerate(target.notes, 1)}
    weights = {"weights": str(target.checkpoint.path)} if target.checkpoint and target.model else {}
    inspection = Inspection(
        target.name, report, {"target": target.name, **weights, **settings, **notes, "cofire": __version__}, told
    )
    for note in target.notes:
        typer.echo(f"Note: {note}.")
    console = Console()
    console.print(inspection_summary(inspection, width=console.width))
    if html is not None:
        typer.echo(f"Wrote {write_inspection(inspection, html)}; open it in a browser.")
