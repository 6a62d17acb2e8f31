"""Neuronal correlation as a torchmetrics metric, over streaming `Moments`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from ..stats import CorrelationSummary, Moments
from ..stats.correlation.state_tensors import empty_tensors, from_tensors, to_tensors

try:
    from torchmetrics import Metric
except ImportError as error:
    raise ImportError('this needs torchmetrics; install it with: pip install "cofire[torchmetrics]"') from error

QUANTITIES = (*(one.name for one in fields(CorrelationSummary) if one.name != "interval"), "rms")


class NeuronalCorrelation(Metric):
    """How strongly the units of a layer co-vary: one number of a `CorrelationSummary`.

    State is one `Moments`, held as tensors: O(num_units²), whatever the number of samples. Between processes
    sums are reduced; no process ever holds the states of all. ``dist_sync_fn`` is therefore not used.

    Args:
        num_units: width of the layer.
        quantity: which number: ``"mean_abs"`` (NC itself), ``"debiased"``, ``"noise_floor"``, ``"rms"``,
            ``"standard_error"``, or another numeric field of `CorrelationSummary`.
        compute_dtype: type of the products, as for `Moments`.
        **kwargs: those of ``torchmetrics.Metric``.

    Shapes: ``update(x)`` takes (n_samples, num_units); ``compute()`` gives a scalar, NaN while fewer than two
    samples or one pair of units that vary leave it undefined.

    Raises:
        ValueError: for a quantity that is none, fewer than one unit, or a batch of another width.

    Metrics of one layer that differ in ``quantity`` alone share their state in a ``MetricCollection``.

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
        self,
        num_units: int,
        quantity: str = "mean_abs",
        *,
        compute_dtype: torch.dtype = torch.float64,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(num_units, bool) or not isinstance(num_units, int) or num_units < 1:
            raise ValueError(f"num_units must be a whole number of at least 1, got {num_units!r}")
        if quantity not in QUANTITIES:
            raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, got {quantity!r}")
        self.num_units, self.quantity = num_units, quantity
        self.compute_dtype = Moments(compute_dtype=compute_dtype).compute_dtype
        for name, value in empty_tensors(num_units).items():
            self.add_state(name, default=value, dist_reduce_fx=None)

    def update(self, x: Tensor) -> None:
        """Take in a batch (n_samples, num_units)."""
        if x.ndim != 2 or x.shape[1] != self.num_units:
            raise ValueError(f"x must have shape (n_samples, {self.num_units}), got {tuple(x.shape)}")
        self._hold(self._moments().update(x.detach()))

    def compute(self) -> Tensor:
        """The number asked for, over all samples of all processes."""
        return torch.tensor(float(getattr(self._moments().summary(), self.quantity)), device=self.device)

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: Any = None) -> Any:
        """Draw one value or several, by default the present one; needs matplotlib.

        Returns:
            Figure and axes.
        """
        return self._plot(val, ax)

    def _moments(self, state: Mapping[str, Any] | None = None) -> Moments:
        return from_tensors(state or self.metric_state, compute_dtype=self.compute_dtype)

    def _hold(self, moments: Moments) -> None:
        """Keep what was seen; moments that saw nothing leave the state as it is."""
        if moments.count:
            for name, value in to_tensors(moments).items():
                setattr(self, name, value.to(self.device))

    def _reduce_states(self, incoming_state: dict[str, Any]) -> None:
        """Merge another state; ``forward`` and ``merge_state`` call it."""
        self._hold(self._moments(incoming_state) + self._moments())

    def _sync_dist(self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any = None) -> None:
        """In place of gathering every state: sums over processes."""
        self._hold(self._moments().all_reduce(process_group or self.process_group))
