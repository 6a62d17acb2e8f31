"""``cofire inspect``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .page_output import refuse_unwritable
from .progress_bar import progress_bar
from .targets import DataOption, Target, TargetArgument, WeightsOption, load_data, load_target

if TYPE_CHECKING:
    from ..nets.redundancy import RedundancyReport

EPILOG = """Examples:

cofire inspect model.safetensors

cofire inspect nets.small:build --weights last.pt --data digits --html page.html

cofire inspect nets.small:build --weights last.pt --data inputs/ --fail-above nc_low=0.4 --fail-above copies=0"""


def inspect(
    target: TargetArgument,
    weights: WeightsOption = None,
    data: DataOption = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page of it.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every number as JSON.")
    ] = None,
    fail_above: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LIMIT",
            help="Leave with status 1 if any layer is above: nc, nc_debiased, nc_low, nc_high, wc, copies, constant or "
            "superfluous (the last three are shares of the units). May be given again.",
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Only these layers' units: 'encoder.*', 're:.*fc', '!head'. With --data."),
    ] = None,
    max_samples: Annotated[int, typer.Option(min=2, help="Inputs to run at most.")] = 5000,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps.")] = "cpu",
) -> None:
    """Tell how redundant a network's layers are, from its weights alone or also from what its units do on data.

    Which units are constant, copies of others, or explained by others; how strongly the units of a layer co-vary, next
    to the noise floor; how many units would do. Files of weights are read safely: nothing in them runs.
    """
    from .gates import EXCEEDED, Gate, failures

    gates = [Gate.parse(text) for text in fail_above or []]
    for output, example in ((html, "report.html"), (json_file, "report.json")):
        if output is not None:
            refuse_unwritable(output, example)
    found = load_target(target, weights=weights)
    report = _report(found, data, layers, max_samples, device)
    _show(found, report, {"data": data or "none", "at most": f"{max_samples:,} inputs"} if data else {}, html)
    if json_file is not None:
        _write_json(found, report, json_file)
    broken = failures(gates, report)
    for sentence in broken:
        typer.echo(f"cofire: {sentence}", err=True)
    if broken:
        raise typer.Exit(EXCEEDED)


def _report(
    target: Target, data: str | None, layers: list[str] | None, max_samples: int, device: str
) -> "RedundancyReport":
    from ..nets.redundancy import redundancy_report, weight_redundancy_report

    place = _device(device)
    if data is None and layers:
        raise ValueError("--layers chooses whose units are run, and goes with --data")
    if data is not None and target.model is None:
        raise ValueError(f"--data needs a model to run, and {target.name} is weights alone; give module:factory")
    if data is None or target.model is None:
        with progress_bar("Inspecting weights") as show:
            return weight_redundancy_report(target.weights, device=place, progress=show)
    batches = load_data(data, max_samples=max_samples)
    with progress_bar("Inspecting layers") as show:
        return redundancy_report(target.model.to(place), batches, _asked(layers), progress=show)


def _asked(layers: list[str] | None) -> Any:
    """The layers whose units are run: all with units of their own, less those taken away, if nothing else is said."""
    from ..nets import with_units
    from ..nets.layers.patterns import default_less

    return default_less(layers or [], with_units)


def _device(name: str) -> Any:
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    there = ["cpu", *([f"{kind.type}:{index}" for index in range(torch.accelerator.device_count())] if kind else [])]
    if device is None or f"{device.type}:{device.index or 0}" not in ("cpu:0", *there):
        raise ValueError(f"--device {name} is none that this machine has; it has: {', '.join(there)}")
    return device


def _show(target: Target, report: "RedundancyReport", made: dict[str, str], html: Path | None) -> None:
    from rich.console import Console

    from .._version import __version__
    from ..reports.page.inspection_page import Inspection, write_inspection
    from ..reports.terminal.inspection_table import inspection_summary

    notes = {f"note {index}" if index > 1 else "note": note for index, note in enumerate(target.notes, 1)}
    weights = {"weights": str(target.checkpoint.path)} if target.checkpoint and target.model else {}
    inspection = Inspection(
        target.name, report, {"target": target.name, **weights, **made, **notes, "cofire": __version__}
    )
    for note in target.notes:
        typer.echo(f"Note: {note}.")
    console = Console()
    console.print(inspection_summary(inspection, width=console.width))
    if html is not None:
        typer.echo(f"Wrote {write_inspection(inspection, html)}; open it in a browser.")


def _write_json(target: Target, report: "RedundancyReport", path: Path) -> None:
    from .._version import __version__
    from ..nets.redundancy.to_json import as_plain
    from ..record.runs.whole_files import replaced

    content = {"cofire": __version__, "target": target.name, "notes": list(target.notes), **as_plain(report)}
    with replaced(path) as file:
        file.write(json.dumps(content, allow_nan=False, indent=1, ensure_ascii=True).encode())
    typer.echo(f"Wrote {path}.")
