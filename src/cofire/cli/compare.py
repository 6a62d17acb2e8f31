"""``cofire compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DataOption, HtmlOption, JsonOption, KeyOption, MaxSamplesOption, UnexpectedOption
from .output_files import check_writable, write_json
from .progress_bar import progress_bar
from .targets import Target, load_data, load_target, weights_report

if TYPE_CHECKING:
    from ..nets.redundancy import RedundancyReport
    from ..reports.data.comparison import Side


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Weights, module:factory, or a run directory.")],
    b: Annotated[str, typer.Argument(metavar="B", help="What to compare A with; of the same kind.")],
    model: Annotated[str | None, typer.Option(metavar="module:factory", help="Load weights into this model.")] = None,
    key: KeyOption = None,
    allow_unexpected: UnexpectedOption = False,
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
    found = Comparison(*(_side(target, model, key, allow_unexpected, data, max_samples) for target in (a, b)))
    console = Console()
    console.print(comparison_summary(found, width=console.width))
    for assumed in dict.fromkeys(side.made["assumed"] for side in (found.a, found.b) if "assumed" in side.made):
        typer.echo(f"Assumed: {assumed}.")
    if html is not None:
        typer.echo(f"Wrote {write_comparison(found, html)}; open it in a browser.")
    if json_file is not None:
        write_json(as_plain(found), json_file)


def _side(
    target: str, model: str | None, key: str | None, allow_unexpected: bool, data: str | None, max_samples: int
) -> "Side":
    from ..nets.loading.pretrained_folders import has_weights
    from ..record import Run
    from ..reports import read
    from ..reports.comparing import measured_side
    from ..reports.data.comparison import Side

    if Path(target).is_dir() and not has_weights(Path(target)):
        if model or key or data or allow_unexpected:
            raise ValueError(
                f"{target} is a run, compared by its recorded numbers; --model, --key and --data go with weights"
            )
        with Run.open(target) as run:
            return Side.of_run(target, read(run, history=False))
    if model is None:
        found = load_target(target, key=key, allow_unexpected=allow_unexpected)
    else:
        found = _with_weights(model, target, key, allow_unexpected)
    settings = {"model": model} if model else {}
    settings |= {"data": data, "at most": f"{max_samples:,} inputs"} if data else {}
    for note in found.notes:
        typer.echo(f"Note on {target}: {note}.")
    return measured_side(target, _report(found, data, max_samples), settings)


def _with_weights(factory: str, weights: str, key: str | None, allow_unexpected: bool) -> Target:
    from ..nets.loading.checkpoint_files import SUFFIXES, is_file_of_weights, read_checkpoint
    from ..nets.loading.factories import build_model
    from ..nets.surgery.merged_files import load_resized

    if not (is_file_of_weights(weights) or Path(weights).is_dir()):
        raise ValueError(f"--model takes weights ({', '.join(SUFFIXES)}), got {weights!r}")
    model = build_model(factory).eval()
    # load_resized takes the narrower layers that `cofire merge` leaves; a plain load would refuse their shapes
    checkpoint = load_resized(model, read_checkpoint(weights, key=key), allow_unexpected=allow_unexpected)
    return Target(weights, model, checkpoint)


def _report(found: Target, data: str | None, max_samples: int) -> "RedundancyReport":
    from ..nets.redundancy import redundancy_report

    if data is not None and found.model is None:
        raise ValueError(
            f"--data needs a model to run, but {found.name} holds only weights; add --model module:factory"
        )
    with progress_bar(f"Inspecting {found.name}") as show:
        if data is None or found.model is None:
            return weights_report(found, progress=show)
        return redundancy_report(found.model, load_data(data, max_samples=max_samples), progress=show)
