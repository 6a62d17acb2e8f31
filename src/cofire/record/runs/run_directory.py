"""Run directories: configuration, rows, checkpoints, and a lock for the writer."""

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import torch

from ..._version import __version__
from ...stats._base.whole_files import replaced, sweep
from .rows import Row, Rows
from .run_lock import Lock
from .starting_over import how_to_start_over, placed
from .training_checkpoints import Checkpoints

if TYPE_CHECKING:
    import pandas

DESCRIPTION = "run.json"
TABLE = "rows.sqlite"


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
    ) -> "WritableRun": ...
    @staticmethod
    def open(
        directory: str | Path,
        *,
        mode: Literal["read", "write"] = "read",
        config: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> "Run":
        """Open a run directory.

        Args:
            directory: its path; created for writing. ``"runs/auto"`` is a new directory each time: ``runs/run-1``,
                ``runs/run-2``, ...
            mode: ``"read"`` or ``"write"``.
            config: for writing: what determines the run's numbers (numbers, strings, lists and dicts of
                these). It must equal the run's when that is resumed; None skips the check.
            overwrite: for writing: remove an earlier run of the directory. Files of other names stay.

        Raises:
            DamagedRows: if its rows cannot be read.
            FileNotFoundError: when reading, if there is no run.
            RunLocked: when writing, if another writer has it open.
            ValueError: when writing, if the configuration differs from the run's.
        """
        if mode == "write":
            return WritableRun(directory, config, overwrite=overwrite)
        if mode != "read":
            raise ValueError(f"mode must be 'read' or 'write', got {mode!r}")
        if not (Path(directory) / DESCRIPTION).is_file():
            raise FileNotFoundError(f"{directory} is not a run directory: it has no {DESCRIPTION}")
        return Run(directory)

    @cached_property
    def name(self) -> str:
        """The directory's name, which its rows state."""
        return self.directory.resolve().name

    @property
    def facts(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        return json.loads((self.directory / DESCRIPTION).read_text())

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that determines the run's numbers."""
        return self.facts["config"] or {}

    @property
    def left_out(self) -> dict[str, str]:
        """The layers that were not measured, with the reason."""
        return self.facts.get("left_out", {})

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
        self, directory: str | Path, config: Mapping[str, Any] | None = None, *, overwrite: bool = False
    ) -> None:
        normal = _as_json(config)
        self.directory = placed(Path(directory))
        if self.directory.exists() and not self.directory.is_dir():
            raise NotADirectoryError(f"{self.directory} is a file; give a directory")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(self.directory / "lock")
        try:
            if overwrite:
                self._remove_earlier()
            self._start(normal)
        except BaseException:
            self._lock.release()
            raise

    def _start(self, config: dict[str, Any] | None) -> None:
        sweep(self.directory)
        if (self.directory / DESCRIPTION).exists():
            self._refuse_changes(config)
        else:
            versions = {"cofire": __version__, "torch": str(torch.__version__), "numpy": np.__version__}
            versions["python"] = platform.python_version()
            self._write_facts({"config": config, "versions": versions, "made": _made(), "left_out": {}})
        self.table = Rows(self.directory / TABLE)
        self.table.rename(self.name)  # the directory may have been renamed
        self.checkpoints = Checkpoints(self.directory / "checkpoints")
        self.checkpoints.tidy()

    def _remove_earlier(self) -> None:
        Checkpoints(self.directory / "checkpoints").drop_after(-1)
        for suffix in ("", "-wal", "-shm", "-journal"):
            (self.directory / f"{TABLE}{suffix}").unlink(missing_ok=True)
        (self.directory / DESCRIPTION).unlink(missing_ok=True)  # last: what is left of a run is told by it

    def _refuse_changes(self, config: dict[str, Any] | None) -> None:
        kept = self.facts["config"]
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
        new = {**old, **(_as_json(facts) or {})}
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
        self.checkpoints.save(step, states)

    def load(self) -> tuple[int, dict[str, Any]] | None:
        """Return the newest intact checkpoint, or None; remove rows and checkpoints of later steps."""
        found = self.checkpoints.load()
        if found is not None:
            self.table.drop_after(found[0])
            self.checkpoints.drop_after(found[0])
        return found

    def close(self) -> None:
        """Close the table and release the directory."""
        super().close()
        self._lock.release()


def differences(old: object, new: object, path: str = "") -> Iterator[str]:
    """Return where two nested configurations differ.

    Example:
        >>> list(differences({"lr": 0.1, "net": {"width": 8}}, {"lr": 0.2, "net": {"width": 8}, "seed": 1}))
        ['lr: was 0.1, now 0.2', 'seed: was absent, now 1']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            place = f"{path}.{key}" if path else str(key)
            yield from differences(old.get(key, _ABSENT), new.get(key, _ABSENT), place)
    elif old != new:
        yield f"{path}: was {_shown(old)}, now {_shown(new)}"


_ABSENT = object()


def _shown(value: object) -> str:
    return "absent" if value is _ABSENT else json.dumps(value)


def _as_json(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    try:
        return json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"a configuration must be made of numbers, strings, booleans, None, lists and dicts: {error}"
        ) from None


def _made() -> dict[str, Any]:
    # The program's folder is left out, because reports that show the command may be shared.
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    return {
        "command": " ".join([program, *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
