"""Warnings of estimates that reflect the method more than the layer, shown at once or collected."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class HighDimensionWarning(UserWarning):
    """There are too few samples for the dimension: the estimate reflects the method more than the layer."""


class WhiteningWarning(UserWarning):
    """Whitening biased the estimate: clusters far apart or outliers in one unit were mixed into the others."""


_heard: ContextVar[list[UserWarning] | None] = ContextVar("heard", default=None)


@contextmanager
def cautions() -> Iterator[list[UserWarning]]:
    """Collect the warnings of `caution` instead of showing them, so a training loop can show them once."""
    heard: list[UserWarning] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def caution(warning: UserWarning, *, stacklevel: int) -> None:
    """Show or collect a warning; ``stacklevel`` counts as in the caller."""
    heard = _heard.get()
    if heard is not None:
        heard.append(warning)
    else:
        warnings.warn(warning, stacklevel=stacklevel + 1)
