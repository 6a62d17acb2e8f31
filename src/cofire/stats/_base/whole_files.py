"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_SUFFIX = ".partial"


@contextmanager
def replaced(path: str | Path) -> Iterator[BinaryIO]:
    """Give a file to write to that replaces ``path`` at the end, if nothing failed.

    The bytes go to a temporary file in the same folder, which is synced to the disk and renamed; then the folder is
    synced. On an error the old file stays and the temporary one is removed. A link stays, and its target is replaced;
    devices and pipes, such as ``/dev/stdout``, are written to directly.

    Raises:
        OSError: if it could not be written, for instance because the disk is full.
    """
    path = Path(path)
    if _is_device(path):
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


def _is_device(path: Path) -> bool:
    """Return whether a path is a device or a pipe; /dev/stdout may lead to a file that others have open."""
    return path.exists() and not path.is_dir() and (not path.is_file() or path.absolute().is_relative_to("/dev"))


def _remove(path: Path) -> None:
    with suppress(OSError):  # if it could not even be created, that error is the one to raise
        path.unlink()


def _explained(error: OSError, path: Path) -> OSError:
    """Return an error of the same kind that names the intended file instead of the temporary one."""
    reason = (error.strerror or str(error)).lower()
    explained = type(error)(f"{path} could not be written ({reason}); what was there before is kept")
    explained.errno = error.errno
    return explained


def sync_directory(directory: Path) -> None:
    """Sync a folder's list of names to the disk."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(directory: Path) -> None:
    """Remove temporary files left by a killed process; only the holder of the folder's lock may call this."""
    for left in directory.glob(f".*{_SUFFIX}"):
        left.unlink(missing_ok=True)
