"""A sink for MLflow."""

from collections.abc import Mapping
from time import time

import numpy as np

from ..logged_numbers import Quantities
from .sink import LoggerSink

try:
    import mlflow
    from mlflow.entities import Metric
except ImportError as error:
    raise ImportError('this needs mlflow; install it with: pip install "cofire[loggers]"') from error

MOST_AT_ONCE = 1000
"""The most metrics that a tracking server accepts in one request."""


class MLflowSink(LoggerSink):
    """Logs a tracker's rows as metrics of an MLflow run, under ``cofire/<layer>/<quantity>``.

    Args:
        run_id: the run; by default the active one.
        quantities: which numbers to log; see `cofire.integrations.logged_numbers.LoggedNumbers`.
        images: also log correlation matrices; see `LoggerSink`.

    Raises:
        ValueError: if no run is active and none is given.
    """

    def __init__(self, run_id: str | None = None, *, quantities: Quantities = None, images: bool = False) -> None:
        super().__init__(quantities, images=images)
        active = mlflow.active_run()
        if run_id is None and active is None:
            raise ValueError("no active MLflow run; call mlflow.start_run first or pass run_id")
        self.run_id: str = run_id if run_id is not None else active.info.run_id  # pyright: ignore[reportOptionalMemberAccess]
        self._client = mlflow.MlflowClient()

    def _log_numbers(self, numbers: Mapping[str, float], step: int) -> None:
        now = int(1000 * time())  # milliseconds, as MLflow's interface wants them
        metrics = [Metric(name, value, now, step) for name, value in numbers.items()]
        for start in range(0, len(metrics), MOST_AT_ONCE):
            self._client.log_batch(self.run_id, metrics[start : start + MOST_AT_ONCE])

    def _log_image(self, name: str, image: np.ndarray, step: int) -> None:
        self._client.log_image(self.run_id, image, key=name, step=step)
