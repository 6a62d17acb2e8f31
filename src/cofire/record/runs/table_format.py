"""The layout of ``rows.sqlite``: its tables, a checksum for each recording, and the upgrade of the first format.

Version 1 had neither checksums nor a row's mode, unit of measure and numbers of units. It is read as it is, and
upgraded when it is opened for writing. `docs/decisions/0017-record-format.md` gives the reasons.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from .sqlite_connections import DamagedRows, Reading, Writing

VERSION = 2

# Without a row id, a table is a single tree: scanning it sees whatever a look-up by key may see, so that a scan that
# agrees with the checksums vouches for both. In `arrays` the value comes last: SQLite keeps large ones on pages of
# their own, which a scan of the other columns doesn't read.
_TABLES = (
    """CREATE TABLE recordings (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, step INTEGER NOT NULL, checksum TEXT NOT NULL
    )""",
    """CREATE TABLE rows (
        run TEXT NOT NULL, step INTEGER NOT NULL, epoch INTEGER NOT NULL, site TEXT NOT NULL,
        measure TEXT NOT NULL, parameters TEXT NOT NULL, value REAL, n_samples INTEGER NOT NULL, seed INTEGER,
        mode TEXT NOT NULL, unit TEXT, n_units_seen INTEGER, n_units INTEGER, recording INTEGER NOT NULL,
        PRIMARY KEY (run, step, site, measure, parameters, mode)
    ) WITHOUT ROWID""",
    """CREATE TABLE arrays (
        run TEXT NOT NULL, step INTEGER NOT NULL, site TEXT NOT NULL, name TEXT NOT NULL, mode TEXT NOT NULL,
        digest TEXT NOT NULL, recording INTEGER NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (run, step, site, name, mode)
    ) WITHOUT ROWID""",
)
SOURCES = {
    1: (
        "(SELECT *, '' AS mode, NULL AS unit, NULL AS n_units_seen, NULL AS n_units FROM rows)",
        "(SELECT *, '' AS mode, NULL AS digest FROM arrays)",
    ),
    VERSION: ("rows", "arrays"),
}
"""What to select rows and arrays from, by version."""

# Both scans follow the primary key, so the order is that of the keys and needs no sorting.
_CONTENT = """
SELECT recording, run, step, 'row', epoch, site, measure, parameters, value, n_samples, seed,
    mode, unit, n_units_seen, n_units FROM rows WHERE {where}
UNION ALL SELECT recording, run, step, 'array', NULL, site, name, digest, NULL, NULL, NULL,
    mode, NULL, NULL, NULL FROM arrays WHERE {where}
"""
_OF_ONE = _CONTENT.format(where="run = ?1 AND step = ?2 AND recording = ?3")
# One statement, because two could see different states of a table that is being written to.
_WITH_CHECKSUMS = f"""{_CONTENT.format(where="recording > ?1")}
UNION ALL SELECT id, run, step, 'checksum', NULL, checksum, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL FROM recordings WHERE id > ?1
"""


def version_of(connection: Reading | Writing) -> int:
    """Return the version of a file's format; 0 for one without tables.

    Raises:
        DamagedRows: if the file is something else than a table of rows.
        ValueError: if a newer version of cofire wrote it.
    """
    [(version,)] = connection.fetch("PRAGMA user_version")
    tables = {name for (name,) in connection.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if version > VERSION:
        raise ValueError(
            f"{connection.path} has format {version}, and this cofire reads formats up to {VERSION}; upgrade cofire"
        )
    if version == 0 and {"rows", "arrays"} == tables:
        return 1
    if version != (VERSION if tables else 0):
        raise DamagedRows(f"{connection.path} is not a table of rows; give another file, or restore it from a backup")
    return version


def prepare(writing: Writing, *, new: bool = True) -> None:
    """Create the tables, or upgrade those of the first format, in one transaction.

    Raises:
        DamagedRows: if there are no tables, but the file is not ``new``.
    """
    if (version := version_of(writing)) == VERSION:
        return
    if not (version or new):
        raise lost_rows(writing.path)
    with writing.transaction() as connection:
        old = version_of(writing)
        for table in ("rows", "arrays") if old else ():
            connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        for create in _TABLES:
            connection.execute(create)
        if old:
            _copy_old(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def lost_rows(path: Path) -> DamagedRows:
    """Return the error for a table that has nothing in it, and once had."""
    return DamagedRows(f"{path} has lost its rows: it is empty; restore it from a backup")


def _copy_old(connection: sqlite3.Connection) -> None:
    rows = "SELECT *, '', NULL, NULL, NULL FROM old_rows WHERE run = ? AND step = ?"
    arrays = "SELECT *, '' FROM old_arrays WHERE run = ? AND step = ?"
    keys = "SELECT run, step FROM old_rows UNION SELECT run, step FROM old_arrays ORDER BY step"
    for run, step in connection.execute(keys).fetchall():
        of_step = connection.execute(rows, (run, step)), connection.execute(arrays, (run, step))
        write_recording(connection, run, step, *of_step)
    for table in ("old_rows", "old_arrays"):
        connection.execute(f"DROP TABLE {table}")


def write_recording(
    connection: sqlite3.Connection, run: str, step: int, rows: Iterable[Sequence[Any]], arrays: Iterable[Sequence[Any]]
) -> None:
    """Write the rows and arrays of one run and step, and their checksum; existing keys keep their value.

    Args:
        connection: within a transaction.
        run: the run.
        step: the step.
        rows: a `Row` each.
        arrays: run, step, site, name, bytes and mode each.
    """
    begun = connection.execute("INSERT INTO recordings (run, step, checksum) VALUES (?, ?, '')", (run, step))
    recording = begun.lastrowid
    connection.executemany(
        f"INSERT INTO rows VALUES ({', '.join('?' * 14)}) ON CONFLICT DO NOTHING", [(*row, recording) for row in rows]
    )
    connection.executemany(
        "INSERT INTO arrays VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        ((*key, mode, digest(value), recording, value) for *key, value, mode in arrays),
    )
    seal(connection, run, step, recording)


def seal(connection: sqlite3.Connection, run: str, step: int, recording: int | None) -> None:
    """Write the checksum of what a recording holds now; remove a recording that holds nothing."""
    # Read back: SQLite stores NaN as NULL and -0.0 as 0, and keys that existed were not written.
    content = [item[3:] for item in connection.execute(_OF_ONE, (run, step, recording))]
    if content:
        connection.execute("UPDATE recordings SET checksum = ? WHERE id = ?", (_checksum(content), recording))
    else:
        connection.execute("DELETE FROM recordings WHERE id = ?", (recording,))


def verify(connection: Reading | Writing, *, after: int) -> None:
    """Compare each recording after number ``after`` with its checksum.

    Raises:
        DamagedRows: if one differs, rows belong to no recording, or a recording is missing.
    """
    found: dict[tuple[Any, ...], list[Any]] = {}
    kept: dict[tuple[Any, ...], str] = {}
    for item in connection.fetch(_WITH_CHECKSUMS, (after,)):
        key, content = item[:3], item[3:]
        if content[0] == "checksum":
            kept[key] = content[2]
        else:
            found.setdefault(key, []).append(content)
    damaged = [key for key in kept | found if kept.get(key) != _checksum(found.get(key, []))]
    if damaged:
        step = min((step for _, _, step in damaged if isinstance(step, int)), default=0)
        raise damaged_at(connection, f"the recording at step {step}", step)


def damaged_at(connection: Reading | Writing, what: str, step: int) -> DamagedRows:
    """Return the error for something recorded at a step that is not what was written."""
    path = connection.path
    return DamagedRows(
        f"{path} is damaged: {what} is not what was written. Restore the file from a backup, or keep the steps before: "
        f"cofire.record.Rows({str(path)!r}).drop_after({step - 1})"
    )


def digest(content: bytes | memoryview) -> str:
    """Return the checksum of bytes, as 32 hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


def _checksum(content: Sequence[Sequence[Any]]) -> str:
    # JSON writes floats with all their digits, and the same text on every version of Python, unlike repr. Whatever it
    # can't write was not written by us.
    return digest(json.dumps(content, separators=(",", ":"), default=repr).encode())
