"""``cofire compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DataOption, HtmlOption, JsonOption, MaxSamplesOption
from .output_files import check_writable, write_json
from .progress_bar import progress_bar
from .targets import load_data, load_target

if TYPE_CHECKING:
    from torch import nn

    from ..nets.redundancy import RedundancyReport
    from ..reports.data.comparison import Side


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Weights, module:factory, or a run directory.")],
    b: Annotated[str, typer.Argument(metavar="B", help="What to compare A with; of the same kind.")],
    model: Annotated[str | None, typer.Option(metavar="module:factory", help="Load weights into this model.")] = None,
    data: DataOption = None,
    html: HtmlOption = None,
    json_file: JsonOption = None,
    max_samples: MaxSamplesOption = 5000,
) -> None:
    """Compare two checkpoints or two runs layer by layer, with the uncertainty of each difference.

    Layers are matched by name; layers that only one side has are listed. Runs are compared at their last recording.
    """
    from rich.console import Console

    from ..reports.data.comparison import Comparison
    from ..reports.findings.comparison_findings import as_plain
    from ..reports.page.comparison_page import write_comparison
    from ..reports.terminal.comparison_table import comparison_summary

    for output in filter(None, (html, json_file)):
        check_writable(output)
    found = Comparison(*(_side(target, model, data, max_samples) for target in (a, b)))
    console = Console()
    console.print(comparison_summary(found, width=console.width))
    if html is not None:
        typer.echo(f"Wrote {write_comparison(found, html)}; open it in a browser.")
    if json_file is not None:
        write_json(as_plain(found), json_file)


def _side(target: str, model: str | None, data: str | None, max_samples: int) -> "Side":
    from ..record import Run
    from ..reports import read
    from ..reports.data.comparison import Side

    if not Path(target).is_dir():
        # load_merged takes the narrower layers that `cofire merge` leaves; a plain load would refuse their shapes
        net = load_target(target).model if model is None else _with_weights(model, target)
        settings = {"model": model} if model else {}
        settings |= {"data": data, "at most": f"{max_samples:,} inputs"} if data else {}
        return Side.of_report(target, _report(target, net, data, max_samples), settings)
    if model or data:
        raise ValueError(f"{target} is a run, compared by its recorded numbers; --model and --data go with weights")
    with Run.open(target) as run:
        return Side.of_run(target, read(run, history=False))


def _with_weights(factory: str, weights: str) -> "nn.Module":
    from ..nets.loading.checkpoint_files import SUFFIXES
    from ..nets.loading.factories import build_model
    from ..nets.surgery import load_merged

    if Path(weights).suffix not in SUFFIXES:
        raise ValueError(f"--model takes weights ({', '.join(SUFFIXES)}), got {weights!r}")
    return load_merged(build_model(factory).eval(), weights)


def _report(target: str, net: "nn.Module | None", data: str | None, max_samples: int) -> "RedundancyReport":
    from ..nets.redundancy import LEAST_INPUTS, redundancy_report, weight_redundancy_report

    if data is not None and net is None:
        raise ValueError(f"--data needs a model to run, but {target} holds only weights; add --model module:factory")
    with progress_bar(f"Inspecting {target}") as show:
        if data is None or net is None:
            return weight_redundancy_report(load_target(target).weights if net is None else net, progress=show)
        report = redundancy_report(net, load_data(data, max_samples=max_samples), progress=show)
    few = next((layer for layer in report.layers if not layer.enough_inputs), None)
    if few is not None:
        raise ValueError(f"{few.n_inputs} inputs are too few to compare by; run at least {LEAST_INPUTS}")
    return report
