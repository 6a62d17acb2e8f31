"""One writer per run directory."""

import fcntl
import os
import socket
import weakref
from datetime import UTC, datetime
from pathlib import Path

from ...stats._base.whole_files import check_no_link


class RunLocked(OSError):
    """Another writer holds the run directory."""


# A forked child (a data loader's worker) shares the file and would keep it locked after its parent is killed.
_held: "weakref.WeakSet[Lock]" = weakref.WeakSet()


def _let_go_in_child() -> None:
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_let_go_in_child)


class Lock:
    """An exclusive lock on a file, released when the process ends, however it ends.

    The kernel keeps the lock, so a file left by a killed process locks nothing; its text only names the holder.

    Raises:
        RunLocked: if another process holds it, or this one.
        ValueError: if it is a link; the lock's text would overwrite what that leads to.
    """

    def __init__(self, path: Path) -> None:
        check_no_link(path)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 1000).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise RunLocked(_refusal(path.parent, holder)) from None
        os.ftruncate(handle, 0)
        os.write(handle, _signature().encode())
        self.release = weakref.finalize(self, os.close, handle)
        _held.add(self)


def _signature() -> str:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {now}"


def _refusal(directory: Path, holder: str) -> str:
    mine = holder.startswith(f"process {os.getpid()} ")
    remedy = "close that tracker or run first" if mine else "wait for it to end"
    return f"{directory} is in use by {holder}; {remedy}, or choose another directory"
