"""A run's layers and findings for the terminal."""

from collections.abc import Iterable, Iterator
from shlex import quote, split

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...stats._base.quantities import QUANTITIES, SUMMARY
from ..data.formatting import count, number, shorten_all
from ..data.run_view import View
from ..findings import run_findings
from ..findings.finding import Finding

WIDTH, GAP = 80, 2
LESS_IMPORTANT = tuple(QUANTITIES[name].label for name in ("nc_noise_floor", "n_constant", "wc", "nc", "n_units"))
"""The columns that a narrow terminal leaves out, in this order."""

_MARKS = {"act": ("●", "bold red"), "watch": ("○", "yellow"), "note": ("·", "dim")}


def summary(view: View, *, width: int = WIDTH) -> RenderableType:
    """Return a table of a run's layers with the findings below it.

    It fits into 80 columns; a narrower terminal gets fewer columns. Names are shown literally, never as markup.

    Args:
        view: the run.
        width: of the terminal, in characters.
    """
    return Group(
        Text(run_findings.headline(view), style="bold"),
        Text(),
        *([layer_table(view, width=width), Text()] if view.measured else []),
        *finding_lines(run_findings.findings(view)),
    )


def layer_table(view: View, *, width: int = WIDTH) -> Table:
    """Return the last recording of each layer; columns that do not fit are left out rather than cut."""
    layers = view.measured
    columns = {"Layer": shorten_all([printable(layer.name) for layer in layers], 16)}
    for quantity in map(QUANTITIES.__getitem__, SUMMARY):
        values = [layer.last(quantity.name) for layer in layers]
        columns[quantity.label] = [
            number(value, quantity.digits) if quantity.digits else count(value) for value in values
        ]
        if quantity.interval:
            ends = [[number(layer.last(end), 2) for end in quantity.interval] for layer in layers]
            columns["95 % interval"] = [" – ".join(pair) for pair in ends]
    return fitted(columns, LESS_IMPORTANT, width=width)


def fitted(columns: dict[str, list[str]], less_important: Iterable[str], *, width: int) -> Table:
    """Return a table of columns by title, without as many of the less important ones as do not fit."""
    for title in less_important:
        if sum(_width(title, cells) + GAP for title, cells in columns.items()) - GAP > width:
            columns = {other: cells for other, cells in columns.items() if other != title}
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, GAP, 0, 0))
    for title in columns:
        table.add_column(title, justify="left" if title == "Layer" else "right", no_wrap=True)
    for name, *cells in zip(*columns.values(), strict=True):
        table.add_row(Text(name, style="bold"), *cells)
    return table


def _width(title: str, cells: Iterable[str]) -> int:
    return max(len(line) for cell in (title, *cells) for line in cell.split("\n"))


def finding_lines(findings: Iterable[Finding]) -> Iterator[RenderableType]:
    """Yield each finding, with its numbers below it."""
    for finding in findings:
        mark, style = _MARKS[finding.level]
        yield Text.assemble((f"{mark} ", style), (printable(finding.headline), "bold"))
        lines = [f"{name}  {text}" for name, text in finding.points]
        lines += [text for text in (finding.remark, finding.advice) if text]
        yield Padding(Text(printable("\n".join(lines))), (0, 0, 0, 2))
        if finding.command:
            # Padding fills lines with spaces, and a backslash before a space continues no line.
            yield Text(printable("\n".join(f"  {line}" for line in command_lines(finding.command))))


def command_lines(command: str, width: int = 76) -> list[str]:
    r"""Break a command line between its options, so that a shell takes what is copied as one command.

    Example:
        >>> print("\n".join(command_lines("cofire shrink nets:build --data 'my images' --keep 0.5", 40)))
        cofire shrink nets:build \
            --data 'my images' --keep 0.5
    """
    words: list[str] = []
    for word in map(quote, split(command)):
        # An option and its value stay together if they fit.
        option = words[-1] if words and words[-1].startswith("-") and " " not in words[-1] else ""
        if option and not word.startswith("-") and len(f"    {option} {word} \\") <= width:
            words[-1] += f" {word}"
        else:
            words.append(word)
    lines = [""]
    for word in words:
        if lines[-1].strip() and len(f"{lines[-1]} {word} \\") > width:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    return [lines[0].lstrip(), *lines[1:]]


def printable(text: str) -> str:
    """Replace control characters, which could move a terminal's cursor."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
