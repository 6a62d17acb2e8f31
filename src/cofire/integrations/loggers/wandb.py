"""Rows to Weights & Biases."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..metric_names import ROOT
from .sink import LoggerSink

try:
    import wandb
except ImportError as error:
    raise ImportError('this needs wandb; install it with: pip install "cofire[loggers]"') from error

STEP = f"{ROOT}/step"


class WandbSink(LoggerSink):
    """A tracker's sink that logs to a W&B run, under ``cofire/<layer>/<quantity>``.

    The horizontal axis of these panels is ``cofire/step``, the tracker's own count, so that whatever else is
    logged to the run, and in which order, does not matter.

    Args:
        run: the run; by default the one that ``wandb.init`` has begun. In offline mode it works alike.
        images: also correlation matrices; see `LoggerSink`.
        commit: as for ``run.log``. False adds the numbers to what you log next: needed if you log with ``step=``
            of your own, and do so after each recording.

    Raises:
        ValueError: if there is no run.
    """

    def __init__(self, run: Any = None, *, images: bool = False, commit: bool = True) -> None:
        super().__init__(images=images)
        run = run if run is not None else wandb.run
        if run is None:
            raise ValueError("there is no W&B run; call wandb.init first, or give the sink a run")
        self.run, self._commit = run, commit
        self.run.define_metric(STEP, hidden=True)
        self.run.define_metric(f"{ROOT}/*", step_metric=STEP)

    def _log_numbers(self, numbers: Mapping[str, float], step: int) -> None:
        self.run.log({**numbers, STEP: step}, commit=self._commit)

    def _log_image(self, name: str, image: np.ndarray, step: int) -> None:
        self.run.log({name: wandb.Image(image), STEP: step}, commit=self._commit)
