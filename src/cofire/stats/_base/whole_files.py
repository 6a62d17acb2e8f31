"""Files and folders that appear whole or not at all."""

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_SUFFIX = ".partial"
_STREAMS = ("/dev/fd/", "/dev/std", "/proc/")
"""Where the names of open files are; they are links, also to files."""


@contextmanager
def replaced(path: str | Path) -> Iterator[BinaryIO]:
    """Give a file to write to that replaces ``path`` at the end, if nothing failed.

    The bytes go to a temporary file in the same folder, which is synced to the disk and renamed; then the folder is
    synced. On an error the old file stays and the temporary one is removed. One that a killed process left is removed
    by the next that writes the same file. Devices and pipes, such as ``/dev/stdout``, are written to directly.

    Raises:
        ValueError: if ``path`` is a link: what it leads to may be anyone's.
        OSError: if it could not be written, for instance because the disk is full.
    """
    path = Path(path)
    if _is_stream(path):
        with path.open("wb") as file:
            yield file
        return
    with _begun(path) as (target, temporary):
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # exclusive: it follows no link
        with os.fdopen(handle, "wb") as file:
            _hold(handle)
            yield file
            file.flush()
            os.fsync(handle)
            os.replace(temporary, target)  # noqa: PTH105 - the name of the system call, which tests replace
        sync(target.parent)


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Give a folder to fill that gets the name ``path`` at the end, if nothing failed.

    As `replaced`, for a folder that does not exist yet, or is empty.

    Raises:
        ValueError: if ``path`` is a link.
        OSError: if it could not be written.
    """
    with _begun(Path(path)) as (target, temporary):
        temporary.mkdir()
        handle = os.open(temporary, os.O_RDONLY)
        try:
            _hold(handle)
            yield temporary
            for one in (*temporary.rglob("*"), temporary):
                sync(one)
            os.replace(temporary, target)  # noqa: PTH105 - see above
        finally:
            os.close(handle)
        sync(target.parent)


@contextmanager
def _begun(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the absolute path and that of a temporary file beside it, which is gone at the end."""
    check_no_link(path)
    target = path.absolute()
    _clear_abandoned(target)
    # File systems allow names of 255 bytes.
    temporary = target.with_name(f".{_stem(target)}.{os.getpid()}.{secrets.token_hex(4)}{_SUFFIX}")
    try:
        yield target, temporary
    except BaseException as error:
        _remove(temporary)
        if isinstance(error, OSError):
            raise _explained(error, path) from error
        raise


def check_no_link(path: Path) -> None:
    """Raise a ValueError if a path is a link, which would lead what is written to somebody else's file."""
    if path.is_symlink():
        raise ValueError(f"{path} is a link to {os.readlink(path)}, and links are not written through; name the file")  # noqa: PTH115


def check_target(path: Path) -> None:
    """Raise a ValueError if `replaced` would refuse a path."""
    if not _is_stream(path):
        check_no_link(path)


def _is_stream(path: Path) -> bool:
    """Return whether a path is a device, a pipe or a file that is open, as ``/dev/stdout`` may be."""
    if str(path.absolute()).startswith(_STREAMS):
        return True
    return path.exists() and not path.is_symlink() and not (path.is_file() or path.is_dir())


def _stem(target: Path) -> str:
    return os.fsdecode(os.fsencode(target.name)[:200])


def _hold(handle: int) -> None:
    """Show others that a temporary file is being written, until it is closed, however the process ends."""
    with suppress(OSError):  # some file systems have no locks; then nothing there is taken for abandoned
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _clear_abandoned(target: Path) -> None:
    """Remove what killed processes began to write in place of a file or folder."""
    ours = re.compile(rf"\.{re.escape(_stem(target))}\.\d+(\.[0-9a-f]{{8}})?{re.escape(_SUFFIX)}")
    with suppress(OSError):  # a folder that can't be listed can still be written to
        for left in target.parent.iterdir():
            if ours.fullmatch(left.name) and _is_abandoned(left):
                _remove(left)


def _is_abandoned(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return stat.S_IFMT(os.fstat(handle).st_mode) in (stat.S_IFREG, stat.S_IFDIR)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    with suppress(OSError):  # if it could not even be created, that error is the one to raise
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _explained(error: OSError, path: Path) -> OSError:
    """Return an error of the same kind that names the intended file instead of the temporary one."""
    reason = (error.strerror or str(error)).lower()
    explained = type(error)(f"{path} could not be written ({reason}); what was there before is kept")
    explained.errno = error.errno
    return explained


def sync(path: Path) -> None:
    """Sync a file, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def made_folder(path: Path) -> None:
    """Create a folder and those above it, as far as they are missing, and sync each new name to the disk."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync(one.parent)


def sweep(directory: Path) -> None:
    """Remove temporary files left by a killed process; only the holder of the folder's lock may call this."""
    for left in directory.glob(f".*{_SUFFIX}"):
        if not left.is_dir():
            left.unlink(missing_ok=True)
