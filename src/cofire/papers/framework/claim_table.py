"""`Table`: the rows of an experiment with their tasks' settings, for figures and claims."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
_PLAIN = (str, int, float)
INDEXED = 10_000
"""Rows from which on columns are indexed: figures and claims ask for the same columns again and again."""


class MissingRows(LookupError):
    """Raised when the rows that a claim or a figure needs are absent."""


class Table:
    """Rows as mappings: a task's settings, the row's ``seed``, ``epoch``, ``site``, ``measure``, ``value`` and so on.

    Args:
        records: the rows.

    Example:
        >>> table = Table([{"network": net, "seed": seed, "measure": "nc", "value": seed / 10 + len(net)}
        ...                for net in ("N3", "N10") for seed in (0, 1)])
        >>> table.per_seed(network="N3", measure="nc")
        {0: 2.0, 1: 2.1}
        >>> [len(part) for _, part in table.groups("network")]
        [2, 2]
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = tuple(records)
        self._indexes: dict[str, Mapping[Any, Sequence[Record]]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def where(self, **wanted: Any) -> "Table":
        """Return the rows whose columns match.

        Args:
            wanted: for each column a value, a list or set of values, or a predicate. A row without the column does
                not match.
        """
        rows = self._fewest(wanted)
        for name, value in sorted(wanted.items(), key=lambda item: not isinstance(item[1], _PLAIN)):
            rows = _matching(rows, name, value)
        return Table(rows)

    def _fewest(self, wanted: Mapping[str, Any]) -> Sequence[Record]:
        """Return the rows that match one of the columns, that with the fewest; a small table is read whole."""
        if len(self._records) < INDEXED:
            return self._records
        plain = [name for name, value in wanted.items() if isinstance(value, _PLAIN)]
        return min((self._index(name).get(wanted[name], ()) for name in plain), key=len, default=self._records)

    def _index(self, name: str) -> Mapping[Any, Sequence[Record]]:
        """Return the rows of each number or text in a column."""
        if name not in self._indexes:
            index: dict[Any, list[Record]] = {}
            for row in self._records:
                if isinstance(value := row.get(name), _PLAIN):
                    index.setdefault(value, []).append(row)
            self._indexes[name] = index
        return self._indexes[name]

    def need(self, **wanted: Any) -> "Table":
        """Return the rows that match, as `where`.

        Raises:
            MissingRows: if no row matches.
        """
        found = self.where(**wanted)
        if not found:
            raise MissingRows(f"no rows with {_described(wanted)}")
        return found

    def __bool__(self) -> bool:
        return bool(self._records)

    def column(self, name: str) -> list[Any]:
        """Return a column's values, in the order of the rows."""
        return [row[name] for row in self]

    def values(self, name: str) -> list[Any]:
        """Return a column's distinct values, sorted."""
        return sorted({row[name] for row in self if name in row})

    def groups(self, name: str) -> list[tuple[Any, "Table"]]:
        """Split the rows by a column; return pairs of a value and its rows, sorted by the value."""
        parts: dict[Any, list[Record]] = {}
        for row in self:
            if name in row:
                parts.setdefault(row[name], []).append(row)
        return [(value, Table(parts[value])) for value in sorted(parts)]

    def last(self, by: str = "epoch") -> "Table":
        """Return the rows with the largest value in a column."""
        return self.where(**{by: max(self.column(by))}) if self else self

    def near(self, share: float, by: str = "epoch") -> "Table":
        """Return the rows of the value in a column that is nearest to a share of the largest."""
        at = share * max(self.column(by))
        return self.where(**{by: min(self.values(by), key=lambda value: abs(value - at))}) if self else self

    def per_seed(self, **wanted: Any) -> dict[int, float]:
        """Return ``{seed: value}`` of the rows that match, one per seed.

        Raises:
            MissingRows: if no row matches.
            ValueError: if several rows of a seed match.
        """
        found: dict[int, float] = {}
        for row in self.need(**wanted):
            if row["seed"] in found:
                raise ValueError(f"several rows of seed {row['seed']} have {_described(wanted)}; name more columns")
            found[row["seed"]] = float(row["value"])
        return dict(sorted(found.items()))

    def curve(self, x: str, /, **wanted: Any) -> dict[Any, dict[int, float]]:
        """Return ``{x: {seed: value}}`` over the values of the column ``x``.

        Raises:
            MissingRows: if no row matches.
            ValueError: as for `per_seed`.
        """
        return {at: part.per_seed() for at, part in self.need(**wanted).groups(x)}


def _matching(rows: Sequence[Record], name: str, wanted: Any) -> list[Record]:
    if callable(wanted):
        return [row for row in rows if name in row and wanted(row[name])]
    if isinstance(wanted, list | tuple | set | frozenset | range):
        return [row for row in rows if name in row and row[name] in wanted]
    return [row for row in rows if name in row and row[name] == wanted]


def _described(wanted: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in wanted.items()) or "any values"
