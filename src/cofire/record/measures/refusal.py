"""Statistics that refuse some samples: in a training loop they give NaN and a warning, once per site."""

from collections.abc import Callable, Sequence
from math import nan
from typing import Any

from torch import Tensor

from ...stats.information.cautions import cautions
from .measure import Cautioned, NotMeasured

TRIED = 64


def cautious(statistic: Callable[..., dict[str, Any]], names: Sequence[str], x: Tensor) -> Any:
    """Return the statistic's values, with its cautions if there are any; NaN under the names where it refuses ``x``.

    A batch that is too small, a unit with an atom, or activations that are no longer finite leave a gap in a curve;
    they don't end the training.
    """
    with cautions() as heard:
        try:
            values = statistic(x)
        except ValueError as refusal:
            return Cautioned(dict.fromkeys(names, nan), f"not measured: {refusal}", NotMeasured)
    return Cautioned(values, str(heard[0]), type(heard[0])) if heard else values
