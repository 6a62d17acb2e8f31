"""`Results`: the finished tasks of sweeps and their rows, in one SQLite file."""

import json
import sqlite3
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...record.runs.rows import Row
from ...record.runs.run_lock import Lock
from .claim_table import Table
from .tasks import Task

FILE = "results.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY, experiment TEXT NOT NULL, version INTEGER NOT NULL, settings TEXT NOT NULL,
    seeds TEXT NOT NULL, error TEXT, seconds REAL NOT NULL, machine TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rows (
    task TEXT NOT NULL, seed INTEGER, step INTEGER NOT NULL, epoch INTEGER NOT NULL, site TEXT NOT NULL,
    measure TEXT NOT NULL, parameters TEXT NOT NULL, value REAL, n_samples INTEGER NOT NULL,
    PRIMARY KEY (task, measure, site, parameters, seed, step, epoch)
) WITHOUT ROWID;
"""


class State(NamedTuple):
    """State of a task that was run.

    Attributes:
        error: traceback, or None.
        seconds: processor time, which other work on the machine hardly changes.
        machine: name of the machine.
    """

    error: str | None
    seconds: float
    machine: str


class Results:
    """The results of sweeps in a directory.

    A task's rows and its state are written in one transaction: after a kill, a task is either finished, with all its
    rows, or not run at all. One process writes; the processes that run tasks send their rows to it.

    Args:
        directory: directory of the file; created if absent.
        write: whether to hold the directory's lock and write.

    Raises:
        RunLocked: if another process writes there.
        ValueError: if the file is not a table of results.

    Example:
        >>> import tempfile
        >>> from cofire.papers.framework.experiment import row
        >>> task = Task.of("a.fig1", 1, {"width": 3}, [0])
        >>> with Results(tempfile.mkdtemp(), write=True) as results:
        ...     results.finish(task, [row("nc", 0.5, seed=0)], State(None, 1.0, "here"))
        ...     results.table([task]).per_seed(width=3, measure="nc")
        {0: 0.5}
    """

    def __init__(self, directory: str | Path, *, write: bool = False) -> None:
        self.directory = Path(directory)
        self._lock: Lock | None = None
        if write:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.directory / "lock")
        self._connection = self._open(write)
        self._finalizer = weakref.finalize(self, self._connection.close)

    def _open(self, write: bool) -> sqlite3.Connection:
        path = self.directory / FILE
        there = write or path.is_file()
        connection = sqlite3.connect(path if there else ":memory:", timeout=30)
        try:
            if write:
                connection.execute("PRAGMA journal_mode=WAL")
            if write or not there:
                connection.executescript(_SCHEMA)
            connection.execute("SELECT count(*) FROM tasks, rows WHERE 0")
        except sqlite3.DatabaseError as error:
            connection.close()
            raise ValueError(f"{path} is not a table of results: {error}") from error
        return connection

    def state(self, task: Task) -> State | None:
        """Return a task's state, or None if it was not run."""
        found = self._connection.execute("SELECT error, seconds, machine FROM tasks WHERE id = ?", (task.id,))
        values = found.fetchone()
        return None if values is None else State._make(values)

    def finished(self, task: Task) -> bool:
        """Return whether a task was run without an error."""
        state = self.state(task)
        return state is not None and state.error is None

    def finish(self, task: Task, rows: Iterable[Row], state: State) -> None:
        """Write a task's rows and state, in place of an earlier failure.

        Raises:
            ValueError: if two rows have the same key, or a row's seed is not one of the task's.
            OSError: if the file cannot be written.
        """
        described = (task.id, task.experiment, task.version, task.settings, json.dumps(task.seeds), *state)
        packed = [_packed(task, row) for row in rows]
        try:
            with self._connection:
                self._connection.execute("DELETE FROM rows WHERE task = ?", (task.id,))
                self._connection.execute("REPLACE INTO tasks VALUES (?,?,?,?,?,?,?,?)", described)
                self._connection.executemany("INSERT INTO rows VALUES (?,?,?,?,?,?,?,?,?)", packed)
        except sqlite3.IntegrityError as error:
            raise ValueError(f"two rows of {task} have the same measure, site, parameters, seed and step") from error
        except sqlite3.OperationalError as error:
            raise OSError(f"{self.directory / FILE} could not be written ({error}); earlier tasks are safe") from error

    def table(self, tasks: Sequence[Task]) -> Table:
        """Return the rows of finished tasks, each with its task's settings and its own parameters."""
        return Table(record for task in tasks for record in self._records(task))

    def _records(self, task: Task) -> Iterable[dict[str, object]]:
        columns = "seed", "step", "epoch", "site", "measure", "value", "n_samples", "parameters"
        found = self._connection.execute(f"SELECT {', '.join(columns)} FROM rows WHERE task = ?", (task.id,))
        for *values, parameters in found:
            record = dict(zip(columns, values, strict=False))
            if record["value"] is None:  # SQLite has no NaN and stores NULL
                record["value"] = float("nan")
            yield {**task.values, "task": task.id, **record, **json.loads(parameters)}

    def close(self) -> None:
        """Close the file and release the directory; a second call does nothing."""
        self._finalizer()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _packed(task: Task, row: Row) -> tuple[object, ...]:
    if row.seed not in task.seeds:
        raise ValueError(f"{task} recorded {row.measure!r} for seed {row.seed}, which is not one of its seeds")
    return (task.id, row.seed, row.step, row.epoch, row.site, row.measure, row.parameters, row.value, row.n_samples)
