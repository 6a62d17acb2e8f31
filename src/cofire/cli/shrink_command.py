"""``cofire shrink``."""

import shlex
from math import isfinite
from operator import length_hint
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
    HtmlOption,
    JsonOption,
    KeyOption,
    LeaveOption,
    MaxSamplesOption,
    QuietOption,
    TargetArgument,
    TaskOption,
    UnexpectedOption,
    WeightsOption,
)
from .output_files import check_json, check_writable, is_stdout, printing
from .progress_bar import progress_bar
from .shrink_output import show
from .targets import Loading, Target, data_as_plain, described, notes_on, shown_name

if TYPE_CHECKING:
    from ..nets.loading.inputs.find_inputs import Inputs
    from ..nets.shrinking import Saved, Shrunk

EXAMPLES = 16
"""How many inputs run through what was written."""


def shrink(
    context: typer.Context,
    target: TargetArgument,
    output: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Write the smaller network to the new folder DIR.")
    ],
    data: DataOption = None,
    column: ColumnOption = None,
    keep: Annotated[str | None, typer.Option(metavar="SHARE", help="Keep this share of the parameters: 0.7.")] = None,
    max_loss: Annotated[
        str | None,
        typer.Option(
            metavar="LOSS",
            help="Cut as far as the outputs move by at most this share of their deviation: 0.05. With --score, as far "
            "as the score falls by at most this much.",
        ),
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="NAME", help="Measure this score: accuracy, for data with class labels.")
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Measure on these inputs; by default, on a third of --data, held out."),
    ] = None,
    per: Annotated[
        str, typer.Option(help="What --keep is a share of: parameters, or flops (multiplications with parameters).")
    ] = "parameters",
    uniform: Annotated[
        bool, typer.Option("--uniform", help="Give all layers of one kind the same size, as configurations need.")
    ] = False,
    round_to: Annotated[int, typer.Option(help="Make sizes multiples of this number.")] = 1,
    leave: LeaveOption = None,
    seed: Annotated[int, typer.Option(help="Random seed for measuring what the outputs are sensitive to.")] = 0,
    weights: WeightsOption = None,
    key: KeyOption = None,
    allow_unexpected: UnexpectedOption = False,
    task: TaskOption = None,
    max_samples: MaxSamplesOption = 5000,
    batch_size: BatchSizeOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    html: HtmlOption = None,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Cut what a network can spare, refit the rest without training, and write the smaller network.

    Removes the hidden units, channels and heads whose loss moves the outputs least, and refits the layers that read
    them, on --data. With neither --keep nor --max-loss, only units go that others explain exactly. Writes weights and a
    plan that fits a fresh model to them, with a folder for from_pretrained or programs of torch.export and ONNX; each
    is loaded again and compared. If no unit can be removed, writes nothing and exits with status 3.
    """
    _check_early(output, html, json_file, score, (target, weights, data, check))
    size = _size(keep, max_loss)
    options: dict[str, Any] = {"leave": leave or (), "per": per, "uniform": uniform, "round_to": round_to, "seed": seed}
    if data is None:
        raise ValueError("shrink needs --data to learn what the network needs")
    loading = Loading(
        weights=weights, key=key, allow_unexpected=allow_unexpected, task=task, data=data, column=column,
        max_samples=max_samples, batch_size=batch_size, device=device, dtype=dtype,
    )  # fmt: skip
    with printing(json_file, quiet=quiet) as write:
        found = loading.target(target)
        inputs = loading.inputs(found)
        others = None if check is None else loading.inputs(found, check)
        batches = _read(inputs)
        shrunk = _shrunk(found.model, batches, score, {**options, **size, "check": others})
        show(found, inputs, shrunk, **size)
        about = {"target": target, "command": _command(context), "data": data_as_plain(loading, inputs)}
        content = {**about, **_as_plain(found, inputs, shrunk)}
        if shrunk.cuts:
            saved = _saved(found, shrunk, batches, output)
            content |= _forms(content["notes"], saved)
            if html is not None:
                _write_page(found, shrunk, saved, _command(context), described(found, loading, inputs), inputs, html)
        if shrunk.cuts or is_stdout(json_file):
            write(content, "shrink")
    if not shrunk.cuts:
        raise typer.Exit(NOTHING_TO_DO)


def _check_early(
    output: Path, html: Path | None, json_file: Path | None, score: str | None, inputs: tuple[str | Path | None, ...]
) -> None:
    """Raise a ValueError for what can't work, before anything takes time."""
    from ..nets.shrinking.export import check_folder

    if score not in (None, "accuracy"):
        raise ValueError(f"--score knows only accuracy, got {score!r}")
    check_folder(output)
    inside = output.resolve()  # it will be made
    if html is not None and html.parent.resolve() != inside:
        check_writable(html, "shrunk.html", inputs=(*inputs, json_file))
    if json_file is not None and json_file.parent.resolve() != inside:
        check_json(json_file, inputs=inputs)
    if html is not None:
        from ..reports.page import shrink_page  # noqa: F401 - it needs jinja2


def _size(keep: str | None, max_loss: str | None) -> dict[str, float | None]:
    if keep is not None and max_loss is not None:
        raise ValueError("--keep and --max-loss exclude each other: one sets the size, the other limits the loss")
    return {
        "keep": _number("--keep", keep, "a share such as 0.7"),
        "max_loss": _number("--max-loss", max_loss, "a number such as 0.01"),
    }


def _number(option: str, text: str | None, wanted: str) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise ValueError(f"{option} takes {wanted}, got {text!r}") from error


def _read(inputs: "Inputs") -> list[Any]:
    """Return all batches, which shrinking holds in memory anyway."""
    with progress_bar("Reading inputs") as show:
        batches = []
        for batch in inputs:
            batches.append(batch)
            show(len(batches), max(len(batches), length_hint(inputs)))
    return batches


def _shrunk(model: Any, batches: Any, score: str | None, options: dict[str, Any]) -> "Shrunk":
    from ..nets.loading.batches import FirstSamples
    from ..nets.shrinking import accuracy
    from ..nets.shrinking import shrink as cut

    if score is not None:  # data without labels fail now, not when all is done
        for given in (batches, options["check"]):
            if given is not None:
                accuracy(model, FirstSamples(given, n_samples=2))
        options = {**options, "score": accuracy}
    with progress_bar("Shrinking the network"):
        shrunk = cut(model, batches, **options)
    shrunk.model.cpu()  # what is written is compared with it there
    if not isfinite(shrunk.measured):
        raise ValueError("the network's outputs on these inputs are NaN or infinite; leave such inputs out")
    return shrunk


def _saved(found: Target, shrunk: "Shrunk", batches: Any, output: Path) -> "Saved":
    """Write all forms, and say what was written and how it loads."""
    from ..nets.loading.batches import FirstSamples
    from ..nets.shrinking import save

    assert found.model is not None
    example = next(iter(FirstSamples(batches, n_samples=EXAMPLES)))
    with progress_bar("Writing and loading again"):
        saved = save(shrunk, output, example, original=found.model.cpu(), factory=found.factory)
    typer.echo(f"\nWrote {output}:")
    for form in saved.forms:
        typer.echo(f"\n{', '.join(form.files)}: {form.content}")
        for line in form.python:
            typer.echo(f"    {line}")
    for note in saved.notes:
        typer.echo(f"\nNote: {note}.")
    return saved


def _as_plain(found: Target, inputs: "Inputs", shrunk: "Shrunk") -> dict[str, Any]:
    plain = shrunk.to_dict()
    return {**plain, "notes": [*notes_on(found, inputs), *plain["notes"]]}


def _forms(notes: list[str], saved: "Saved") -> dict[str, Any]:
    forms = [{"files": list(one.files), "content": one.content, "python": list(one.python)} for one in saved.forms]
    return {"folder": str(saved.folder), "forms": forms, "notes": [*notes, *saved.notes]}


def _write_page(
    found: Target, shrunk: "Shrunk", saved: "Saved", command: str, made: dict[str, str], inputs: "Inputs", path: Path
) -> None:
    from .._version import __version__
    from ..reports.page.shrink_page import Shrinking, write_shrinking

    assert found.model is not None
    made = {**made, "cofire": __version__}
    page = Shrinking(shown_name(found, inputs), found.model, shrunk, saved, command, made)
    typer.echo(f"\nWrote {write_shrinking(page, path)}; open it in a browser.")


def _command(context: typer.Context) -> str:
    """Return the command as a shell takes it, without options at their defaults."""
    words = ["cofire", context.info_name or "shrink"]
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if option.param_type_name == "argument":
            words.append(str(value))
        elif value not in (None, False, [], ()) and value != option.default:
            name = max(option.opts, key=len)
            values = value if isinstance(value, list | tuple) else [value]
            words += [name] if value is True else [word for one in values for word in (name, str(one))]
    return shlex.join(words)
