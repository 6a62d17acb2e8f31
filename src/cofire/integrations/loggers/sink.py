"""The base of the sinks: rows become named numbers, symmetric matrices become images."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

import numpy as np

from ...record import Array, Row
from ..logged_numbers import LoggedNumbers, Quantities
from ..metric_names import name

PIXELS = 256
UNDEFINED = (128, 128, 128)


class LoggerSink(ABC):
    """Base of the loggers' sinks, for a tracker's ``sink=``.

    Args:
        quantities: which numbers to log; see `LoggedNumbers`. By default one per measure and layer, and three of the
            run.
        images: also log symmetric matrices, such as the correlations between a layer's units, as images. The measures'
            ``arrays_every`` picks the recordings: by default the 1st, 2nd, 4th, 8th, ... and the last.
    """

    def __init__(self, quantities: Quantities = None, *, images: bool = False) -> None:
        self.takes_arrays = images
        self._numbers = LoggedNumbers(quantities)

    def __call__(self, rows: Sequence[Row], arrays: Sequence[Array] = ()) -> None:
        """Log some of the rows' numbers, and the symmetric matrices among the arrays."""
        for step, of_step in groupby(rows, key=attrgetter("step")):
            if numbers := self._numbers(of_step):
                self._log_numbers(numbers, step)
        for one in arrays if self.takes_arrays else ():
            if is_symmetric(one.value):
                self._log_image(name(one.site, one.name), picture(one.value), one.step)

    @abstractmethod
    def _log_numbers(self, numbers: Mapping[str, float], step: int) -> None: ...

    @abstractmethod
    def _log_image(self, name: str, image: np.ndarray, step: int) -> None: ...


def is_symmetric(value: np.ndarray) -> bool:
    """Return whether an array is a real symmetric matrix; NaN counts as equal to NaN."""
    square = value.ndim == 2 and value.shape[0] == value.shape[1] > 1 and np.issubdtype(value.dtype, np.floating)
    return bool(square and np.array_equal(value, value.T, equal_nan=True))


def picture(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix as an image: blue for -1, white for 0, red for 1, gray for NaN.

    The color scale widens if values exceed ±1. Small matrices are enlarged.

    Returns:
        uint8 of shape (height, width, 3).

    Example:
        >>> picture(np.array([[1.0, -1.0], [-1.0, 1.0]]))[0, [0, -1]].tolist()
        [[178, 24, 43], [33, 102, 172]]
    """
    finite = np.isfinite(matrix)
    values = np.where(finite, matrix, 0).astype(np.float64)
    # Covariances exceed 1; correlations keep the same colors in every image.
    values /= max(1.0, float(np.abs(values).max(initial=0)))
    ends = np.where(values[..., None] > 0, (178.0, 24.0, 43.0), (33.0, 102.0, 172.0))
    colors = 255 + (ends - 255) * np.abs(values)[..., None]
    drawn = np.where(finite[..., None], colors, UNDEFINED).round().astype(np.uint8)
    side = max(1, PIXELS // max(matrix.shape))
    return drawn.repeat(side, 0).repeat(side, 1)
