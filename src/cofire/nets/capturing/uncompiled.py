"""While something is captured, compiled models run uncompiled: hooks in a compiled graph would not run."""

from threading import Lock
from typing import Any

import torch


class _Eager:
    """Counts the captures that are on; the first asks for eager execution, the last gives it back."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_on = 0
        self._stance: Any = None

    def enter(self) -> None:
        """One more capture is on."""
        with self._lock:
            self._n_on += 1
            if self._n_on == 1:
                self._stance = torch.compiler.set_stance("force_eager")

    def leave(self) -> None:
        """One fewer is."""
        with self._lock:
            self._n_on -= 1
            if self._n_on == 0:
                self._stance.__exit__(None, None, None)


eager = _Eager()
