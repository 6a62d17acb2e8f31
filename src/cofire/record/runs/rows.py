"""The append-only table of a run: numbers in rows, arrays beside them, in one SQLite file."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .sqlite_connections import Reading, Writing
from .whole_files import replaced

if TYPE_CHECKING:
    import pandas


class Row(NamedTuple):
    """One recorded number.

    ``step`` counts optimizer steps (0 is before training), ``epoch`` the epochs completed when it was
    recorded. ``site`` is empty for numbers of the whole run, such as the loss. ``parameters`` is JSON text
    with sorted keys, so that equal parameters are equal text.
    """

    run: str
    step: int
    epoch: int
    site: str
    measure: str
    parameters: str
    value: float
    n_samples: int
    seed: int | None


class Array(NamedTuple):
    """One recorded array: a histogram, a correlation matrix, a list of units."""

    run: str
    step: int
    site: str
    name: str
    value: np.ndarray


_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    run TEXT NOT NULL, step INTEGER NOT NULL, epoch INTEGER NOT NULL, site TEXT NOT NULL,
    measure TEXT NOT NULL, parameters TEXT NOT NULL, value REAL, n_samples INTEGER NOT NULL, seed INTEGER,
    PRIMARY KEY (run, step, site, measure, parameters)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arrays (
    run TEXT NOT NULL, step INTEGER NOT NULL, site TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (run, step, site, name)
);
"""
_ROW_KEY = ("run", "step", "site", "measure", "parameters")
_SELECT = f"SELECT {', '.join(Row._fields)} FROM rows"


def canonical(parameters: Mapping[str, object]) -> str:
    """Parameters as JSON text, keys sorted.

    Example:
        >>> canonical({"window": 3, "dtype": "float32"})
        '{"dtype": "float32", "window": 3}'
    """
    try:
        return json.dumps(dict(parameters), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"parameters must be numbers, strings, booleans, None, or lists and dicts of these: {error}"
        ) from None


class Rows:
    """The rows and arrays of one or more runs in a SQLite file.

    Calling it writes: one transaction for all rows and arrays of the call, so that a crash leaves a recording
    whole or absent. A key (run, step, site, measure, parameters) that is there already is left as it is.
    ``Rows.read`` opens for reading only: nothing is created and no writer is held up.

    Args:
        path: the file; created, with its folders, if absent.

    Raises:
        ValueError: if the file is not a table of rows.

    Example:
        >>> import tempfile
        >>> rows = Rows(Path(tempfile.mkdtemp()) / "rows.sqlite")
        >>> rows([Row("a", 0, 0, "fc", "nc", "{}", 0.25, 128, 0)])
        >>> rows.select(measure="nc")[0].value
        0.25
        >>> rows.close()
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._connection: Writing | Reading = Writing(self.path, _SCHEMA)

    def __repr__(self) -> str:
        return f"Rows({str(self.path)!r})"

    @classmethod
    def read(cls, path: str | Path) -> "Rows":
        """Open an existing table for reading.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is not a table of rows.
        """
        rows = cls.__new__(cls)
        rows.path = Path(path)
        rows._connection = Reading(rows.path)
        return rows

    def __call__(self, rows: Iterable[Row], arrays: Iterable[Array] = ()) -> None:
        """Write rows and arrays in one transaction.

        Raises:
            ValueError: if two of the rows have the same key.
            OSError: if they cannot be written, for instance because the disk is full; nothing of the call is
                kept then.
        """
        rows = [Row._make(row) for row in rows]
        _refuse_twins(rows)
        packed = [(*array[:4], _to_bytes(array.value)) for array in arrays]
        self._connection.write(
            ("INSERT INTO rows VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING", rows),
            ("INSERT INTO arrays VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", packed),
        )

    def select(
        self,
        *,
        run: str | None = None,
        site: str | None = None,
        measure: str | None = None,
        step: int | None = None,
    ) -> list[Row]:
        """The rows that match, by run, site, measure, parameters and step.

        A value that could not be computed is NaN.
        """
        where, values = _where(run=run, site=site, measure=measure, step=step)
        order = "ORDER BY run, site, measure, parameters, step"
        return [_row(found) for found in self._connection.fetch(f"{_SELECT} {where} {order}", values)]

    def array(self, site: str, name: str, *, step: int | None = None, run: str | None = None) -> np.ndarray:
        """The array of that name at a site, the latest one unless a step is given.

        Raises:
            KeyError: if there is none.
        """
        where, values = _where(run=run, site=site, name=name, step=step)
        found = self._connection.fetch(f"SELECT value FROM arrays {where} ORDER BY step DESC LIMIT 1", values)
        if not found:
            at = "" if step is None else f" at step {step}"
            raise KeyError(f"no array {name!r} was recorded for site {site!r}{at}")
        return np.load(io.BytesIO(found[0][0]), allow_pickle=False)

    def arrays(self) -> list[tuple[str, int, str, str]]:
        """What arrays there are: (run, step, site, name), without their values."""
        return self._connection.fetch("SELECT run, step, site, name FROM arrays ORDER BY 1, 3, 4, 2")

    def snapshot(self) -> AbstractContextManager[None]:
        """All reads within see one state of the table, whatever others write meanwhile.

        Raises:
            WrittenMeanwhileError: by a read within, if nobody wrote at first and then somebody began.
        """
        return self._connection.snapshot()

    def last_step(self) -> int | None:
        """The largest step that has a row; None when there are no rows."""
        return self._connection.fetch("SELECT max(step) FROM rows")[0][0]

    def rename(self, run: str) -> None:
        """Give all rows and arrays to that run."""
        self._connection.write(
            *((f"UPDATE OR REPLACE {table} SET run = ? WHERE run != ?", [(run, run)]) for table in ("rows", "arrays"))
        )

    def drop_after(self, step: int) -> None:
        """Take away the rows and arrays of later steps, to go on from ``step``."""
        self._connection.write(*((f"DELETE FROM {table} WHERE step > ?", [(step,)]) for table in ("rows", "arrays")))

    def drop_arrays(self, arrays: Iterable[Array]) -> None:
        """Take away the arrays of these runs, steps, sites and names; their values do not matter."""
        keys = [tuple(array[:4]) for array in arrays]
        self._connection.write(("DELETE FROM arrays WHERE run = ? AND step = ? AND site = ? AND name = ?", keys))

    def flush(self) -> None:
        """Make all that was written safe from a power loss too."""
        self._connection.flush()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    def to_pandas(self) -> "pandas.DataFrame":
        """All rows as a data frame, one column a field.

        Raises:
            ImportError: if pandas is absent.
        """
        pandas = _need("pandas")
        return pandas.DataFrame(self.select(), columns=list(Row._fields))

    def to_csv(self, path: str | Path) -> None:
        """Write all rows to a CSV file with a header."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(self.select())
        with replaced(path) as file:
            file.write(text.getvalue().encode())

    def to_parquet(self, path: str | Path) -> None:
        """Write all rows to a Parquet file.

        Raises:
            ImportError: if pandas or pyarrow is absent.
        """
        _need("pyarrow")
        frame = self.to_pandas()
        with replaced(path) as file:
            frame.to_parquet(file, index=False)


def _need(package: str) -> Any:
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f'this needs {package}; install it with: pip install "cofire[report]"') from error


def _row(values: Sequence[Any]) -> Row:
    row = Row._make(values)
    # SQLite has no NaN and stores NULL for it.
    return row if row.value is not None else row._replace(value=float("nan"))


def _where(**equal: object) -> tuple[str, list[object]]:
    given = {column: value for column, value in equal.items() if value is not None}
    clause = " AND ".join(f"{column} = ?" for column in given)
    return (f"WHERE {clause}" if clause else "", list(given.values()))


def _to_bytes(value: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(value), allow_pickle=False)
    return buffer.getvalue()


def _refuse_twins(rows: Sequence[Row]) -> None:
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        key = tuple(getattr(row, name) for name in _ROW_KEY)
        if key in seen:
            raise ValueError(
                f"two rows of one recording have the same key {dict(zip(_ROW_KEY, key, strict=True))}; "
                "give the measures different names or parameters"
            )
        seen.add(key)
