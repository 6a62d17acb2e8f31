"""The hooks by which a model is watched."""

from collections.abc import Callable
from typing import Any


class Hook:
    """A hook that a copied or pickled model does not take along."""

    def __init__(self, run: Callable[..., object]) -> None:
        self._run = run

    def __call__(self, *args: Any) -> object:
        """What a module calls."""
        return self._run(*args)

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _copied, ()


def _copied() -> Callable[..., None]:
    return _do_nothing


def _do_nothing(*args: Any) -> None:
    """The hook of a copy."""
