"""A sink for Weights & Biases."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..logged_numbers import Quantities
from ..metric_names import ROOT
from .sink import LoggerSink

try:
    import wandb
except ImportError as error:
    raise ImportError('this needs wandb; install it with: pip install "cofire[loggers]"') from error

STEP = f"{ROOT}/step"


class WandbSink(LoggerSink):
    """Logs a tracker's rows to a W&B run, under ``cofire/<layer>/<quantity>``.

    The x axis of these panels is ``cofire/step``, the tracker's own count, so other logging to the run does not
    interfere.

    Args:
        run: the run, online or offline; by default the one that ``wandb.init`` started.
        quantities: which numbers to log; see `cofire.integrations.logged_numbers.LoggedNumbers`.
        images: also log correlation matrices; see `LoggerSink`.
        commit: as for ``run.log``. False adds the numbers to your next ``log`` call; use it if you log with your own
            ``step=`` after each recording.

    Raises:
        ValueError: if no run is active and none is given.
    """

    def __init__(
        self, run: Any = None, *, quantities: Quantities = None, images: bool = False, commit: bool = True
    ) -> None:
        super().__init__(quantities, images=images)
        run = run if run is not None else wandb.run
        if run is None:
            raise ValueError("no active W&B run; call wandb.init first or pass run")
        self.run, self._commit = run, commit
        # W&B requires its own step to grow with every log call, whoever logs; an axis of our own has no such rule.
        self.run.define_metric(STEP, hidden=True)
        self.run.define_metric(f"{ROOT}/*", step_metric=STEP)

    def _log_numbers(self, numbers: Mapping[str, float], step: int) -> None:
        self.run.log({**numbers, STEP: step}, commit=self._commit)

    def _log_image(self, name: str, image: np.ndarray, step: int) -> None:
        self.run.log({name: wandb.Image(image), STEP: step}, commit=self._commit)
