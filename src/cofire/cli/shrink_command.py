"""``cofire shrink``."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    DataOption,
    HtmlOption,
    KeyOption,
    LeaveOption,
    MaxSamplesOption,
    TargetArgument,
    UnexpectedOption,
    WeightsOption,
)
from .output_files import as_json, check_writable, write_json
from .progress_bar import progress_bar
from .shrink_output import NOTHING_REMOVED, show
from .targets import Target, load_data, load_target

if TYPE_CHECKING:
    from ..nets.shrinking import Saved, Shrunk

STDOUT = Path("-")
EXAMPLES = 16
"""How many inputs run through what was written."""


def shrink(
    context: typer.Context,
    target: TargetArgument,
    output: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Write the smaller network to the new folder DIR.")
    ],
    data: DataOption = None,
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
    max_samples: MaxSamplesOption = 5000,
    html: HtmlOption = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers to FILE as JSON; - for stdout.")
    ] = None,
) -> None:
    """Cut what a network can spare, refit the rest without training, and write the smaller network.

    Removes the hidden units, channels and heads whose loss moves the outputs least, and refits the layers that read
    them, on --data. With neither --keep nor --max-loss, only units go that others explain exactly. Writes weights and a
    plan that fits a fresh model to them, with a folder for from_pretrained or programs of torch.export and ONNX; each
    is loaded again and compared. If no unit can be removed, writes nothing and exits with status 3.
    """
    _check_early(output, html, json_file, score)
    share, loss = _size(keep, max_loss)
    with _prints_to_stderr(json_file == STDOUT) as stdout:
        found = load_target(target, weights=weights, key=key, allow_unexpected=allow_unexpected)
        if found.model is None:
            raise ValueError(f"shrink runs the model, but {target} holds only weights; give module:factory")
        if data is None:
            raise ValueError("shrink needs --data to learn what the network needs")
        batches = load_data(data, max_samples=max_samples)
        others = None if check is None else load_data(check, max_samples=max_samples)
        options: dict[str, Any] = {"keep": share, "max_loss": loss, "check": others, "leave": leave or ()}
        options |= {"per": per, "uniform": uniform, "round_to": round_to, "seed": seed}
        shrunk = _shrunk(found.model, batches, score, options)
        show(found, shrunk, share, loss)
        content = {"target": target, "command": _command(context), **shrunk.to_dict()}
        if shrunk.cuts:
            saved = _saved(found, shrunk, batches, output)
            content |= _as_plain(shrunk, saved)
            if html is not None:
                _write_page(found, shrunk, saved, _command(context), html)
        if json_file == STDOUT:
            print(as_json(content), file=stdout)
        elif json_file is not None and shrunk.cuts:
            write_json(content, json_file)
    if not shrunk.cuts:
        raise typer.Exit(NOTHING_REMOVED)


def _check_early(output: Path, html: Path | None, json_file: Path | None, score: str | None) -> None:
    """Raise a ValueError for what can't work, before anything takes time."""
    from ..nets.shrinking.export import check_folder

    if score not in (None, "accuracy"):
        raise ValueError(f"--score knows only accuracy, got {score!r}")
    check_folder(output)
    for path, example in ((html, "shrunk.html"), (json_file, "shrunk.json")):
        if path is not None and path != STDOUT and path.parent.resolve() != output.resolve():
            check_writable(path, example)
    if html is not None:
        from ..reports.page import shrink_page  # noqa: F401 - it needs jinja2


def _size(keep: str | None, max_loss: str | None) -> tuple[float | None, float | None]:
    if keep is not None and max_loss is not None:
        raise ValueError("--keep and --max-loss exclude each other: one sets the size, the other limits the loss")
    return _number("--keep", keep, "a share such as 0.7"), _number("--max-loss", max_loss, "a number such as 0.01")


def _number(option: str, text: str | None, wanted: str) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise ValueError(f"{option} takes {wanted}, got {text!r}") from error


@contextmanager
def _prints_to_stderr(asked: bool) -> Iterator[Any]:
    """Yield stdout; if asked, let all that a block prints go to stderr, also what the user's model prints."""
    stdout = sys.stdout
    if not asked:
        yield stdout
        return
    with redirect_stdout(sys.stderr):
        yield stdout


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
    if not isfinite(shrunk.measured):
        raise ValueError("the network's outputs on these inputs are NaN or infinite; leave such inputs out")
    return shrunk


def _saved(found: Target, shrunk: "Shrunk", batches: Any, output: Path) -> "Saved":
    """Write all forms, and say what was written and how it loads."""
    from ..nets.loading.batches import FirstSamples
    from ..nets.shrinking import save

    example = next(iter(FirstSamples(batches, n_samples=EXAMPLES)))
    with progress_bar("Writing and loading again"):
        saved = save(shrunk, output, example, original=found.model, factory=found.name)
    typer.echo(f"\nWrote {output}:")
    for form in saved.forms:
        typer.echo(f"\n{', '.join(form.files)}: {form.content}")
        for line in form.python:
            typer.echo(f"    {line}")
    for note in saved.notes:
        typer.echo(f"\nNote: {note}.")
    return saved


def _as_plain(shrunk: "Shrunk", saved: "Saved") -> dict[str, Any]:
    forms = [{"files": list(one.files), "content": one.content, "python": list(one.python)} for one in saved.forms]
    return {"folder": str(saved.folder), "forms": forms, "notes": [*shrunk.notes, *saved.notes]}


def _write_page(found: Target, shrunk: "Shrunk", saved: "Saved", command: str, path: Path) -> None:
    from .._version import __version__
    from ..reports.page.shrink_page import Shrinking, write_shrinking

    assert found.model is not None
    weights = {"weights": str(found.checkpoint.path)} if found.checkpoint else {}
    notes = {f"note {place}" if place > 1 else "note": note for place, note in enumerate(found.notes, 1)}
    made = {"target": found.name, **weights, **notes, "cofire": __version__}
    page = Shrinking(found.name, found.model, shrunk, saved, command, made)
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
