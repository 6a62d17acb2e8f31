"""The hooks that a capture puts on a model."""

from collections.abc import Callable
from typing import Any


class Hook:
    """A forward hook that stays behind when its model is copied or pickled.

    The copy gets a hook that does nothing in its place. Without this a copied model would report to the capture of the
    original, and a pickled one would have to pickle the capture.
    """

    def __init__(self, run: Callable[..., object]) -> None:
        self._run = run

    def __call__(self, *args: Any) -> object:
        """Run the hook; torch calls this."""
        return self._run(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        return Hook, (_do_nothing,)


def _do_nothing(*args: Any) -> None:
    """Stand in for the hook in a copy."""
