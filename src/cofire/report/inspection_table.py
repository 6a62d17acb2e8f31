"""An inspection for the terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .inspection import Inspection
from .inspection_rows import Row
from .table import printable, told
from .words import shorten

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


def inspection_summary(inspection: Inspection, *, width: int = 80) -> RenderableType:
    """A table of the layers, the most redundant first, with the findings below it.

    Names are shown as they are: nothing in them is read as markup. They are shortened where that leaves them apart.

    Args:
        inspection: what to show.
        width: of the terminal, in characters, from 80 on.
    """
    return Group(
        Text(inspection.headline, style="bold"),
        Text(),
        _table(inspection, max(LEAST, width - (ROOM_WITH_DATA if inspection.by_data else ROOM_WITHOUT))),
        Text(),
        *told(inspection.findings),
    )


def _table(inspection: Inspection, longest: int) -> Table:
    columns = WITH_DATA if inspection.by_data else WITHOUT_DATA
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", max_width=longest, overflow="fold")
    for title in columns.values():
        table.add_column(title, justify="right", no_wrap=True)
    for name, row in zip(_names(inspection.rows, longest), inspection.rows, strict=True):
        table.add_row(Text(name, style="bold"), *(getattr(row, one) for one in columns))
    return table


def _names(rows: list[Row], longest: int) -> list[str]:
    """The names, shortened where they stay apart; the whole of them, folded, where not."""
    whole = [printable(row.name) for row in rows]
    short = [shorten(name, longest) for name in whole]
    return short if len(set(short)) == len(set(whole)) else whole
