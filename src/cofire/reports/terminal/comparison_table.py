"""A comparison for the terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..data.comparison import Comparison, Pair, told
from ..data.formatting import count, number, shorten, told_apart
from . import run_table

TITLES = {"units": "units", "constant": "const", "nc": "NC", "wc": "WC", "rank": "rank", "width": "width"}
DIFFERENCE = "difference"
MINOR = ("rank", "width", "const", "WC", "units", "NC")
"""Columns that a narrow terminal does without, the first one first; findings, page and JSON have them all."""


def comparison_summary(comparison: Comparison, *, width: int = run_table.WIDTH) -> RenderableType:
    """A table of the layers that both have, the first network's number before the second's, and the findings.

    Names are shown as they are: nothing in them is read as markup.
    """
    names = [shorten(run_table.printable(side.name), (width - 3) // 2) for side in (comparison.a, comparison.b)]
    return Group(
        Text(comparison.headline, style="bold"),
        Text(f"{names[0]} → {names[1]}", style="dim"),
        Text(),
        *([_table(comparison, width), Text()] if comparison.pairs else []),
        *run_table.told(comparison.findings),
    )


def _table(comparison: Comparison, width: int) -> Table:
    columns = {"layer": told_apart([run_table.printable(pair.layer) for pair in comparison.pairs], 16)}
    for name in comparison.quantities:
        columns[TITLES[name]] = [_both(pair, name) for pair in comparison.pairs]
        if name == "nc":
            columns[DIFFERENCE] = [told(pair.difference(name), name, signed=True) for pair in comparison.pairs]
    return run_table.fitted(columns, MINOR, width=width)


def _both(pair: Pair, name: str) -> str:
    a, b = (_short(side[name].value, name) for side in (pair.a, pair.b))
    return a if a == b else f"{a} → {b}"


def _short(value: float, name: str) -> str:
    return number(value, 1 if name == "rank" else 2) if name in ("nc", "wc", "rank") else count(value)
