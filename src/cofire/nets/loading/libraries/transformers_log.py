"""Silence transformers where its words would stand between ours."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the log and the progress bars of transformers in a block."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.set_verbosity_error()
            logging.disable_progress_bar()
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
