"""The effect of a model's dropout layers on correlation, measured and as two laws predict it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from ..stats._base.display import Shown
from ..stats._base.notebook import html_lines, html_table
from ..stats.correlation.dropout_laws import dropout_correlation, dropout_second_moment
from ..stats.correlation.moments import Moments
from .capturing.capture import Capture
from .layer_names import first_names, named_layers, unwrap
from .layers.sites import Site
from .loading import batches
from .loading.eval_mode import evaluating
from .torch_private import Dropout

_CHANNELS = {nn.Dropout1d: 1, nn.Dropout2d: 2, nn.Dropout3d: 3}
"""Layers that drop whole channels, and the number of position axes after the channels."""


@dataclass(frozen=True)
class DropoutRow:
    """One dropout layer. Correlations are means of abs(rho) over pairs of units, moments are means of abs(E[x y]).

    Attributes:
        layer: the name of the dropout layer.
        keep: the probability that a unit is kept.
        n_samples: number of measured samples.
        n_units: number of units.
        without: correlation of the layer's input while all dropout is off.
        entering: correlation of the layer's input while the model's dropout is on.
        dropped: correlation of the layer's output while dropout is on.
        pearson_law: prediction for ``dropped`` by ``dropout_correlation``, from mean and covariance of the input.
        paper_law: prediction for ``dropped`` by the paper, keep² times ``entering``.
        second_moment: uncentered second moment of the input while dropout is on.
        second_moment_dropped: the same after a mask of zeros and ones, without the factor 1/keep of ``nn.Dropout``.
        second_moment_law: prediction for ``second_moment_dropped`` by ``dropout_second_moment``.
        noise_floor: the correlation that independent units show over the same number of samples.
    """

    layer: str
    keep: float
    n_samples: int
    n_units: int
    without: float
    entering: float
    dropped: float
    pearson_law: float
    paper_law: float
    second_moment: float
    second_moment_dropped: float
    second_moment_law: float
    noise_floor: float


NAMES = [field.name for field in fields(DropoutRow)]


@dataclass(frozen=True)
class DropoutReport(Shown):
    """The dropout layers of a model, in order; ``str()`` gives a table.

    Attributes:
        rows: one row for each layer.
        left_out: the reason for each dropout layer that was not measured.
    """

    rows: tuple[DropoutRow, ...]
    left_out: Mapping[str, str]

    def __str__(self) -> str:
        table = [NAMES, *self._cells()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
        return "\n".join([*lines, *self._below()])

    def _repr_html_(self) -> str:
        return html_table(NAMES, self._cells()) + html_lines(self._below())

    def _cells(self) -> list[list[str]]:
        rows = [vars(row).values() for row in self.rows]
        return [[f"{value:.4f}" if isinstance(value, float) else str(value) for value in row] for row in rows]

    def _below(self) -> list[str]:
        return [f"left out: {name}: {reason}" for name, reason in self.left_out.items()]


def dropout_report(
    model: nn.Module, loader: Iterable[Any], *, seed: int = 0, forward: Callable[[nn.Module, Any], object] | None = None
) -> DropoutReport:
    """Measure correlation before and after every dropout layer, and compare it with two laws.

    Each batch runs twice in evaluation mode, once as it is and once with masks. The masks come from a separate random
    generator. The model's modes and torch's random state do not change.

    Args:
        model: a model with ``nn.Dropout``, ``Dropout1d``, ``Dropout2d`` or ``Dropout3d`` layers. Dropout called as a
            function (``F.dropout``, or inside ``nn.MultiheadAttention`` and ``nn.LSTM``) is not measured.
        loader: batches. The first element of a tuple or list goes to the model, a mapping as keyword arguments.
        seed: random seed for the masks.
        forward: function of (model, batch) that runs the model in another way.

    Returns:
        A :class:`DropoutReport`. Computing it takes memory for n_units² numbers a layer.

    Raises:
        ValueError: if there is no dropout layer to measure, or the loader is empty.

    Bias:
        Each mean of abs(rho) is at least about ``noise_floor``. The laws predict the mean without noise: compare them
        only if correlations are well above the floor.

    References: Simon 2016, section 2.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 2))
        >>> x = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
        >>> (row,) = dropout_report(model, x.split(500)).rows
        >>> row.layer, row.keep, row.n_samples, row.n_units
        ('2', 0.5, 2000, 6)
        >>> abs(row.dropped - row.pearson_law) < 0.02
        True
    """
    model = unwrap(model)
    layers, left_out = _dropouts(model)
    if not layers:
        reasons = "; ".join(f"{name} {reason}" for name, reason in left_out.items())
        elsewhere = "; F.dropout and the dropout inside attention and LSTM layers are not measured"
        raise ValueError(f"the model has no nn.Dropout layer to measure{f': {reasons}' if reasons else elsewhere}")
    states, unread = _measured(model, layers, loader, seed, forward or batches.forward)
    left_out |= unread
    if not states and unread:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in unread.items())
        raise ValueError(f"no dropout layer could be measured ({reasons})")
    if not states:
        raise ValueError(
            "the loader gave no batch; an iterator is empty after its first use, so pass a list or a DataLoader"
        )
    return DropoutReport(tuple(_row(name, layers[name].p, *of_it) for name, of_it in states.items()), left_out)


def _dropouts(model: nn.Module) -> tuple[dict[str, nn.Dropout], dict[str, str]]:
    layers: dict[str, nn.Dropout] = {}
    left_out: dict[str, str] = {}
    named = named_layers(model)
    first = first_names(named)
    for name, module in named.items():
        if not isinstance(module, Dropout) or first[name] != name:
            continue
        if not isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
            left_out[name] = f"{type(module).__name__} does not set units to 0, which both laws assume"
        elif not 0 < module.p < 1:
            left_out[name] = f"drops with probability {module.p:g}"
        else:
            layers[name] = module  # type: ignore[assignment]  # what they share: p
    return layers, left_out


def _measured(
    model: nn.Module,
    layers: Mapping[str, nn.Dropout],
    loader: Iterable[Any],
    seed: int,
    forward: Callable[[nn.Module, Any], object],
) -> tuple[dict[str, tuple[Moments, Moments, Moments]], dict[str, str]]:
    """Return the moments of each layer's input without dropout, its input with dropout and its output with dropout.

    Also, why the other layers can't be read.
    """
    wanted = [Site(name, "pre") for name in layers]
    captures = [Capture(model, wanted, into=Moments) for _ in range(3)]
    without, entering, dropped = captures
    with ExitStack() as stack, evaluating(model):
        stack.callback(lambda: [one.detach() for one in captures])
        masks = _Masks(layers, seed)
        stack.callback(masks.off)
        for batch in loader:
            without.attach()
            forward(model, batch)
            without.detach()
            # hooks run in the order of registration: the second capture must come after the masks to see their output
            entering.attach()
            masks.on()
            dropped.attach()
            forward(model, batch)
            dropped.detach()
            masks.off()
            entering.detach()
    taken = [_by_layer(one.take()) for one in captures]
    found = {name: (taken[0][name], taken[1][name], taken[2][name]) for name in layers if name in taken[0]}
    ran = {name: reason for name, reason in dropped.left_out.items() if without.sites and name in layers}
    return found, {name: reason for name, reason in ran.items() if name not in found}


def _by_layer(states: Mapping[Site, Moments]) -> dict[str, Moments]:
    """Return the moments of each layer, those of all its calls together."""
    joined: dict[str, Moments] = {}
    for site, state in states.items():
        joined[site.layer] = joined[site.layer] + state if site.layer in joined else state
    return joined


class _Masks:
    """Hooks that drop units with a separate random generator."""

    def __init__(self, layers: Mapping[str, nn.Dropout], seed: int) -> None:
        self._layers = layers
        self._seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}
        self._handles: list[Any] = []

    def on(self) -> None:
        """Start dropping units."""
        for layer in self._layers.values():  # one by one, so that `off` takes off those that were put on
            self._handles.append(layer.register_forward_hook(self._drop))

    def off(self) -> None:
        """Stop dropping units."""
        while self._handles:
            self._handles.pop().remove()

    def _drop(self, layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        positions = _CHANNELS.get(type(layer), 0)
        shape = [size if axis < output.ndim - positions else 1 for axis, size in enumerate(output.shape)]
        if output.device not in self._generators:
            self._generators[output.device] = torch.Generator(output.device).manual_seed(self._seed)
        generator = self._generators[output.device]
        keep = 1 - float(layer.p)  # type: ignore[arg-type]  # every dropout layer has a p
        mask = torch.rand(shape, generator=generator, device=output.device, dtype=torch.float32) < keep
        return output * mask / keep


def _row(layer: str, p: float, without: Moments, entering: Moments, dropped: Moments) -> DropoutRow:
    keep = 1 - p
    mean, covariance = entering.mean(), entering.covariance()
    moment, after = _second_moment(entering), _second_moment(dropped) * keep**2
    before = entering.summary()
    return DropoutRow(
        layer=layer,
        keep=keep,
        n_samples=entering.count,
        n_units=entering.n_units,
        without=without.summary().mean_abs,
        entering=before.mean_abs,
        dropped=dropped.summary().mean_abs,
        pearson_law=_mean_abs(dropout_correlation(covariance, mean, keep=keep)),
        paper_law=keep**2 * before.mean_abs,
        second_moment=_mean_abs(moment),
        second_moment_dropped=_mean_abs(after),
        second_moment_law=_mean_abs(dropout_second_moment(moment, keep=keep)),
        noise_floor=before.noise_floor,
    )


def _second_moment(state: Moments) -> Tensor:
    mean = state.mean()
    return state.covariance() * ((state.count - 1) / state.count) + mean * mean[:, None]


def _mean_abs(matrix: Tensor) -> float:
    """Return the mean over pairs of different units, without undefined values."""
    pairs = matrix[~torch.eye(len(matrix), dtype=torch.bool, device=matrix.device)]
    return float(pairs.abs().nanmean())
