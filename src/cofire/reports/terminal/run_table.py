"""A run's layers and findings for the terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..data.formatting import count, number, told_apart
from ..data.run_view import Layer, View
from ..findings import run_findings

WIDTH, GAP = 80, 2
_MINOR = ("floor", "constant", "WC", "NC", "units")
"""Columns that a narrow terminal does without, the first one first."""

_MARKS = {"act": ("●", "bold red"), "watch": ("○", "yellow"), "note": ("·", "dim")}


def summary(view: View, *, width: int = WIDTH) -> RenderableType:
    """A table of the layers with the findings below it, readable at 80 columns; with fewer in fewer.

    Names from the run are shown as they are: nothing in them is read as markup.
    """
    return Group(
        Text(run_findings.headline(view), style="bold"),
        Text(),
        *([layer_table(view, width=width), Text()] if view.measured else []),
        *told(run_findings.findings(view)),
    )


def layer_table(view: View, *, width: int = WIDTH) -> Table:
    """One row a layer, as last recorded; columns that do not fit are left out rather than cut short."""
    columns = {"layer": told_apart([printable(layer.name) for layer in view.measured], 16), **_columns(view.measured)}
    return fitted(columns, _MINOR, width=width)


def fitted(columns: dict[str, list[str]], minor: Iterable[str], *, width: int) -> Table:
    """A table of columns by title, the first one to the left and bold; ``minor`` ones go while it is too wide."""
    for title in minor:
        if sum(_width(title, cells) + GAP for title, cells in columns.items()) - GAP > width:
            columns = {other: cells for other, cells in columns.items() if other != title}
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, GAP, 0, 0))
    for title in columns:
        table.add_column(title, justify="left" if title == "layer" else "right", no_wrap=True)
    for name, *cells in zip(*columns.values(), strict=True):
        table.add_row(Text(name, style="bold"), *cells)
    return table


def _width(title: str, cells: Iterable[str]) -> int:
    return max(len(line) for cell in (title, *cells) for line in cell.split("\n"))


def _columns(layers: Sequence[Layer]) -> dict[str, list[str]]:
    return {
        "units": [count(layer.last("n_units")) for layer in layers],
        "constant": [count(layer.last("n_constant")) for layer in layers],
        "NC": [number(layer.last("nc")) for layer in layers],
        "debiased": [number(layer.last("nc_debiased")) for layer in layers],
        "95 % interval": [
            f"{number(layer.last('nc_low'), 2)} – {number(layer.last('nc_high'), 2)}" for layer in layers
        ],
        "floor": [number(layer.last("nc_noise_floor")) for layer in layers],
        "WC": [number(layer.last("wc")) for layer in layers],
    }


def told(found: Iterable[run_findings.Finding]) -> Iterator[RenderableType]:
    """Findings, each with its numbers below it."""
    for finding in found:
        mark, style = _MARKS[finding.level]
        yield Text.assemble((f"{mark} ", style), (printable(finding.headline), "bold"))
        lines = [f"{name}  {words}" for name, words in finding.points]
        lines += [text for text in (finding.remark, finding.advice) if text]
        yield Padding(Text(printable("\n".join(lines))), (0, 0, 0, 2))


def printable(text: str) -> str:
    """Text without control characters, which could move a terminal's cursor."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
