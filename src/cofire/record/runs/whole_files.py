"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_SUFFIX = ".partial"


@contextmanager
def replaced(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of ``path`` at the end, if nothing failed.

    The bytes go to a temporary file in the same folder, are forced to the disk, and are renamed; then the
    folder is forced to the disk. On an error the old file stays and the temporary one is removed. A link stays and what
    it leads to is replaced; devices and pipes, such as ``/dev/stdout``, are written to as they are.

    Raises:
        OSError: if it could not be written, for instance because the disk is full.
    """
    path = Path(path)
    if _is_no_place_for_a_file(path):
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}{_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)  # noqa: PTH105 - the name of the system call, which tests replace
        sync_directory(target.parent)
    except BaseException as error:
        _remove(temporary)
        if isinstance(error, OSError):
            raise _explained(error, path) from error
        raise


def _is_no_place_for_a_file(path: Path) -> bool:
    """Whether a device or a pipe is there; /dev/stdout may lead to a file that somebody else has open."""
    return path.exists() and not path.is_dir() and (not path.is_file() or path.absolute().is_relative_to("/dev"))


def _remove(path: Path) -> None:
    with suppress(OSError):  # where it could not even be created, there is a better error to raise
        path.unlink()


def _explained(error: OSError, path: Path) -> OSError:
    """The error in words, of the same kind, naming the file that was meant instead of the temporary one."""
    reason = (error.strerror or str(error)).lower()
    explained = type(error)(f"{path} could not be written ({reason}); what was there before is kept")
    explained.errno = error.errno
    return explained


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
