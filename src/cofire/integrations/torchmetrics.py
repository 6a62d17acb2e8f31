"""Neuronal correlation as a torchmetrics metric, over streaming `Moments`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from ..nets.layer_names import near
from ..stats import CorrelationSummary, Moments
from ..stats.correlation.state_tensors import empty_tensors, from_tensors, to_tensors

try:
    from torchmetrics import Metric
except ImportError as error:
    raise ImportError('this needs torchmetrics; install it with: pip install "cofire[torchmetrics]"') from error

FIELDS = (*(one.name for one in fields(CorrelationSummary) if one.name != "interval"), "rms")
RECORDED = {"nc": "mean_abs"} | {f"nc_{name}": name for name in ("debiased", "noise_floor", "rms", "mean")}
QUANTITIES = {name: name for name in FIELDS} | RECORDED
"""The field of `CorrelationSummary` for each name that the metric takes: its own, and that of recorded quantities."""


class NeuronalCorrelation(Metric):
    """Measures how strongly the units of a layer co-vary: one number of a `CorrelationSummary`.

    The state is one `Moments` as tensors, O(num_units²) for any number of samples. Processes reduce sums instead of
    gathering states, so no process holds the states of all, and ``dist_sync_fn`` is ignored.

    Args:
        num_units: width of the layer.
        quantity: the number to compute: a numeric field of `CorrelationSummary`, such as ``"mean_abs"`` (NC itself),
            ``"debiased"``, ``"noise_floor"`` or ``"standard_error"``, or the name that rows have for it, such as
            ``"nc_debiased"``.
        compute_dtype: dtype of the products, as for `Moments`.
        **kwargs: passed to ``torchmetrics.Metric``.

    Shapes: ``update(x)`` takes (n_samples, num_units); ``compute()`` returns a scalar, NaN with fewer than two
    samples or without a pair of units that vary. Counts, such as ``"n_samples"``, are int64.

    The state stays in float64 and int64, whatever type the metric or a model that holds it is cast to.

    Raises:
        ValueError: for an unknown quantity, fewer than one unit, or a batch of another width.

    Metrics of one layer that differ only in ``quantity`` share their state in a ``MetricCollection``.

    Example:
        >>> from torchmetrics import MetricCollection
        >>> found = MetricCollection({name: NeuronalCorrelation(4, name) for name in ("mean_abs", "noise_floor")})
        >>> x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
        >>> for batch in x.split(100):
        ...     found.update(batch)
        >>> {name: round(value.item(), 3) for name, value in found.compute().items()}
        {'mean_abs': 0.022, 'noise_floor': 0.025}

    References: Jin, Yi, Huang 2022, Definition 1.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self, num_units: int, quantity: str = "mean_abs", *, compute_dtype: torch.dtype = torch.float64, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(num_units, bool) or not isinstance(num_units, int) or num_units < 1:
            raise ValueError(f"num_units must be a whole number of at least 1, got {num_units!r}")
        if quantity not in QUANTITIES:
            raise ValueError(f"unknown quantity {quantity!r}; {near(quantity, list(QUANTITIES))}")
        self.num_units, self.quantity = num_units, quantity
        self.compute_dtype = Moments(compute_dtype=compute_dtype).compute_dtype
        # No reduction by torchmetrics: co-moments of two processes are not additive, so _sync_dist merges the moments.
        for name, value in empty_tensors(num_units).items():
            self.add_state(name, default=value, dist_reduce_fx=None)

    def update(self, x: Tensor) -> None:
        """Add a batch (n_samples, num_units)."""
        if x.ndim != 2 or x.shape[1] != self.num_units:
            raise ValueError(f"x must have shape (n_samples, {self.num_units}), got {tuple(x.shape)}")
        self._hold(self._moments().update(x.detach()))
        if self._is_synced and self._cache is not None:  # what unsync() will bring back needs the batch too
            self._cache |= to_tensors(self._moments(self._cache).update(x.detach()).state())

    def compute(self) -> Tensor:
        """Return the number over all samples of all processes."""
        value = getattr(self._moments().summary(), QUANTITIES[self.quantity])
        return torch.tensor(value if isinstance(value, int) else float(value), device=self.device)

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: Any = None) -> Any:
        """Plot one value or several, by default the current one; needs matplotlib.

        Returns:
            Figure and axes.
        """
        return self._plot(val, ax)

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> nn.Module:
        """Move the state as ``to`` and the like ask, without a cast: sums and counts need their digits."""

        def moved(tensor: Tensor) -> Tensor:
            found = fn(tensor)
            return found if found.dtype == tensor.dtype else tensor.to(found.device)

        return super()._apply(moved, exclude_state)

    def _moments(self, state: Mapping[str, Any] | None = None) -> Moments:
        return Moments.from_state(from_tensors(state or self.metric_state), compute_dtype=self.compute_dtype)

    def _hold(self, moments: Moments) -> None:
        """Store moments in the state, unless they are empty."""
        if moments.count:
            for name, value in to_tensors(moments.state()).items():
                setattr(self, name, value.to(self.device))

    def _reduce_states(self, incoming_state: dict[str, Any]) -> None:
        """Merge another state; torchmetrics calls this from ``forward`` and ``merge_state``."""
        self._hold(self._moments(incoming_state) + self._moments())

    def _sync_dist(self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any = None) -> None:
        """Reduce sums over processes, where torchmetrics would gather every state."""
        self._hold(self._moments().all_reduce(process_group or self.process_group))
