"""A sink for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..logged_numbers import Quantities
from .sink import LoggerSink

try:
    from torch.utils.tensorboard.writer import SummaryWriter
except ImportError as error:
    raise ImportError('this needs tensorboard; install it with: pip install "cofire[loggers]"') from error


class TensorBoardSink(LoggerSink):
    """Writes a tracker's rows as scalars, under ``cofire/<layer>/<quantity>``.

    Args:
        to: a ``SummaryWriter``, or a directory for a new one, which `close` closes.
        quantities: which numbers to log; see `cofire.integrations.logged_numbers.LoggedNumbers`.
        images: also write correlation matrices; see `LoggerSink`.

    Example:
        >>> import tempfile, torch, cofire
        >>> model = torch.nn.Linear(4, 3)
        >>> with TensorBoardSink(tempfile.mkdtemp()) as sink:
        ...     with cofire.Tracker(model, [cofire.record.correlation()], every=1, sink=sink) as tracker:
        ...         _ = model(torch.randn(32, 4))  # then optimizer.step()
        ...         tracker.step()
    """

    def __init__(self, to: SummaryWriter | str | Path, *, quantities: Quantities = None, images: bool = False) -> None:
        super().__init__(quantities, images=images)
        self._owned = isinstance(to, str | Path)
        self.writer = SummaryWriter(str(to)) if isinstance(to, str | Path) else to

    def _log_numbers(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def _log_image(self, name: str, image: np.ndarray, step: int) -> None:
        self.writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """Flush the writer, and close it if the sink made it."""
        self.writer.flush()
        if self._owned:
            self.writer.close()

    def __enter__(self) -> "TensorBoardSink":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
