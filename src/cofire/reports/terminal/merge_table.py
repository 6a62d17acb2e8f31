"""What a surgery did and cost, for the terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...nets.surgery import Cost, OutputError, Surgery
from ..data.formatting import by_reason, count, listing, number, percent, plural, told_apart
from .run_table import printable


def merge_summary(surgery: Surgery, cost: Cost) -> RenderableType:
    """A table of the layers that lost units, what it cost, and what was left for which reason, at 80 columns."""
    return Group(
        Text(_headline(surgery), style="bold"),
        Text(),
        *([_table(surgery), Text()] if surgery.cuts else []),
        *(Text(line) for line in _costs(cost)),
        *([Text(), Text("Left as they are:")] if surgery.left else []),
        *(
            Text(f"  {printable(listing(names, 4))}: {printable(reason)}")
            for reason, names in by_reason(surgery.left).items()
        ),
    )


def _headline(surgery: Surgery) -> str:
    before = sum(cut.n_units for cut in surgery.cuts.values())
    if not surgery.cuts:
        return f"No unit was removed: {_why_none(surgery)}."
    units, layers = plural(before, "unit"), plural(len(surgery.cuts), "layer")
    return f"{count(surgery.n_removed)} of {units} of {layers} {'was' if surgery.n_removed == 1 else 'were'} removed."


def _why_none(surgery: Surgery) -> str:
    if surgery.left and not surgery.whole:
        return "no layer that was asked for can be cut"
    return "on these data none is explained by others to the tolerance, or as many were to be kept"


def _table(surgery: Surgery) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("layer", "units", "kept", "next layer", "moves by", "of its deviation"):
        table.add_column(title, justify="left" if title.endswith("layer") else "right", no_wrap=True)
    rows = [(cut, consumer, error) for cut in surgery.cuts.values() for consumer, error in cut.errors.items()]
    names = list(dict.fromkeys(name for cut, consumer, _ in rows for name in (cut.layer, consumer)))
    told = dict(zip(names, told_apart([printable(name) for name in names], 18), strict=True))
    for cut, consumer, error in rows:
        cells = (count(cut.n_units), count(len(cut.kept)), told[consumer], _small(error.rms), _share(error))
        table.add_row(Text(told[cut.layer], style="bold"), *map(Text, cells))
    return table


def _costs(cost: Cost) -> Iterator[str]:
    before, after = cost.parameters
    yield f"Parameters: {count(before)} before, {count(after)} after ({percent(after / before if before else 1.0)})."
    yield f"Outputs move by {_small(cost.measured.rms)} ({_share(cost.measured)} of their deviation) as measured,"
    yield f"  {_predicted(cost.predicted)}."
    if cost.accuracy is not None:
        yield f"Accuracy: {100 * cost.accuracy[0]:.2f} % before, {100 * cost.accuracy[1]:.2f} % after."


def _predicted(error: OutputError | None) -> str:
    if error is None:
        return "not predicted: an operation has no forward derivative"
    return f"{_small(error.rms)} ({_share(error)}) predicted to first order"


def _share(error: OutputError) -> str:
    if error.relative == 0:
        return "0 %"
    return percent(error.relative) if error.relative >= 1e-6 or error.relative != error.relative else "<0.0001 %"


def _small(value: float) -> str:
    if value == 0:
        return "0"
    return number(value) if value >= 0.01 or value != value else f"{value:.1e}"
