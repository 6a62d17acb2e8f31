"""A shrunken network and its costs, for the terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...nets.shrinking import Shrunk
from ..data.formatting import MISSING, by_reason, listing, percent, shorten_all
from ..data.shrink_rows import costs, curve_rows, error_text, group_rows, headline
from .run_table import printable

LONGEST = 36


def shrink_summary(shrunk: Shrunk, *, why_nothing: str = "") -> RenderableType:
    """Return what was cut, what that costs, what could not be cut and why, and the curve.

    It fits into 80 columns.

    Args:
        shrunk: what to show.
        why_nothing: the reason if nothing was removed.
    """
    if not shrunk.cuts:
        lines = [why_nothing] if why_nothing else []
        return Group(Text(headline(shrunk), style="bold"), *map(Text, lines), *_left(shrunk), *_notes(shrunk))
    return Group(
        Text(headline(shrunk), style="bold"),
        Text(),
        _groups(shrunk),
        Text(),
        *map(Text, costs(shrunk)),
        *_left(shrunk),
        *_notes(shrunk),
        *([Text(), _curve(shrunk)] if len(curve_rows(shrunk)) > 1 else []),
    )


def _table(*titles: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for place, title in enumerate(titles):
        table.add_column(title, justify="right" if place else "left", no_wrap=True)
    return table


def _groups(shrunk: Shrunk) -> Table:
    rows = group_rows(shrunk)
    several = any(row.groups > 1 for row in rows)
    table = _table("Group", *(["Groups"] if several else []), "Units", "Kept", "Moves outputs by")
    for row, name in zip(rows, shorten_all([printable(row.name) for row in rows], LONGEST), strict=True):
        table.add_row(
            Text(name, style="bold"), *([str(row.groups)] if several else []), row.units, row.kept, row.predicted
        )
    return table


def _curve(shrunk: Shrunk) -> Table:
    scored = any(point.score is not None for point in shrunk.curve)
    what = "Multiplications" if shrunk.per == "flops" else "Parameters"
    table = _table(what, "Predicted", "Measured", *(["Score"] if scored else []))
    for point in curve_rows(shrunk):
        score = [MISSING if point.score is None else f"{point.score:.4g}"] if scored else []
        table.add_row(percent(point.share), error_text(point.predicted), error_text(point.measured), *score)
    return table


def _left(shrunk: Shrunk) -> Iterator[Text]:
    if shrunk.left:
        yield Text()
        yield Text("Excluded from cutting:")
    for reason, names in by_reason(shrunk.left).items():
        yield Text(f"  {printable(listing(names, 4))}: {printable(reason)}")


def _notes(shrunk: Shrunk) -> Iterator[Text]:
    if shrunk.notes:
        yield Text()
    for note in shrunk.notes:
        yield Text(printable(f"Note: {note}."))
