"""Run compiled models uncompiled while something is captured: a compiled graph does not call hooks."""

from threading import RLock
from typing import Any

import torch


class _Eager:
    """Counts the captures that are on: the first switches to eager execution, the last switches back.

    The stance is global to the process and has no stack, so that captures which overlap without nesting would restore
    each other's.
    """

    def __init__(self) -> None:
        self._lock = RLock()  # a collection of garbage may leave while this thread enters
        self._n_on = 0
        self._stance: Any = None

    def enter(self) -> None:
        """Count one more capture."""
        with self._lock:
            if self._n_on == 0:
                self._stance = torch.compiler.set_stance("force_eager")
            self._n_on += 1

    def leave(self) -> None:
        """Count one capture less."""
        with self._lock:
            self._n_on -= 1
            if self._n_on == 0:
                self._stance.__exit__(None, None, None)


eager = _Eager()
