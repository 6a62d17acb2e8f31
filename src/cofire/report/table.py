"""A run's layers and findings for the terminal."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from . import findings
from .view import Layer, View
from .words import count, number, shorten

_MARKS = {"act": ("●", "bold red"), "watch": ("○", "yellow"), "note": ("·", "dim")}


def summary(view: View) -> RenderableType:
    """A table of the layers with the findings below it, readable at 80 columns.

    Names from the run are shown as they are: nothing in them is read as markup.
    """
    return Group(
        Text(findings.headline(view), style="bold"),
        Text(),
        *([layer_table(view), Text()] if view.measured else []),
        *told(findings.findings(view)),
    )


def layer_table(view: View) -> Table:
    """One row a layer, as last recorded."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("layer", no_wrap=True)
    for title in ("units", "constant", "NC", "debiased", "95 % interval", "floor", "WC"):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in view.measured:
        table.add_row(Text(shorten(printable(layer.name), 16), style="bold"), *_cells(layer))
    return table


def _cells(layer: Layer) -> list[str]:
    return [
        count(layer.last("n_units")),
        count(layer.last("n_constant")),
        number(layer.last("nc")),
        number(layer.last("nc_debiased")),
        f"{number(layer.last('nc_low'), 2)} – {number(layer.last('nc_high'), 2)}",
        number(layer.last("nc_noise_floor")),
        number(layer.last("wc")),
    ]


def told(found: Iterable[findings.Finding]) -> Iterator[RenderableType]:
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
