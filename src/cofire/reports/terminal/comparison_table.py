"""A comparison for the terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..data.comparison import COMPARED, Comparison
from ..data.formatting import shorten, shorten_all
from ..findings.comparison_findings import findings, headline, remark
from . import run_table

DIFFERENCE = "Difference"
LESS_IMPORTANT = tuple(COMPARED[key].label for key in ("rank", "width", "constant", "wc", "units", "nc"))
"""The columns that a narrow terminal leaves out, in this order; findings, pages and JSON have all of them."""


def comparison_summary(comparison: Comparison, *, width: int = run_table.WIDTH) -> RenderableType:
    """Return a table of the layers that both networks have, with the findings below it.

    Each cell shows the first network's number before the second's. Names are shown literally, never as markup.

    Args:
        comparison: what to show.
        width: of the terminal, in characters.
    """
    names = [shorten(run_table.printable(side.name), (width - 3) // 2) for side in (comparison.a, comparison.b)]
    return Group(
        Text(run_table.printable(headline(comparison)), style="bold"),
        *([Text(remark(comparison))] if remark(comparison) else []),
        Text(f"{names[0]} → {names[1]}", style="dim"),
        Text(),
        *([_table(comparison, width), Text()] if comparison.pairs else []),
        *run_table.finding_lines(findings(comparison)),
    )


def _table(comparison: Comparison, width: int) -> Table:
    columns = {"Layer": shorten_all([run_table.printable(pair.layer) for pair in comparison.pairs], 16)}
    for name in comparison.quantities:
        columns[COMPARED[name].label] = [pair.both(name) for pair in comparison.pairs]
        if name == "nc":
            columns[DIFFERENCE] = [pair.difference(name).text(name, signed=True) for pair in comparison.pairs]
    return run_table.fitted(columns, LESS_IMPORTANT, width=width)
