"""SIGTERM and SIGINT in a training loop: the first lets the step end, the second leaves at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

ASKED = b"cofire: saving at the end of this step; interrupt again to leave at once\n"


def leave(number: int) -> None:
    """End as a process does that a signal ended: with status 143 after SIGTERM, and as an interrupt after SIGINT.

    Raises:
        KeyboardInterrupt: for SIGINT.
        SystemExit: for other signals.
    """
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def workers_are_watched() -> bool:
    """Return whether a handler of SIGCHLD is set, as torch does with the first data loader that has workers."""
    return callable(signal.getsignal(signal.SIGCHLD))


@contextmanager
def handling(stop: Callable[[int], object]) -> Iterator[None]:
    """Call ``stop`` with the number of the first SIGTERM or SIGINT within; a second one has its usual effect.

    Python allows handlers in the main thread only; elsewhere, and where a signal is ignored, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    before = {number: handler for number, handler in found.items() if handler is not signal.SIG_IGN}

    here = os.getpid()

    def first(number: int, frame: FrameType | None) -> None:
        for one in before:
            # The system's own action needs no interpreter, which may be busy for long.
            signal.signal(one, signal.SIG_DFL if one == signal.SIGTERM else signal.default_int_handler)
        if os.getpid() != here:  # a forked child has nothing to save
            os.kill(os.getpid(), number)
            return
        stop(number)
        _outlive_workers()
        if number == signal.SIGINT:
            os.write(2, ASKED)  # a print may have been interrupted

    for number in before:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _outlive_workers() -> None:
    """Let the step end although workers of a data loader have ended.

    A signal to the whole group, as a terminal and schedulers send it, ends them too, and torch then raises an error
    from a handler of SIGCHLD, wherever the training is.
    """
    handler: Any = signal.getsignal(signal.SIGCHLD)
    if not callable(handler):
        return

    def quiet(number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):
            handler(number, frame)

    signal.signal(signal.SIGCHLD, quiet)
