"""`Results`: the finished tasks of sweeps and their rows, in one SQLite file."""

import json
import sqlite3
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ...record.runs.rows import Row, canonical
from ...record.runs.run_lock import Lock
from ...stats._base.whole_files import sweep
from .experiment import Experiment, Scale
from .repetitions import Failure, Found, Number, Repetition
from .tasks import Task

FILE = "results.sqlite"
CHECKPOINTS = "checkpoints"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY, experiment TEXT NOT NULL, version INTEGER NOT NULL, settings TEXT NOT NULL,
    seeds TEXT NOT NULL, error TEXT, seconds REAL NOT NULL, machine TEXT NOT NULL, device TEXT NOT NULL DEFAULT 'cpu'
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
        seconds: processor time, which other work on the machine hardly changes; on a GPU, time by the clock.
        machine: name of the machine.
        device: kind of device, ``"cpu"`` or ``"cuda"``.
    """

    error: str | None
    seconds: float
    machine: str
    device: str = "cpu"


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
        ...     results.finished(task), results.finished(task, device="cuda")
        (True, False)
    """

    def __init__(self, directory: str | Path, *, write: bool = False) -> None:
        self.directory = Path(directory)
        self._lock: Lock | None = None
        if write:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.directory / "lock")
            if (self.directory / CHECKPOINTS).is_dir():
                sweep(self.directory / CHECKPOINTS)
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
            self._device = _device_column(connection, write)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise ValueError(f"{path} is not a table of results: {error}") from error
        return connection

    def state(self, task: Task, *, device: str = "cpu") -> State | None:
        """Return a task's state on a kind of device, or None if it was not run there."""
        columns = f"error, seconds, machine, {self._device}"
        found = self._connection.execute(f"SELECT {columns} FROM tasks WHERE id = ?", (task.key(device),))
        values = found.fetchone()
        return None if values is None else State._make(values)

    def finished(self, task: Task, *, device: str = "cpu") -> bool:
        """Return whether a task was run on a kind of device without an error."""
        state = self.state(task, device=device)
        return state is not None and state.error is None

    def checkpoint(self, task: Task, *, device: str = "cpu") -> Path:
        """Return where a task that was begun keeps its state, until it is finished."""
        return self.directory / CHECKPOINTS / f"{task.key(device)}.pt"

    def finish(self, task: Task, rows: Iterable[Row], state: State) -> None:
        """Write a task's rows and state, in place of an earlier failure.

        Raises:
            ValueError: if two rows have the same key, or a row's seed is not one of the task's.
            OSError: if the file cannot be written.
        """
        key = task.key(state.device)
        described = (key, task.experiment, task.version, task.settings, json.dumps(task.seeds), *state)
        packed = [(key, *_packed(task, row)) for row in rows]
        try:
            with self._connection:
                self._connection.execute("DELETE FROM rows WHERE task = ?", (key,))
                self._connection.execute("REPLACE INTO tasks VALUES (?,?,?,?,?,?,?,?,?)", described)
                self._connection.executemany("INSERT INTO rows VALUES (?,?,?,?,?,?,?,?,?)", packed)
        except sqlite3.IntegrityError as error:
            raise ValueError(f"two rows of {task} have the same measure, site, parameters, seed and step") from error
        except sqlite3.OperationalError as error:
            raise OSError(f"{self.directory / FILE} could not be written ({error}); earlier tasks are safe") from error

    def found(self, experiment: Experiment, scale: Scale) -> Found:
        """Return the repetitions of the points of a scale's grid, whatever tasks they were part of."""
        points = {canonical(point) for point in experiment.grid[scale]}
        columns = f"id, settings, {self._device}, seeds, error, seconds"
        query = f"SELECT {columns} FROM tasks WHERE experiment = ? AND version = ? ORDER BY length(seeds) DESC, id"
        repetitions: list[Repetition] = []
        failures: list[Failure] = []
        for key, settings, device, listed, error, seconds in self._connection.execute(
            query, (experiment.training, experiment.version)
        ):
            seeds = tuple(json.loads(listed))
            if settings not in points:
                continue
            if error is not None:
                failures.append(Failure(settings, device, seeds, error.strip().splitlines()[-1]))
                continue
            numbers = self._numbers(key, seeds)
            repetitions += [Repetition(settings, device, seed, seconds / len(seeds), numbers[seed]) for seed in seeds]
        return Found.of(repetitions, failures)

    def _numbers(self, key: str, seeds: tuple[int, ...]) -> dict[int, list[Number]]:
        numbers: dict[int, list[Number]] = {seed: [] for seed in seeds}
        order = "measure, site, parameters, step, epoch"
        query = f"SELECT seed, {', '.join(Number._fields)} FROM rows WHERE task = ? ORDER BY {order}"
        for seed, *values in self._connection.execute(query, (key,)):
            number = Number._make(values)
            # SQLite has no NaN and stores NULL.
            numbers[seed].append(number._replace(value=float("nan")) if number.value is None else number)
        return numbers

    def close(self) -> None:
        """Close the file and release the directory; a second call does nothing."""
        self._finalizer()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _device_column(connection: sqlite3.Connection, write: bool) -> str:
    """Return the expression for a task's kind of device; files of older versions know none but the CPU."""
    if any(name == "device" for _, name, *_ in connection.execute("PRAGMA table_info(tasks)")):
        return "device"
    if not write:
        return "'cpu'"
    connection.execute("ALTER TABLE tasks ADD COLUMN device TEXT NOT NULL DEFAULT 'cpu'")
    return "device"


def _packed(task: Task, row: Row) -> tuple[object, ...]:
    if row.seed not in task.seeds:
        raise ValueError(f"{task} recorded {row.measure!r} for seed {row.seed}, which is not one of its seeds")
    return (row.seed, row.step, row.epoch, row.site, row.measure, row.parameters, row.value, row.n_samples)
