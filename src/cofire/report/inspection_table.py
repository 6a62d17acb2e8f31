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
    "interval": "95 % interval",
    "floor": "floor",
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


def inspection_summary(inspection: Inspection) -> RenderableType:
    """A table of the layers, the most redundant first, with the findings below it, readable at 80 columns.

    Names are shown as they are: nothing in them is read as markup.
    """
    return Group(
        Text(inspection.headline, style="bold"),
        Text(),
        _table(inspection.rows, WITH_DATA if inspection.by_data else WITHOUT_DATA),
        Text(),
        *told(inspection.findings),
    )


def _table(rows: list[Row], columns: dict[str, str]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("layer", no_wrap=True)
    for title in columns.values():
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(Text(shorten(printable(row.name), 18), style="bold"), *(getattr(row, one) for one in columns))
    return table
