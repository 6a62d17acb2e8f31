"""An inspection for the terminal."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..data.formatting import told_apart
from ..page.inspection_page import Inspection
from .inspection_rows import Row, with_gates_together
from .run_table import printable, told

WITH_DATA = {
    "units": "units",
    "constant": "const",
    "copies": "copies",
    "debiased": "debiased",
    "interval": "interval",
    "wc": "WC",
    "width": "width",
}
WITHOUT_DATA = {
    "units": "units",
    "constant": "zero",
    "copies": "copies",
    "wc": "WC",
    "chance": "chance",
    "rank": "rank",
    "entropy_rank": "by entropy",
}


ROOM_WITH_DATA, ROOM_WITHOUT = 64, 50
"""What the other columns take up."""

LEAST = 16

GATES = "Gates of one weight are one row: means, and zero units and copies in all."


def inspection_summary(inspection: Inspection, *, width: int = 80) -> RenderableType:
    """A table of the layers, the most redundant first, with the findings below it.

    Names are shown as they are: nothing in them is read as markup. They are shortened where that leaves them apart.
    The gates of one recurrent weight stand in one row.

    Args:
        inspection: what to show.
        width: of the terminal, in characters, from 80 on.
    """
    columns, room = (WITH_DATA, ROOM_WITH_DATA) if inspection.by_data else (WITHOUT_DATA, ROOM_WITHOUT)
    rows = with_gates_together(inspection.report.by_redundancy, inspection.rows)
    return Group(
        Text(inspection.headline, style="bold"),
        Text(),
        _table(rows, columns, max(LEAST, width - room)),
        Text(),
        *([Text(GATES), Text()] if len(rows) < len(inspection.rows) else []),
        *told(inspection.findings),
    )


def _table(rows: list[Row], columns: Mapping[str, str], longest: int) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", max_width=longest, no_wrap=True)
    for title in columns.values():
        table.add_column(title, justify="right", no_wrap=True)
    names = told_apart([printable(row.name) for row in rows], longest)
    for name, row in zip(names, rows, strict=True):
        table.add_row(Text(name, style="bold"), *(getattr(row, one) for one in columns))
    return table
