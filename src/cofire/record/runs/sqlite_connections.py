"""Connections to a SQLite file: one that writes, and one that reads without leaving a trace."""

import shutil
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from ...stats._base.whole_files import check_no_link, made_folder

# Errors of the machine rather than of the file, which may be fine.
_MACHINE = ("BUSY", "CANTOPEN", "FULL", "IOERR", "LOCKED", "NOMEM", "PERM", "READONLY")
# What sqlite3 raises. It decodes its own messages too, and values may be no text or too large.
_ERRORS = (sqlite3.Error, UnicodeError, OverflowError)


class DamagedRows(ValueError):
    """A file does not hold the rows that were written to it, or never held rows."""


class WrittenMeanwhileError(OSError):
    """A writer appeared while a file was read; read it again."""


class _Connection:
    """What reading and writing share. Threads may share one, as long as they take turns."""

    def __init__(self, path: Path, address: str, *, uri: bool) -> None:
        self.path = path
        try:
            self._connection = sqlite3.connect(address, uri=uri, timeout=30, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._explained(error, "read from") from error
        self._finalizer = weakref.finalize(self, self._connection.close)
        try:
            self.fetch("SELECT count(*) FROM sqlite_master")
        except (OSError, ValueError):
            self.close()
            raise

    def fetch(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return all that a query finds.

        Raises:
            DamagedRows: if the file is damaged.
            OSError: if it cannot be read.
            ValueError: if it is closed.
        """
        try:
            return self._connection.execute(query, values).fetchall()
        except _ERRORS as error:
            raise self._explained(error, "read from") from error

    def _explained(self, error: Exception, doing: str) -> Exception:
        """Return the error to raise in place of SQLite's own, which names no file."""
        if isinstance(error, sqlite3.ProgrammingError):
            return ValueError(f"{self.path} is closed; close a tracker before the run it writes to")
        if isinstance(error, UnicodeEncodeError | OverflowError):
            return ValueError(f"{self.path} can't hold this value: {error}")
        if isinstance(error, sqlite3.IntegrityError):
            return ValueError(f"rows could not be {doing} {self.path}: {error}")
        name = getattr(error, "sqlite_errorname", "")  # such as SQLITE_IOERR_READ; absent for text that isn't UTF-8
        if name.removeprefix("SQLITE_").startswith(_MACHINE):
            return OSError(f"rows could not be {doing} {self.path} ({error}); what was recorded before is safe")
        return DamagedRows(f"{self.path} is damaged, or is not a table of rows ({error}); restore it from a backup")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all reads within see one state of the file."""
        self.fetch("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._finalizer()


class Writing(_Connection):
    """A connection for writing; the file is created, with its folders, if absent."""

    def __init__(self, path: Path) -> None:
        self._files = (path, path.with_name(path.name + "-wal"))
        for one in self._files:
            check_no_link(one)
        made_folder(path.parent)
        super().__init__(path, str(path), uri=False)
        # In WAL mode NORMAL loses nothing when the process dies; `flush` makes rows safe from power loss.
        self.fetch("PRAGMA journal_mode=WAL")
        self.fetch("PRAGMA synchronous=NORMAL")
        self._opened = self._numbers()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Keep everything that is executed within, or nothing.

        Raises:
            OSError: if it cannot be written, for instance because the disk is full, or the file is gone.
        """
        self._check_there()
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
            self._opened = self._numbers()  # the log is created with the first transaction
        except _ERRORS as error:
            raise self._explained(error, "written to") from error

    def flush(self) -> None:
        """Make everything that was written safe from a power loss too."""
        self._check_there()
        self.fetch("PRAGMA wal_checkpoint(PASSIVE)")

    def _check_there(self) -> None:
        """Raise an OSError if the file was removed or exchanged: SQLite would write to what has no name any more."""
        self.fetch("SELECT 1")  # a closed connection says so
        if any(was not in (None, now) for was, now in zip(self._opened, self._numbers(), strict=True)):
            raise OSError(
                f"{self.path} was removed or replaced while it was open, so that nothing more can be recorded in it; "
                "restore it, or record into another directory"
            )

    def _numbers(self) -> list[tuple[int, int] | None]:
        """Return what identifies the table and its write-ahead log."""
        found: list[tuple[int, int] | None] = []
        for path in self._files:
            try:
                status = path.stat()
            except FileNotFoundError:
                found.append(None)
            else:
                found.append((status.st_dev, status.st_ino))
        return found


class Reading:
    """A connection for reading: it creates no file and holds up no writer.

    Without a write-ahead log there is no writer, so the file is opened as immutable, for which SQLite needs no files of
    its own. If a writer appears later, the next query notices, reopens the file and runs again. A log that a killed
    writer left where nothing can be written is read from a copy.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"there is no table of rows at {path}")
        self.path = path
        self._in_snapshot = False
        self._open()

    def _open(self) -> None:
        self._seen = _state(self.path)
        try:
            self._connection = self._connected(self.path)
        except OSError:
            if self._seen is not None:
                raise
            # SQLite needs a file of its own beside a log.
            copy = Path(mkdtemp(prefix="cofire-"))
            weakref.finalize(self, shutil.rmtree, copy, ignore_errors=True)
            self._connection = self._connected(self._copied(copy))

    def _connected(self, place: Path) -> _Connection:
        address = f"{place.resolve().as_uri()}?{'immutable=1' if self._seen else 'mode=ro'}"
        return _Connection(self.path, address, uri=True)

    def _copied(self, folder: Path) -> Path:
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(self.path.with_name(self.path.name + suffix), folder / f"rows{suffix}")
        return folder / "rows"

    @property
    def _outdated(self) -> bool:
        try:
            return self._seen is not None and _state(self.path) != self._seen
        except FileNotFoundError:  # it was moved or removed; the open file stays what it was
            return False

    def fetch(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return all that a query finds.

        Raises:
            DamagedRows: if the file is damaged.
            WrittenMeanwhileError: within `snapshot`, if a writer appeared.
        """
        try:
            found = self._connection.fetch(query, values)
        except DamagedRows:  # half a page looks damaged while it is being written
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
        """Make all reads within see one state of the file."""
        if self._outdated:
            self._connection.close()
            self._open()
        self._in_snapshot = True
        try:
            with self._connection.snapshot():
                yield
        finally:
            self._in_snapshot = False

    def transaction(self) -> Any:
        """Refuse to write."""
        raise OSError(f"rows could not be written to {self.path}, which was opened for reading")

    def flush(self) -> None:
        """Do nothing: nothing was written."""

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written to; None while a writer has it open."""
    if path.with_name(path.name + "-wal").exists():
        return None
    now = path.stat()
    return now.st_ino, now.st_size, now.st_mtime_ns
