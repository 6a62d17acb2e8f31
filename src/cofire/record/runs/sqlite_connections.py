"""Connections to a SQLite file: one that writes, and one that reads without a trace."""

import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Statement = tuple[str, Sequence[Sequence[Any]]]
"""A statement, and the values of each time that it is carried out."""


class _Connection:
    """What both have; threads may share one, as long as they take turns."""

    def __init__(self, path: Path, address: str, *, uri: bool) -> None:
        self.path = path
        self._connection = sqlite3.connect(address, uri=uri, timeout=30, check_same_thread=False)
        self._finalizer = weakref.finalize(self, self._connection.close)
        try:
            self._connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.DatabaseError as error:
            self.close()
            raise ValueError(f"{self.path} is not a table of rows: {error}") from error

    def fetch(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """All that a query finds."""
        return self._connection.execute(query, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is fetched within is of one state."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._finalizer()


class Writing(_Connection):
    """A connection for writing; the file is created, with its folders, if absent."""

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, str(path), uri=False)
        # In WAL mode NORMAL loses nothing when the process dies; `flush` makes rows safe from power loss.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(schema)

    def write(self, *statements: Statement) -> None:
        """Carry out all statements in one transaction."""
        try:
            with self._connection:
                for statement, values in statements:
                    self._connection.executemany(statement, values)
        except sqlite3.ProgrammingError as error:
            raise ValueError(f"{self.path} is closed; close a tracker before the run it writes to") from error
        except sqlite3.OperationalError as error:
            raise OSError(
                f"rows could not be written to {self.path} ({error}); what was recorded before is safe"
            ) from error

    def flush(self) -> None:
        """Make all that was written safe from a power loss too."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


class WrittenMeanwhileError(OSError):
    """Somebody began to write to a file while it was read; to read it again is of use."""


class Reading:
    """A connection for reading: it creates no file and holds up no writer.

    Without a write-ahead log nobody is writing, and the file is opened as one that does not change, for which SQLite
    needs no files of its own. Should somebody begin to write all the same, that is seen after each query: the file is
    opened anew, and asked again.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"there is no table of rows at {path}")
        self.path = path
        self._in_snapshot = False
        self._open()

    def _open(self) -> None:
        self._seen = _state(self.path)
        address = f"{self.path.resolve().as_uri()}?{'immutable=1' if self._seen else 'mode=ro'}"
        self._connection = _Connection(self.path, address, uri=True)

    @property
    def _outdated(self) -> bool:
        try:
            return self._seen is not None and _state(self.path) != self._seen
        except FileNotFoundError:  # it was moved or removed, and what was open is as it was
            return False

    def fetch(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """All that a query finds.

        Raises:
            WrittenMeanwhileError: within `snapshot`, if somebody began to write.
        """
        try:
            found = self._connection.fetch(query, values)
        except sqlite3.ProgrammingError:  # closed
            raise
        except sqlite3.DatabaseError:  # such as half a page, if it is being written
            if not self._outdated:
                raise
        else:
            if not self._outdated:
                return found
        if self._in_snapshot:
            raise WrittenMeanwhileError(f"{self.path} began to be written to while it was read; read it again")
        self._connection.close()
        self._open()
        return self.fetch(query, values)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is fetched within is of one state."""
        if self._outdated:
            self._connection.close()
            self._open()
        self._in_snapshot = True
        try:
            with self._connection.snapshot():
                yield
        finally:
            self._in_snapshot = False

    def write(self, *_: Statement) -> None:
        """Refuse."""
        raise OSError(f"rows could not be written to {self.path}, which was opened for reading")

    def flush(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()


def _state(path: Path) -> tuple[int, int, int] | None:
    """What tells whether a file that nobody writes to is still the same; None while somebody writes."""
    if path.with_name(path.name + "-wal").exists():
        return None
    now = path.stat()
    return now.st_ino, now.st_size, now.st_mtime_ns
