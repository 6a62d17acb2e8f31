"""The append-only table of a run: numbers in rows, arrays beside them, in one SQLite file."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...stats._base.quantities import QUANTITIES
from . import table_exports
from .packing import from_bytes, text, to_bytes, whole
from .sqlite_connections import DamagedRows, Reading, Writing
from .table_format import (
    SOURCES,
    VERSION,
    damaged_at,
    digest,
    lost_rows,
    prepare,
    seal,
    verify,
    version_of,
    write_recording,
)

if TYPE_CHECKING:
    import pandas

MODES = ("train", "eval", "")


class Row(NamedTuple):
    """One recorded number.

    Attributes:
        run: name of the run's directory.
        step: optimizer steps so far; 0 is before training.
        epoch: epochs completed when it was recorded.
        site: the layer; empty for numbers of the whole run, such as the loss.
        measure: name of the quantity.
        parameters: JSON text with sorted keys, so that equal parameters are equal text.
        value: the number; NaN where it could not be computed.
        n_samples: samples it was computed from; 0 for weights.
        seed: seed of the choice of samples.
        mode: ``"train"`` or ``"eval"``: the mode of the model that gave the samples; ``""`` if neither is known or
            applies, as for weights.
        unit: unit of measure, such as ``"nats"``; ``""`` for a pure number, None if unknown.
        n_units_seen: how many of the layer's units were looked at; None if unknown.
        n_units: how many units the layer has; None if unknown.
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
    mode: str = ""
    unit: str | None = None
    n_units_seen: int | None = None
    n_units: int | None = None


class Array(NamedTuple):
    """One recorded array: a histogram, a correlation matrix, a list of units. Its ``mode`` is as for `Row`."""

    run: str
    step: int
    site: str
    name: str
    value: np.ndarray
    mode: str = ""


_WHOLE = ("step", "epoch", "n_samples", "seed", "n_units_seen", "n_units")
_KEY = ("run", "step", "site", "measure", "parameters", "mode")


def canonical(parameters: Mapping[str, object]) -> str:
    """Return parameters as JSON text with sorted keys.

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


def refuse_misspelled(measure: str, recorded: Iterable[str] = ()) -> None:
    """Refuse a name that is neither known nor recorded, but looks like one that is.

    Names of a user's own measures are free. One that only adds to a known name, as ``"width2"`` does, passes too.

    Raises:
        ValueError: with the names that look alike.

    Example:
        >>> refuse_misspelled("nc_debaised")
        Traceback (most recent call last):
        ...
        ValueError: unknown quantity 'nc_debaised'; did you mean 'nc_debiased'?
    """
    known = {*QUANTITIES, *recorded}
    alike = get_close_matches(measure, known, n=3, cutoff=0.85)
    if alike and measure not in known and not measure.startswith(alike[0]):
        raise ValueError(f"unknown quantity {measure!r}; did you mean {' or '.join(map(repr, alike))}?")


class Rows:
    """The rows and arrays of one or more runs in a SQLite file.

    Calling it writes one transaction with all rows and arrays of the call, so that a crash leaves a recording whole or
    absent. An existing key (run, step, site, measure, parameters, mode) keeps its value. ``Rows.read`` opens for
    reading only: it creates nothing and holds up no writer.

    The first read verifies the checksum of every recording, later ones those of new recordings; arrays are verified
    when they are read.

    Args:
        path: the file; created, with its folders, if absent.
        new: whether it may be absent or empty.

    Raises:
        DamagedRows: if the file is not a table of rows.
        ValueError: if it is a link, or a newer version of cofire wrote it.

    Example:
        >>> import tempfile
        >>> rows = Rows(Path(tempfile.mkdtemp()) / "rows.sqlite")
        >>> rows([Row("a", 0, 0, "fc", "nc", "{}", 0.25, 128, 0)])
        >>> rows.select(measure="nc")[0].value
        0.25
        >>> rows.close()
    """

    def __init__(self, path: str | Path, *, new: bool = True) -> None:
        self.path = Path(path)
        if not new and self.path.stat().st_size == 0:  # SQLite would begin to write to it
            raise lost_rows(self.path)
        writing = Writing(self.path)
        try:
            prepare(writing, new=new)
        except BaseException:
            writing.close()
            raise
        self._connection: Writing | Reading = writing
        self._verified: int | None = None

    def __repr__(self) -> str:
        return f"Rows({str(self.path)!r})"

    @classmethod
    def read(cls, path: str | Path) -> "Rows":
        """Open an existing table for reading.

        Raises:
            FileNotFoundError: if there is no such file.
            DamagedRows: if the file is not a table of rows.
        """
        rows = cls.__new__(cls)
        rows.path = Path(path)
        rows._connection = Reading(rows.path)
        rows._verified = None
        return rows

    def __call__(self, rows: Iterable[Row], arrays: Iterable[Array] = ()) -> None:
        """Write rows and arrays in one transaction.

        Raises:
            ValueError: if two of the rows have the same key, or a field has the wrong type.
            OSError: if they cannot be written, for instance because the disk is full; nothing of the call is
                kept then.
        """
        groups: dict[tuple[str, int], tuple[list[Row], list[Any]]] = {}
        seen: set[tuple[object, ...]] = set()
        for row in rows:
            row = _plain(Row(*row))
            key = (row.run, row.step, row.site, row.measure, row.parameters, row.mode)
            if key in seen:
                raise ValueError(
                    f"two rows of one recording have the same key {dict(zip(_KEY, key, strict=True))}; "
                    "give the measures different names or parameters"
                )
            seen.add(key)
            groups.setdefault(key[:2], ([], []))[0].append(row)
        for run, step, site, name, value, mode in (Array(*array) for array in arrays):
            packed = text(run), whole(step), text(site), text(name), to_bytes(value), text(mode)
            groups.setdefault(packed[:2], ([], []))[1].append(packed)
        with self._connection.transaction() as connection:
            for key, group in groups.items():
                write_recording(connection, *key, *group)

    def select(
        self,
        *,
        run: str | None = None,
        site: str | None = None,
        measure: str | None = None,
        step: int | None = None,
        mode: str | None = None,
    ) -> list[Row]:
        """Return the rows that match, by run, site, measure, parameters, mode and step.

        Raises:
            DamagedRows: if a recording is not what was written.
            ValueError: if ``measure`` looks like a misspelling of a quantity that is known or recorded.
        """
        where, values = _where(run=run, site=site, measure=measure, step=step, mode=mode)
        source, _ = self._sources()
        query = f"SELECT {', '.join(Row._fields)} FROM {source} {where}"
        found = self._connection.fetch(f"{query} ORDER BY run, site, measure, parameters, mode, step", values)
        if measure is not None and not found:
            refuse_misspelled(measure, {name for (name,) in self._connection.fetch("SELECT measure FROM rows")})
        return [_row(values) for values in found]

    def array(
        self, site: str, name: str, *, step: int | None = None, run: str | None = None, mode: str | None = None
    ) -> np.ndarray:
        """Return the array of that name at a site, the latest one unless a step is given.

        Raises:
            DamagedRows: if it is not what was written.
            KeyError: if there is none.
        """
        where, values = _where(run=run, site=site, name=name, step=step, mode=mode)
        _, source = self._sources()
        query = f"SELECT step, digest, value FROM {source} {where} ORDER BY step DESC, mode DESC LIMIT 1"
        found = self._connection.fetch(query, values)
        if not found:
            at = "" if step is None else f" at step {step}"
            raise KeyError(f"no array {name!r} was recorded for site {site!r}{at}")
        at, checksum, content = found[0]
        try:
            if checksum not in (None, digest(content)):
                raise ValueError("its checksum differs")
            return from_bytes(content)
        except (TypeError, ValueError) as error:
            raise damaged_at(self._connection, f"the array {name!r} of site {site!r} at step {at}", at) from error

    def arrays(self) -> list[tuple[str, int, str, str]]:
        """Return the run, step, site and name of each array."""
        _, source = self._sources()
        return self._connection.fetch(f"SELECT DISTINCT run, step, site, name FROM {source} ORDER BY 1, 3, 4, 2")

    def _sources(self) -> tuple[str, str]:
        """Return what to select rows and arrays from, once everything recorded by now is verified."""
        version = version_of(self._connection)
        if version not in SOURCES:
            raise DamagedRows(f"{self.path} has no rows yet; wait for its writer, or restore it from a backup")
        if version == VERSION:
            [(last,)] = self._connection.fetch("SELECT ifnull(max(id), 0) FROM recordings")
            if last != self._verified:
                verify(self._connection, after=min(self._verified or 0, last))
                self._verified = last
        return SOURCES[version]

    def snapshot(self) -> AbstractContextManager[None]:
        """Make all reads within see one state of the table, whatever is written meanwhile.

        Raises:
            WrittenMeanwhileError: by a read within, if a writer appeared.
        """
        return self._connection.snapshot()

    def last_step(self) -> int | None:
        """Return the largest step that has a row; None if there are no rows."""
        source, _ = self._sources()
        return self._connection.fetch(f"SELECT max(step) FROM {source}")[0][0]

    def recordings(self, *, until: int = 2**63 - 1) -> int:
        """Return how many recordings there are up to a step: one for all that was written at once of a run and step."""
        return self._connection.fetch("SELECT count(*) FROM recordings WHERE step <= ?", (whole(until),))[0][0]

    def rename(self, run: str) -> None:
        """Give all rows and arrays to that run."""
        with self._connection.transaction() as connection:
            for table in ("rows", "arrays", "recordings"):
                connection.execute(f"UPDATE {table} SET run = ? WHERE run != ?", (run, run))

    def drop_after(self, step: int) -> None:
        """Remove the rows and arrays of later steps, to continue from ``step``."""
        with self._connection.transaction() as connection:
            for table in ("rows", "arrays", "recordings"):
                connection.execute(f"DELETE FROM {table} WHERE step > ?", (step,))

    def drop_arrays(self, arrays: Iterable[Array]) -> None:
        """Remove the arrays of these runs, steps, sites, names and modes; their values do not matter."""
        arrays = list(arrays)
        if arrays:
            self._sources()  # a new checksum must not hide damage
        with self._connection.transaction() as connection:
            for array in arrays:
                key = array.run, array.step, array.site, array.name, array.mode
                where = "WHERE run = ? AND step = ? AND site = ? AND name = ? AND mode = ?"
                found = connection.execute(f"SELECT recording FROM arrays {where}", key).fetchall()
                connection.execute(f"DELETE FROM arrays {where}", key)
                for (recording,) in found:
                    seal(connection, array.run, array.step, recording)

    def flush(self) -> None:
        """Make everything that was written safe from a power loss too."""
        self._connection.flush()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    def to_pandas(self) -> "pandas.DataFrame":
        """Return all rows as a data frame, one column per field.

        Raises:
            ImportError: if pandas is absent.
        """
        return table_exports.to_pandas(self.select(), Row._fields)

    def to_csv(self, path: str | Path) -> None:
        """Write all rows to a CSV file with a header.

        Text that a spreadsheet would run as a formula, such as a layer named ``=2+3``, gets an apostrophe before it.

        Raises:
            ValueError: if the file is the table itself.
        """
        table_exports.refuse_same(path, self.path)
        table_exports.write_csv(path, Row._fields, self.select())

    def to_parquet(self, path: str | Path) -> None:
        """Write all rows to a Parquet file.

        Raises:
            ImportError: if pandas or pyarrow is absent.
            ValueError: if the file is the table itself.
        """
        table_exports.refuse_same(path, self.path)
        table_exports.write_parquet(path, self.select(), Row._fields)


def _row(values: Sequence[Any]) -> Row:
    row = Row._make(values)
    # SQLite has no NaN and stores NULL for it.
    return row if row.value is not None else row._replace(value=math.nan)


def _where(**equal: Any) -> tuple[str, list[object]]:
    given = {column: value for column, value in equal.items() if value is not None}
    if "step" in given:
        given["step"] = whole(given["step"])
    clause = " AND ".join(f"{column} = ?" for column in given)
    return (f"WHERE {clause}" if clause else "", list(given.values()))


def _plain(row: Row) -> Row:
    """Return a row of Python's own numbers: SQLite would store those of numpy and torch as bytes."""
    try:
        numbers = {name: whole(value) for name in _WHOLE if (value := getattr(row, name)) is not None}
        texts = {name: text(getattr(row, name)) for name in ("run", "site", "measure", "parameters", "mode")}
        if texts["mode"] not in MODES:
            raise TypeError
        unit = None if row.unit is None else text(row.unit)
        return row._replace(value=float(row.value), unit=unit, **texts, **numbers)
    except (OverflowError, TypeError, ValueError):
        raise ValueError(
            f"a row has text, a number as value, whole numbers of at most 64 bits, and a mode of {MODES}; got {row}"
        ) from None
