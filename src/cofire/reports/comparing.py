"""`compare`: two networks or runs side by side, whatever they are given as."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..nets.loading.pretrained_folders import has_weights
from ..nets.redundancy import LEAST_INPUTS, RedundancyReport, inspect
from ..record import Run
from .data.comparison import Comparison, Side
from .data.run_view import read

Compared = nn.Module | Mapping[str, Tensor] | RedundancyReport | Run | str | Path


def compare(a: Compared, b: Compared, data: Any = None) -> Comparison:
    """Compare two networks or two runs layer by layer, with the uncertainty of each difference.

    Layers are matched by name. Runs are compared at their last recording.

    Args:
        a: a model, its weights alone (a state dict, or a file or folder of weights), what `cofire.inspect` returned,
            a run directory or an open run.
        b: what to compare it with.
        data: inputs that both models are run on, as for `cofire.inspect`; by default their weights are compared.

    Returns:
        The comparison. ``print`` it for a table, or give it to `cofire.report` for a page.

    Raises:
        FileNotFoundError: if there is no such file or run.
        ValueError: if one is of another kind, data come with what can't be run on them, or they are too few inputs.

    Example:
        >>> model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> narrow = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
        >>> [(pair.layer, pair.difference("units").value) for pair in compare(model, narrow).pairs]
        [('0', -3), ('2', 0)]
    """
    return Comparison(_side("a", a, data), _side("b", b, data))


def _side(name: str, given: Compared, data: Any) -> Side:
    if isinstance(given, RedundancyReport):
        _refuse_data(data, "was measured already")
        return measured_side(name, given, {})
    if isinstance(given, Run):
        _refuse_data(data, "is a run, compared by its recorded numbers")
        return Side.of_run(str(given.directory), read(given, history=False))
    if isinstance(given, str | Path):
        name = str(given)
        if Path(given).is_dir() and not has_weights(Path(given)):
            with Run.open(given) as run:
                return _side(name, run, data)
    return measured_side(name, inspect(given, data), {})


def _refuse_data(data: Any, why: str) -> None:
    if data is not None:
        raise ValueError(f"data go with models, but one side {why}; leave out data, or give two models")


def measured_side(name: str, report: RedundancyReport, made: Mapping[str, str]) -> Side:
    """Return an inspection as one side of a comparison.

    Raises:
        ValueError: if it saw too few inputs to compare by.
    """
    few = next((layer for layer in report.layers if not layer.enough_inputs), None)
    if few is not None:
        raise ValueError(f"{few.n_inputs} inputs are too few to compare by; run at least {LEAST_INPUTS}")
    assumed = {"assumed": "; ".join(report.assumptions())} if report.assumptions() else {}
    return Side.of_report(name, report, {**made, **assumed})
