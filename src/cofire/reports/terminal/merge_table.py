"""The result and the cost of merging units, for the terminal."""

from collections.abc import Iterator
from math import isnan

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...nets.surgery import Cost, OutputError, Surgery
from ..data.formatting import by_reason, count, listing, number, percent, plural, shorten_all
from .run_table import printable


def merge_summary(surgery: Surgery, cost: Cost) -> RenderableType:
    """Return a table of the layers that lost units, what that cost, and which layers stayed whole and why.

    It fits into 80 columns.
    """
    reasons = by_reason(surgery.left).items()
    return Group(
        Text(_headline(surgery), style="bold"),
        Text(),
        *([_table(surgery), Text()] if surgery.cuts else []),
        *(Text(line) for line in _costs(cost)),
        *([Text(), Text("Left unchanged:")] if surgery.left else []),
        *(Text(f"  {printable(listing(names, 4))}: {printable(reason)}") for reason, names in reasons),
    )


def _headline(surgery: Surgery) -> str:
    if not surgery.cuts:
        if surgery.left and not surgery.whole:
            return "No unit was removed: none of the requested layers can be cut."
        return "No unit was removed: no unit is explained by others within the tolerance, or keep asks for all units."
    units = plural(sum(cut.n_units for cut in surgery.cuts.values()), "unit")
    verb = "was" if surgery.n_removed == 1 else "were"
    return f"{count(surgery.n_removed)} of {units} in {plural(len(surgery.cuts), 'layer')} {verb} removed."


def _table(surgery: Surgery) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("Layer", "Units", "Kept", "Next layer", "Moves by", "Of its spread"):
        table.add_column(title, justify="left" if title.lower().endswith("layer") else "right", no_wrap=True)
    rows = [(cut, consumer, error) for cut in surgery.cuts.values() for consumer, error in cut.errors.items()]
    names = list(dict.fromkeys(name for cut, consumer, _ in rows for name in (cut.layer, consumer)))
    shown = dict(zip(names, shorten_all([printable(name) for name in names], 18), strict=True))
    for cut, consumer, error in rows:
        cells = (count(cut.n_units), count(len(cut.kept)), shown[consumer], _small(error.rms), _share(error))
        table.add_row(Text(shown[cut.layer], style="bold"), *map(Text, cells))
    return table


def _costs(cost: Cost) -> Iterator[str]:
    before, after = cost.parameters
    yield f"Parameters: {count(before)} before, {count(after)} after ({percent(after / before if before else 1.0)})."
    moved = f"{_small(cost.measured.rms)} ({_share(cost.measured)} of their standard deviation)"
    yield f"Outputs move by {moved} as measured,"
    if cost.predicted is None:
        yield "  not predicted: an operation has no forward derivative."
    else:
        yield f"  {_small(cost.predicted.rms)} ({_share(cost.predicted)}) predicted to first order."
    if cost.accuracy is not None:
        yield f"Accuracy: {100 * cost.accuracy[0]:.2f} % before, {100 * cost.accuracy[1]:.2f} % after."


def _share(error: OutputError) -> str:
    """Return an error relative to the standard deviation, in percent; rounding errors are not shown as digits."""
    if error.relative == 0:
        return "0 %"
    return "<0.0001 %" if error.relative < 1e-6 else percent(error.relative)


def _small(value: float) -> str:
    if value == 0:
        return "0"
    return number(value) if value >= 0.01 or isnan(value) else f"{value:.1e}"
