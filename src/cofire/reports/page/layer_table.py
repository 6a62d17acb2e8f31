"""The table of layers: a row a layer and run, as last recorded; the page's script fills it anew at other steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan

from ..data.formatting import MISSING, count, number
from ..data.run_view import Layer
from ..data.trends import correlation_at
from .sections import Section


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key for the script, its title, what it means, and how many digits it shows (0: whole numbers)."""

    key: str
    title: str
    meaning: str = ""
    digits: int = 3
    signed: bool = False


UNITS = Column("n_units", "Units", digits=0)
CONSTANT = Column("n_constant", "Constant", "units that never changed", digits=0)
DEBIASED = Column("nc_debiased", "Debiased", "debiased neuronal correlation")
NC = Column("nc", "NC", "neuronal correlation, mean |ρ|")
FLOOR = Column("nc_noise_floor", "Floor", "what independent units would show as NC")
START = Column("since_start", "vs start", "debiased, less that of the first recording", signed=True)
DEPENDENCE = Column("dependence", "ι", "dependence score: mean mutual information, in nats")
WC = Column("wc", "WC", "weight correlation")
EPSILON = Column("epsilon", "ε", "what the activation function changes")
COPIES = Column("copies", "Copies", "pairs with |ρ| ≥ 0.99", digits=0)


@dataclass(frozen=True, slots=True)
class Row:
    """One layer of one run."""

    run: int
    layer: Layer
    beside: Layer | None

    def value(self, key: str) -> float:
        """A cell as last recorded."""
        if key == "nc_debiased":
            return correlation_at(self.layer, -1).value
        if key == "since_start":
            return correlation_at(self.layer, -1).value - correlation_at(self.layer, 0).value
        if key == "beside":
            return correlation_at(self.layer, -1).value - correlation_at(self.beside, -1).value if self.beside else nan
        if key == "copies":
            return float(len(self.layer.duplicates)) if "duplicates" in self.layer.arrays else nan
        return self.layer.last(key)


def columns_of(sections: Sequence[Section]) -> list[Column]:
    """The columns that these runs need; several do without the floor, which the drawing shows, to fit a screen."""
    with_dependence = any(section.with_dependence for section in sections)
    beside = Column("beside", "vs first", f"debiased, less that of {sections[0].view.name}", signed=True)
    columns = [DEBIASED, START, *([beside, NC] if len(sections) > 1 else [NC, FLOOR])]
    return [*columns, *([DEPENDENCE] if with_dependence else []), WC, EPSILON, UNITS, CONSTANT, COPIES]


def rows_of(sections: Sequence[Section]) -> list[Row]:
    """Layer by layer, the runs that have it one below the other."""
    names = dict.fromkeys(layer.name for section in sections for layer in section.view.measured)
    placed = [{layer.name: layer for layer in section.view.measured} for section in sections]
    return [
        Row(run, here[name], placed[0].get(name) if run else None)
        for name in names
        for run, here in enumerate(placed)
        if name in here
    ]


def shown(value: float, column: Column) -> str:
    """A cell in words.

    Example:
        >>> shown(0.25, START), shown(1797, UNITS), shown(float("nan"), NC)
        ('+0.250', '1,797', '–')
    """
    if not isfinite(value):
        return MISSING
    text = number(value, column.digits) if column.digits else count(value)
    return f"+{text}" if column.signed and value > 0 else text
