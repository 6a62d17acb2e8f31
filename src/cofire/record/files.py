"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_SUFFIX = ".partial"


@contextmanager
def replaced(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of ``path`` at the end, if nothing failed.

    The bytes go to a temporary file in the same folder, are forced to the disk, and are renamed; then the
    folder is forced to the disk. On an error the old file stays and the temporary one is removed.

    Raises:
        OSError: if it could not be written, for instance because the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the name of the system call, which tests replace
        sync_directory(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(
                error.errno, f"{path} could not be written ({error}); what was there before is kept"
            ) from error
        raise


def sync_directory(directory: Path) -> None:
    """Force a folder's list of names to the disk."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(directory: Path) -> None:
    """Remove the temporary files that a killed process left; only for the one who holds the folder's lock."""
    for left in directory.glob(f".*{_SUFFIX}"):
        left.unlink(missing_ok=True)
