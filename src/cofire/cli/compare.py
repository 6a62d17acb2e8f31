"""``cofire compare``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .page_output import refuse_unwritable
from .progress_bar import progress_bar
from .targets import DataOption, load_data, load_target

if TYPE_CHECKING:
    from torch import nn

    from ..nets.redundancy import RedundancyReport
    from ..reports.data.comparison import Comparison, Side

EPILOG = """Examples:

cofire compare before.safetensors after.safetensors

cofire compare last.pt smaller.safetensors --model nets.small:build --data digits --html page.html

cofire compare runs/plain runs/dropout"""


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Weights, module:factory, or a run directory.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The one to compare with it.")],
    model: Annotated[
        str | None,
        typer.Option(metavar="FACTORY", help="module:factory to put the weights into, for --data."),
    ] = None,
    data: DataOption = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page of it.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every number as JSON.")
    ] = None,
    max_samples: Annotated[int, typer.Option(min=2, help="Inputs to run at most.")] = 5000,
) -> None:
    """Put two checkpoints, or two runs, side by side: layer by layer, with the differences and how sure they are.

    Layers are matched by their names; of other architectures the rest is listed. Runs are compared as last recorded.
    """
    from rich.console import Console

    from ..reports.data.comparison import Comparison
    from ..reports.terminal.comparison_table import comparison_summary

    for output in (html, json_file):
        if output is not None:
            refuse_unwritable(output)
    found = Comparison(*(_side(target, model, data, max_samples) for target in (a, b)))
    console = Console()
    console.print(comparison_summary(found, width=console.width))
    _write(found, html, json_file)


def _side(target: str, model: str | None, data: str | None, max_samples: int) -> "Side":
    from ..reports.data.comparison import Side

    if Path(target).is_dir():
        return _of_run(target, model or data)
    net = _model(target, model)
    made = {"model": model} if model else {}
    made |= {"data": data, "at most": f"{max_samples:,} inputs"} if data else {}
    return Side.of_report(target, _report(target, net, data, max_samples), made)


def _of_run(target: str, other: str | None) -> "Side":
    from ..record import Run
    from ..reports import read
    from ..reports.data.comparison import Side

    if other is not None:
        raise ValueError(f"{target} is a run and is compared by what it recorded; --model and --data go with weights")
    with Run.open(target) as run:
        return Side.of_run(target, read(run, history=False))


def _model(target: str, factory: str | None) -> "nn.Module | None":
    """The model to run; None for weights that there is none for."""
    from ..nets.loading.checkpoint_files import SUFFIXES
    from ..nets.loading.factories import build_model
    from ..nets.surgery import load_merged

    if factory is None:
        return load_target(target).model
    if Path(target).suffix not in SUFFIXES:
        raise ValueError(f"--model takes weights ({', '.join(SUFFIXES)}), and {target!r} is none")
    return load_merged(build_model(factory).eval(), target)


def _report(target: str, net: "nn.Module | None", data: str | None, max_samples: int) -> "RedundancyReport":
    from ..nets.redundancy import LEAST_INPUTS, redundancy_report, weight_redundancy_report

    if data is None:
        with progress_bar(f"Inspecting {target}") as show:
            return weight_redundancy_report(load_target(target).weights if net is None else net, progress=show)
    if net is None:
        raise ValueError(f"--data needs a model to run, and {target} is weights alone; give --model module:factory")
    with progress_bar(f"Inspecting {target}") as show:
        report = redundancy_report(net, load_data(data, max_samples=max_samples), progress=show)
    few = next((layer for layer in report.layers if not layer.enough_inputs), None)
    if few is not None:
        raise ValueError(f"too few inputs were run to compare by: {few.n_inputs}; run at least {LEAST_INPUTS}")
    return report


def _write(found: "Comparison", html: Path | None, json_file: Path | None) -> None:
    from .._version import __version__
    from ..record.runs.whole_files import replaced
    from ..reports.data.comparison import as_plain, write_comparison

    if html is not None:
        typer.echo(f"Wrote {write_comparison(found, html)}; open it in a browser.")
    if json_file is not None:
        with replaced(json_file) as file:
            content = {"cofire": __version__, **as_plain(found)}
            file.write(json.dumps(content, allow_nan=False, indent=1, ensure_ascii=True).encode())
        typer.echo(f"Wrote {json_file}.")
