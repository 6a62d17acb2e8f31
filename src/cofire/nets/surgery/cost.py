"""The cost of making a network smaller: parameters, output error and accuracy."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from torch import nn

from ..layer_names import unwrap
from ..loading.batches import as_batches
from .cuts import Surgery
from .output_change import output_error
from .output_errors import OutputError
from .scores import NoLabels, accuracy


@dataclass(frozen=True)
class Cost:
    """A network compared with a smaller one made from it.

    Attributes:
        parameters: before and after.
        predicted: how far the outputs were predicted to move on the data that the cuts were made with; see
            :class:`Surgery`.
        measured: how far they move.
        accuracy: share of correct answers before and after; None without labels.
    """

    parameters: tuple[int, int]
    predicted: OutputError | None
    measured: OutputError
    accuracy: tuple[float, float] | None


def cost(model: nn.Module, surgery: Surgery, data: Any) -> Cost:
    """Measure the cost of a surgery.

    Args:
        model: the network as it was.
        surgery: the result of :func:`fold` or :func:`prune`.
        data: inputs to measure on, as for :func:`fold`; batches (inputs, labels) to measure accuracy too.

    Raises:
        ValueError: for data that cannot be used, or on which the outputs are not finite.

    Example:
        >>> import torch
        >>> from cofire.nets.surgery import prune
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> x = torch.randn(200, 4)
        >>> found = cost(model, prune(model, x, keep=0.5), x)
        >>> found.parameters, found.measured.relative < 1, found.accuracy
        ((58, 30), True, None)
    """
    if not isinstance(surgery, Surgery):
        raise ValueError(
            f"cost takes the result of fold() or prune(), got {type(surgery).__qualname__}; "
            "use output_error to compare two networks"
        )
    batches = as_batches(data)
    measured = output_error(model, surgery.model, batches)
    if not isfinite(measured.rms):
        raise ValueError("the network's outputs on these inputs are NaN or infinite; leave such inputs out")
    n_before, n_after = (sum(one.numel() for one in net.parameters()) for net in (unwrap(model), surgery.model))
    before, after = (_accuracy(net, batches) for net in (model, surgery.model))
    return Cost(
        parameters=(n_before, n_after),
        predicted=surgery.predicted,
        measured=measured,
        accuracy=None if before is None or after is None else (before, after),
    )


def _accuracy(model: nn.Module, batches: Iterable[Any]) -> float | None:
    try:
        return accuracy(model, batches)
    except NoLabels:
        return None
