"""`inspect`: how redundant a network is, whatever it is given as."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...stats._base.definitions import COPY
from ...stats._base.wording import with_article
from ..layers.sites import Asked
from ..loading.checkpoint_files import Checkpoint, read_checkpoint
from .layer_redundancy import RedundancyReport
from .measure_layers import redundancy_report, weight_redundancy_report
from .streaming import Progress


def inspect(
    model: nn.Module | Mapping[str, Tensor] | str | Path,
    data: Any = None,
    pattern: Asked = "*",
    *,
    threshold: float = COPY,
    significance: float = 0.01,
    progress: Progress = lambda done, total: None,
) -> RedundancyReport:
    """Measure how redundant each layer of a network is.

    With data the model is run on them, as `cofire.nets.redundancy.redundancy_report` says; without, the weights alone
    are measured, as `cofire.nets.redundancy.weight_redundancy_report` says.

    Args:
        model: the network; or its weights alone: a state dict, or a file or folder of weights, which is read without
            running any code in it.
        data: a tensor of inputs, or a collection of batches. The first element of a tuple goes to the model, a mapping
            as keyword arguments.
        pattern: the layers to run, as for `cofire.nets.sites`; by default all that make units.
        threshold: abs(rho), or abs(cosine) of weights, at and above which units count as duplicates.
        significance: accepted chance that independent units, or random weights, of a layer show any duplicate.
        progress: called with the steps done and the steps in all.

    Returns:
        The layers in the model's order, and what was left out with the reason. ``print`` it for a table, or give it to
        `cofire.report` for a page.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the model is of another kind, there is nothing to measure, the model cannot take the data, or
            data come without a model.

    Bias:
        Samples are taken as independent. Positions of one image are not: floors and intervals are then too small.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> [layer.n_units for layer in inspect(model).layers]
        [8, 2]
        >>> inspect(model, torch.randn(500, 6)).layers[0].n_samples
        500
    """
    options: dict[str, Any] = {"threshold": threshold, "significance": significance, "progress": progress}
    if data is not None:
        if not isinstance(model, nn.Module):
            raise ValueError(
                f"data need a model to run, got {_kind(model)}; load the weights into their torch.nn.Module"
            )
        return redundancy_report(model, data, pattern, **options)
    if pattern != "*":
        raise ValueError(f"pattern chooses which layers run on data, got {pattern!r} and no data; give data too")
    if isinstance(model, str | Path):
        return checkpoint_report(read_checkpoint(model), **options)
    if not isinstance(model, nn.Module | Mapping):
        raise ValueError(f"a model is a torch.nn.Module, a state dict or a file of weights, got {_kind(model)}")
    return weight_redundancy_report(model, **options)


def checkpoint_report(checkpoint: Checkpoint, **options: Any) -> RedundancyReport:
    """Measure the weights of a file, as `weight_redundancy_report`; what could not be read is left out with the reason.

    Raises:
        ValueError: if there is no weight to measure.
    """
    if not checkpoint.weights:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(checkpoint.left_out.items())[:3])
        found = f"weight that can be read ({reasons})" if reasons else "tensors"
        raise ValueError(f"{checkpoint.path} holds no {found}")
    report = weight_redundancy_report(checkpoint.weights, config=checkpoint.config, **options)
    return replace(report, left_out={**report.left_out, **checkpoint.left_out})


def _kind(value: object) -> str:
    return f"the path {str(value)!r}" if isinstance(value, str | Path) else with_article(type(value).__qualname__)
