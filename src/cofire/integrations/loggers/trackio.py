"""A sink for Trackio."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from ..logged_numbers import Quantities
from .sink import LoggerSink


class TrackioSink(LoggerSink):
    """Logs a tracker's rows to a Trackio run, under ``cofire/<layer>/<quantity>`` and at the tracker's step.

    ``trackio.log`` counts its calls unless it is given a step, and goes on from the largest step so far. Give
    ``step=`` in your own calls too, so that both share an axis.

    Args:
        run: the run; by default the one that ``trackio.init`` started.
        quantities: which numbers to log; see `cofire.integrations.logged_numbers.LoggedNumbers`.
        images: also log correlation matrices; see `LoggerSink`.

    Raises:
        ImportError: if trackio is absent.
        ValueError: if no run is active and none is given.
    """

    def __init__(self, run: Any = None, *, quantities: Quantities = None, images: bool = False) -> None:
        super().__init__(quantities, images=images)
        try:
            trackio = import_module("trackio")  # no extra installs it: it wants an older pillow than others do
        except ImportError as error:
            raise ImportError("this needs trackio; install it with: pip install trackio") from error
        self.run = run if run is not None else trackio.context_vars.current_run.get()
        if self.run is None:
            raise ValueError("no active Trackio run; call trackio.init first or pass run")
        self._image = trackio.Image

    def _log_numbers(self, numbers: Mapping[str, float], step: int) -> None:
        self.run.log(dict(numbers), step=step)

    def _log_image(self, name: str, image: np.ndarray, step: int) -> None:
        self.run.log({name: self._image(image)}, step=step)
