"""An inspection for the terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..data.formatting import shorten_all
from ..data.inspection_rows import COLUMNS, Row, join_gates, numbered_notes
from ..page.inspection_page import Inspection
from .run_table import finding_lines, printable

WITH_DATA = ("units", "constant", "copies", "nc_debiased", "interval", "wc", "width")
WITHOUT_DATA = ("units", "zero", "copies", "wc", "chance", "rank", "entropy_rank")
DROPPED_FIRST = ("wc", "entropy_rank", "interval")
"""Columns that a narrow terminal leaves out, in this order: a number cut short would say something else."""
SHORTEST_NAME = 16
GATES = "Gates share a row: units are those of one, dead and copies sums, the rest means."


def inspection_summary(inspection: Inspection, *, width: int = 80) -> RenderableType:
    """Return a table of the layers, the most redundant first, with the findings below it.

    Names are shown literally, never as markup, and shortened if they stay distinct.

    Args:
        inspection: what to show.
        width: of the terminal, in characters, at least 80.
    """
    rows = join_gates(inspection.report.by_redundancy, inspection.rows)
    notes = numbered_notes(rows)
    columns, longest = _fitting(WITH_DATA if inspection.by_data else WITHOUT_DATA, rows, notes, width)
    return Group(
        Text(inspection.headline, style="bold"),
        Text(),
        _table(rows, columns, notes, longest),
        Text(),
        *([Text(f"{number}  {note}", style="dim") for note, number in notes.items()]),
        *([Text()] if notes else []),
        *([Text(GATES), Text()] if len(rows) < len(inspection.rows) else []),
        *finding_lines(inspection.findings),
    )


def _fitting(
    columns: Sequence[str], rows: Sequence[Row], notes: Mapping[str, int], width: int
) -> tuple[list[str], int]:
    """Return the columns that fit beside the names, and how long a name may be."""
    found = {key: 1 + max(len(COLUMNS[key].heading), *(len(row.cells[key]) for row in rows)) for key in columns}
    room = width - 1 - (max(len("Notes"), *(len(*_marks(row, notes)) for row in rows)) if notes else 0)
    for key in DROPPED_FIRST:
        if room - sum(found.values()) < SHORTEST_NAME:
            found.pop(key, None)
    return list(found), max(SHORTEST_NAME, room - sum(found.values()))


def _table(rows: list[Row], columns: Sequence[str], notes: Mapping[str, int], longest: int) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Layer", max_width=longest, no_wrap=True)
    for key in columns:
        table.add_column(COLUMNS[key].heading, justify="right", no_wrap=True)
    if notes:
        table.add_column("Notes", no_wrap=True)
    names = shorten_all([printable(row.name) for row in rows], longest)
    for name, row in zip(names, rows, strict=True):
        table.add_row(Text(name, style="bold"), *(row.cells[key] for key in columns), *_marks(row, notes))
    return table


def _marks(row: Row, notes: Mapping[str, int]) -> list[str]:
    return [" ".join(str(notes[note]) for note in row.notes)] if notes else []
