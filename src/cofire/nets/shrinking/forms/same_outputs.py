"""Check that a network that was saved and loaded puts out the same numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...loading.batches import arguments, forward
from ...loading.eval_mode import evaluating
from ...surgery.output_change import numbers

TOLERANCE = 1e-5


def outputs_of(model: nn.Module, batch: Any) -> list[Tensor]:
    """Return the real numbers that a network puts out in eval mode, whatever it returns them in."""
    with evaluating(model):
        return [one.detach().cpu() for one in numbers(forward(model, batch))]


def outputs_of_program(program: Callable[..., Any], model: nn.Module, batch: Any) -> list[Tensor]:
    """Return the same of a program that takes the arguments of a network."""
    args, kwargs = arguments(model, batch)
    with torch.no_grad():
        return [one.detach().cpu() for one in numbers(program(*args, **kwargs))]


def difference(mine: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """Return the largest difference of outputs, relative to the largest of ``mine`` where that is above 1.

    Example:
        >>> difference([torch.tensor([1.0, 4.0])], [torch.tensor([1.0, 5.0])])
        0.25
        >>> difference([torch.ones(2)], [torch.ones(3)])
        inf
    """
    if [one.shape for one in mine] != [one.shape for one in theirs]:
        return float("inf")
    worst = 0.0
    for a, b in zip(mine, theirs, strict=True):
        a, b = a.double(), b.double()
        same = (a == b) | (a.isnan() & b.isnan())
        if bool(same.all()):
            continue
        finite = a[a.isfinite()].abs()
        scale = max(1.0, float(finite.max()) if len(finite) else 1.0)
        far = (a - b).abs()[~same]
        worst = max(worst, float(far.max()) / scale if bool(far.isfinite().all()) else float("inf"))
    return worst


def agree(mine: Sequence[Tensor], theirs: Sequence[Tensor], tolerance: float = TOLERANCE) -> bool:
    """Return whether outputs are the same but for rounding in their own precision."""
    coarsest = max((torch.finfo(one.dtype).eps for one in mine), default=0.0)
    return difference(mine, theirs) <= max(tolerance, 8 * coarsest)
