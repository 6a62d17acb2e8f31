"""Run directories: configuration, rows, checkpoints, and a lock for the writer."""

import json
import platform
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import torch

from ..._version import __version__
from ...stats._base.notebook import html_lines
from ...stats._base.whole_files import check_no_link, made_folder, replaced, sweep, sync
from ...stats._base.wording import plural
from .description import as_json, differences, made, read_facts
from .last_numbers import last_numbers
from .packing import text
from .processes import follows
from .rows import Row, Rows
from .run_lock import Lock
from .sqlite_connections import DamagedRows
from .starting_over import how_to_start_over, placed
from .training_checkpoints import Checkpoints

if TYPE_CHECKING:
    import pandas

DESCRIPTION = "run.json"
TABLE = "rows.sqlite"
CHECKPOINTS = "checkpoints"


def refuse_part_of_run(path: Path) -> None:
    """Raise a ValueError if a file that is to be written is a part of a run."""
    inside = path.absolute().parent
    if path.name.startswith((DESCRIPTION, TABLE, "lock")) and (inside / DESCRIPTION).exists():
        raise ValueError(f"{path} is a part of the run in {inside}; name another file")


class Run:
    """A run directory, for reading: nothing in it is created, changed or locked.

    ========================  ==========================================================
    ``run.json``              configuration, versions, model, left-out layers, how made
    ``rows.sqlite``           `Rows`: what was recorded
    ``checkpoints/``          the last two, to resume from
    ``lock``                  held by the writer
    ========================  ==========================================================

    Open one with ``Run.open(path)`` to read, ``Run.open(path, mode="write", config=...)`` to start or resume.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.table = Rows.read(self.directory / TABLE)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.directory)!r})"

    def _repr_html_(self) -> str:
        return html_lines([repr(self)]) + last_numbers(self.directory / TABLE)

    @overload
    @staticmethod
    def open(directory: str | Path, *, mode: Literal["read"] = "read") -> "Run": ...
    @overload
    @staticmethod
    def open(
        directory: str | Path,
        *,
        mode: Literal["write"],
        config: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        shared: bool = True,
    ) -> "WritableRun": ...
    @staticmethod
    def open(
        directory: str | Path,
        *,
        mode: Literal["read", "write"] = "read",
        config: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        shared: bool = True,
    ) -> "Run":
        """Open a run directory.

        Args:
            directory: its path; created for writing. ``"runs/auto"`` is a new directory each time: ``runs/run-1``,
                ``runs/run-2``, ...
            mode: ``"read"`` or ``"write"``.
            config: for writing: what determines the run's numbers (numbers, strings, lists and dicts of
                these). It must equal the run's when that is resumed; None skips the check.
            overwrite: for writing: remove an earlier run of the directory. Files of other names stay.
            shared: for writing in several processes of ``torch.distributed``: whether they share the directory. Then
                the first writes, and the others get a `FollowingRun`. With False each writes a directory of its own.

        Raises:
            DamagedRows: if its rows cannot be read, or are gone.
            FileNotFoundError: when reading, if there is no run.
            RunLocked: when writing, if another writer has it open.
            ValueError: when writing, if the configuration differs from the run's, or a part of the run is missing.
        """
        if mode == "write":
            if shared and follows():
                return FollowingRun(directory)
            return WritableRun(directory, config, overwrite=overwrite, shared=shared)
        if mode != "read":
            raise ValueError(f"mode must be 'read' or 'write', got {mode!r}")
        if not (Path(directory) / DESCRIPTION).is_file():
            lost = f"; its {TABLE} is there" if (Path(directory) / TABLE).is_file() else ""
            raise FileNotFoundError(f"{directory} is not a run directory: it has no {DESCRIPTION}{lost}")
        return Run(directory)

    @cached_property
    def name(self) -> str:
        """The directory's name, which its rows state."""
        return self.directory.resolve().name

    @property
    def facts(self) -> dict[str, Any]:
        """The content of ``run.json``.

        Raises:
            ValueError: if it is damaged.
        """
        return read_facts(self.directory / DESCRIPTION)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that determines the run's numbers."""
        return self.facts.get("config") or {}

    @property
    def left_out(self) -> dict[str, str]:
        """The layers that were not measured, with the reason."""
        return self.facts.get("left_out") or {}

    def rows(
        self, *, site: str | None = None, measure: str | None = None, step: int | None = None, mode: str | None = None
    ) -> list[Row]:
        """Return the rows that match, as `Rows.select` does."""
        return self.table.select(site=site, measure=measure, step=step, mode=mode)

    def frame(self) -> "pandas.DataFrame":
        """Return all rows as a data frame; needs pandas."""
        return self.table.to_pandas()

    def array(self, site: str, name: str, *, step: int | None = None, mode: str | None = None) -> np.ndarray:
        """Return a recorded array, the latest unless a step is given.

        Raises:
            DamagedRows: if it is not what was written.
            KeyError: if there is none.
        """
        return self.table.array(site, name, step=step, mode=mode)

    def arrays(self) -> list[tuple[int, str, str]]:
        """Return step, site and name of each array."""
        return [(step, site, name) for _, step, site, name in self.table.arrays()]

    def close(self) -> None:
        """Close the table."""
        self.table.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class WritableRun(Run):
    """A run directory open for writing, by one process at a time."""

    def __init__(
        self,
        directory: str | Path,
        config: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
        shared: bool = False,
    ) -> None:
        normal = as_json(config)
        self.directory, self.shared = placed(Path(directory)), shared
        text(self.name)
        if self.directory.exists() and not self.directory.is_dir():
            raise NotADirectoryError(f"{self.directory} is a file; give a directory")
        made_folder(self.directory)
        self._lock = Lock(self.directory / "lock")
        try:
            if overwrite:
                self._remove_earlier()
            self._start(normal)
        except BaseException:
            self._lock.release()
            raise

    def _start(self, config: dict[str, Any] | None) -> None:
        description = self.directory / DESCRIPTION
        for name in (DESCRIPTION, CHECKPOINTS):
            check_no_link(self.directory / name)
        sweep(self.directory)
        self.checkpoints = Checkpoints(self.directory / CHECKPOINTS)
        self.checkpoints.tidy()
        described = description.exists()
        if described:
            self._refuse_changes(config)
            self._refuse_lost(TABLE, lost=not (self.directory / TABLE).exists())
        else:
            self._refuse_lost(DESCRIPTION, lost=self.checkpoints.exist)
        self.table = Rows(self.directory / TABLE, new=not described)
        try:
            if not described:
                # It is written last, so that a run that has it has all else.
                self._refuse_lost(DESCRIPTION, lost=self.table.recordings() > 0)
                versions = {"cofire": __version__, "torch": str(torch.__version__), "numpy": np.__version__}
                versions["python"] = platform.python_version()
                sync(self.directory)
                self._write_facts({"config": config, "versions": versions, "made": made(), "left_out": {}})
            self.table.rename(self.name)  # the directory may have been renamed
        except BaseException:
            self.table.close()
            raise

    def _refuse_lost(self, name: str, *, lost: bool) -> None:
        if lost:
            raise DamagedRows(
                f"{self.directory} has lost its {name}, which an earlier process wrote; restore it from a backup, or "
                "choose another directory"
            )

    def _remove_earlier(self) -> None:
        Checkpoints(self.directory / CHECKPOINTS).drop_after(-1)
        for suffix in ("", "-wal", "-shm", "-journal"):
            (self.directory / f"{TABLE}{suffix}").unlink(missing_ok=True)
        (self.directory / DESCRIPTION).unlink(missing_ok=True)  # last: what is left of a run is told by it

    def _refuse_changes(self, config: dict[str, Any] | None) -> None:
        facts = self.facts
        if "config" not in facts:
            raise ValueError(f"{self.directory / DESCRIPTION} is damaged: it has no config; restore it from a backup")
        kept = facts["config"]
        if config is None or kept is None or config == kept:
            return
        changes = "\n  ".join(differences(kept, config))
        raise ValueError(
            f"{self.directory} was started with another configuration and cannot be resumed with this one:\n"
            f"  {changes}\nGive the configuration it was started with, or start over: "
            f"{how_to_start_over(self.directory)}"
        )

    @property
    def begun(self) -> bool:
        """Whether an earlier process got beyond step 0 or left a checkpoint, so that this one has to resume."""
        return bool(self.table.last_step()) or self.checkpoints.exist

    def describe(self, **facts: object) -> None:
        """Add facts to ``run.json``, such as the model or the layers left out; write only what changes."""
        old = self.facts
        new = {**old, **(as_json(facts) or {})}
        if new != old:
            self._write_facts(new)

    def _write_facts(self, facts: Mapping[str, Any]) -> None:
        with replaced(self.directory / DESCRIPTION) as file:
            file.write((json.dumps(facts, indent=2) + "\n").encode())

    def save(self, step: int, states: Mapping[str, Any]) -> None:
        """Write a checkpoint, after the rows before it.

        Raises:
            OSError: if it cannot be written; the earlier ones are kept.
        """
        # A power loss must not leave a checkpoint that is ahead of the rows.
        self.table.flush()
        self.checkpoints.save(step, states, recordings=self.table.recordings(until=step))

    def load(self) -> tuple[int, dict[str, Any]] | None:
        """Return the newest intact checkpoint, or None; remove rows and checkpoints of later steps.

        Raises:
            DamagedRows: if rows are gone that were there when it was saved.
            ValueError: if all checkpoints are damaged.
        """
        found = self.checkpoints.load()
        if found is None:
            if self.checkpoints.exist:
                raise ValueError(
                    f"all checkpoints in {self.checkpoints.directory} are damaged; restore one from a backup, or "
                    "choose another directory"
                )
            return None
        self.table.last_step()  # verifies what is there
        there = self.table.recordings(until=found.step)
        if there < found.recordings:
            raise DamagedRows(
                f"{self.table.path} has lost rows: up to step {found.step} it has {plural(there, 'recording')}, and "
                f"had {found.recordings:,} when the checkpoint of that step was saved; restore it from a backup, or "
                "choose another directory"
            )
        self.table.drop_after(found.step)
        self.checkpoints.drop_after(found.step)
        return found.step, found.states

    def close(self) -> None:
        """Close the table and release the directory."""
        super().close()
        self._lock.release()


class FollowingRun(WritableRun):
    """A run directory that another process writes: it loads checkpoints and reads rows, and writes nothing.

    `Run.open` returns one with ``mode="write"`` on all but the first process of ``torch.distributed``. What is recorded
    into it is left to the first process.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory, self.shared = Path(directory), True
        self.checkpoints = Checkpoints(self.directory / CHECKPOINTS)

    @cached_property
    def table(self) -> Rows:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The rows, for reading."""
        return Rows.read(self.directory / TABLE)

    @property
    def begun(self) -> bool:
        """False: the first process says whether the run has to be resumed."""
        return False

    def describe(self, **facts: object) -> None:
        """Do nothing."""

    def save(self, step: int, states: Mapping[str, Any]) -> None:
        """Do nothing."""

    def load(self) -> tuple[int, dict[str, Any]] | None:
        """Return the newest intact checkpoint, or None."""
        found = self.checkpoints.load()
        return None if found is None else (found.step, found.states)

    def close(self) -> None:
        """Close the table, if it was read."""
        if "table" in vars(self):
            self.table.close()
