"""The table of layers: one row for each layer and run. The page's script refills it at other steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan

from ...stats._base.definitions import COPY
from ...stats._base.quantities import QUANTITIES
from ..data.formatting import MISSING, count, number
from ..data.run_view import Layer
from ..data.trends import correlation_at
from .sections import Section


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key for the script, its heading, its meaning, and the digits it shows (0 for whole numbers)."""

    key: str
    title: str
    meaning: str
    digits: int = 3
    signed: bool = False


def of_quantity(name: str) -> Column:
    """Return the column of a recorded quantity."""
    quantity = QUANTITIES[name]
    return Column(name, quantity.label, f"{quantity.title}. {quantity.meaning}", quantity.digits)


START = Column("since_start", "vs start", "Debiased, minus that of the first recording.", signed=True)
COPIES = Column("copy_pairs", "Copies", f"Pairs with |ρ| ≥ {COPY}.", digits=0)


@dataclass(frozen=True, slots=True)
class Row:
    """One layer of one run, and the same layer of the first run to compare it with."""

    run: int
    layer: Layer
    beside: Layer | None

    def value(self, key: str) -> float:
        """Return the last recorded value of a column."""
        now = correlation_at(self.layer, -1).value
        if key == "nc_debiased":
            return now
        if key == START.key:
            return now - correlation_at(self.layer, 0).value
        if key == "beside":
            return now - correlation_at(self.beside, -1).value if self.beside else nan
        if key == COPIES.key:
            return float(len(self.layer.duplicates)) if "duplicates" in self.layer.arrays else nan
        return self.layer.last(key)


def columns_of(sections: Sequence[Section]) -> list[Column]:
    """Return the columns that these runs need; with several runs the noise floor is only drawn, to save room."""
    beside = Column("beside", "vs first", f"Debiased, minus that of {sections[0].view.name}.", signed=True)
    several = len(sections) > 1
    shown = ["nc"] if several else ["nc", "nc_noise_floor"]
    shown += ["dependence"] * any(section.with_dependence for section in sections)
    shown += ["wc", "epsilon", "n_units", "n_constant"]
    return [of_quantity("nc_debiased"), START, *([beside] if several else []), *map(of_quantity, shown), COPIES]


def rows_of(sections: Sequence[Section]) -> list[Row]:
    """Return one row for each layer and each run that has it, sorted by layer."""
    names = dict.fromkeys(layer.name for section in sections for layer in section.view.measured)
    placed = [{layer.name: layer for layer in section.view.measured} for section in sections]
    return [
        Row(run, here[name], placed[0].get(name) if run else None)
        for name in names
        for run, here in enumerate(placed)
        if name in here
    ]


def shown(value: float, column: Column) -> str:
    """Format the value of a cell.

    Example:
        >>> shown(0.25, START), shown(1797, COPIES), shown(float("nan"), START)
        ('+0.250', '1,797', '–')
    """
    if not isfinite(value):
        return MISSING
    text = number(value, column.digits) if column.digits else count(value)
    return f"+{text}" if column.signed and value > 0 else text
