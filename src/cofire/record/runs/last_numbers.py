"""The last recording of a run as an HTML table, for notebooks."""

import sqlite3
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from ...stats._base.notebook import html_lines, html_table
from ...stats._base.quantities import QUANTITIES, SUMMARY
from .rows import Row, Rows


def last_numbers(table: Path) -> str:
    """Return a table of the layers at the last step, or a sentence on why there is none.

    Args:
        table: the file of rows, which is opened for reading.
    """
    try:
        rows = Rows.read(table)
        try:
            step = rows.last_step()
            found = [] if step is None else rows.select(step=step)
        finally:
            rows.close()
    except (OSError, ValueError, sqlite3.Error) as error:
        return html_lines([f"Nothing can be read yet: {error}"])
    return html_lines(["Nothing was recorded yet."]) if step is None else _layers(step, found)


def _layers(step: int, rows: Sequence[Row]) -> str:
    values = {(row.site, row.measure): row.value for row in rows}
    shown = [name for name in SUMMARY if any(measure == name for _, measure in values)]
    sites = dict.fromkeys(row.site for row in rows if row.site)
    cells = [[site, *(_text(name, values.get((site, name))) for name in shown)] for site in sites]
    labels = [QUANTITIES[name].label for name in shown]
    meanings = {QUANTITIES[name].label: QUANTITIES[name].meaning for name in shown}
    return html_table(["layer", *labels], cells, caption=f"At step {step:,}", meanings=meanings)


def _text(name: str, value: float | None) -> str:
    return "-" if value is None or not isfinite(value) else f"{value:,.{QUANTITIES[name].digits}f}"
