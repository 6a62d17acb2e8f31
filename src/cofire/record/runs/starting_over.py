"""Scripts that are run again: a directory for each run, or the earlier run replaced."""

import re
from pathlib import Path

AUTO = "auto"
_NUMBERED = re.compile(r"run-(\d+)")


def placed(directory: Path) -> Path:
    """Return a run's directory; for ``.../auto`` create the next of ``.../run-1``, ``.../run-2``, ..."""
    if directory.name != AUTO:
        return directory
    parent = directory.parent
    parent.mkdir(parents=True, exist_ok=True)
    number = max((int(name[1]) for path in parent.iterdir() if (name := _NUMBERED.fullmatch(path.name))), default=0)
    while True:
        number += 1
        try:
            (parent / f"run-{number}").mkdir()
        except FileExistsError:  # another process was faster
            continue
        return parent / f"run-{number}"


def how_to_start_over(directory: Path) -> str:
    """Return what a user can do whose directory holds an earlier run."""
    new = str(directory.parent / AUTO)
    return f'overwrite=True replaces it, and run="{new}" makes a new directory each time'
