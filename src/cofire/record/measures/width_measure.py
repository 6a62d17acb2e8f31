"""The measure of a layer's recommended width: how many of its units would do."""

from math import nan
from typing import Any

from torch import Tensor

from ...stats import Moments
from ...stats._base.definitions import UNEXPLAINED
from ...stats.redundancy.activation_redundancy import width_of
from .measure import Measure


def width(*, sites: Any = "*", every: Any = None, unexplained: float = UNEXPLAINED) -> Measure:
    """Return the measure of width: the fewest units of which all are linear combinations, up to a tolerance.

    Rows: ``width``, and its 95 % interval ``width_low``, ``width_high``; NaN where there are too few samples. It needs
    more samples than the width it finds, so put batches together with ``window``, or give a probe. It costs n_units³:
    record it less often than `correlation` in wide layers.

    Args:
        sites: which layers; by default all with units of their own, see `Measure`.
        every: when; None leaves it to the tracker.
        unexplained: share of the units' variance that may be left unexplained, on average over the units.

    Raises:
        ValueError: if ``unexplained`` is not a share above 0.

    Example:
        >>> import torch
        >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
        >>> width().values((torch.cat([x, x @ torch.ones(3, 5)], 1),))["width"]
        3.0
    """
    if not 0 < unexplained <= 1:
        raise ValueError(f"unexplained must be a share above 0 and at most 1, got {unexplained}")
    return Measure(_width, {"unexplained": unexplained}, sites, every, name="width")


def _width(x: Tensor, *, unexplained: float) -> dict[str, float]:
    found = width_of(Moments().update(x), unexplained=unexplained)
    values = (found.units, *found.interval) if found.enough_samples else (nan, nan, nan)
    return dict(zip(("width", "width_low", "width_high"), values, strict=True))
