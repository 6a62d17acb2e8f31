"""What to record: a statistic, its parameters, the sites it is taken at, and when."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from ..nets.kinds import ACTIVATION, kind_of
from ..stats.correlation import CorrelationSummary, neuronal_correlation
from ..stats.moments import Moments
from ..stats.preactivation import epsilon as change_in_correlation
from ..stats.weights import weight_correlation_summary
from .rows import canonical
from .schedule import GeometricSteps, Schedule, as_schedule

Stage = Literal["post", "pre", "both", "weights"]
Statistic = Callable[..., Any]

WIDE = 512
HEAT_MAP_UNITS = 256
DUPLICATE = 0.99


@dataclass(frozen=True, eq=False)
class Measure:
    """A statistic, its parameters, the sites to take it at, and the schedule. Frozen.

    Two measures are equal when their `identity` is: name, parameters, sites and stage.

    Args:
        statistic: a function of what ``stage`` names, and of the parameters by keyword. It returns a number,
            which is recorded under the measure's name, or a mapping from names to numbers.
        parameters: numbers, strings, lists, dicts. One that depends on the layer's width may be given as a
            function of the number of units; the rows state its value.
        sites: which layers: a pattern as `cofire.sites` takes it.
        every: when: a `Schedule` or its shorthand (``10``, ``"epoch"``, ``[0, 100]``). None leaves it to the
            tracker.
        stage: what the statistic is given: ``"post"`` (or ``"pre"``): samples (n_samples, n_units) after
            (before) the activation function; ``"both"``: the samples before and those after, the same rows;
            ``"weights"``: a layer's incoming weights, one unit a row, and for a convolution in groups their
            number as a second argument, since units of different groups share no input.
        name: by default that of the statistic.
        arrays: a function like ``statistic`` that returns named arrays; they are large, so they are recorded
            at the recordings that ``arrays_every`` picks (it counts recordings, from 1), and at the last.
        arrays_every: by default the 1st, 2nd, 4th, 8th, ... recording.

    Raises:
        ValueError: if an argument is not as described.

    Example:
        >>> def spread(x, *, quantile):
        ...     return float(x.std(0).quantile(quantile))
        >>> measure = Measure(spread, {"quantile": 0.5}, sites="encoder.*", every=100)
        >>> measure.name, measure.every
        ('spread', EverySteps(k=100))
    """

    statistic: Statistic
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sites: Any = "*"
    every: Schedule | int | str | Iterable[int] | None = None
    stage: Stage = field(default="post", kw_only=True)
    name: str = field(default="", kw_only=True)
    arrays: Statistic | None = field(default=None, kw_only=True)
    arrays_every: Schedule = field(default=GeometricSteps(2), kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.statistic):
            raise ValueError(f"a measure's statistic must be a function of samples, got {self.statistic!r}")
        if self.stage not in get_args(Stage):
            raise ValueError(f"stage must be one of {', '.join(get_args(Stage))}, got {self.stage!r}")
        settle = object.__setattr__
        settle(self, "name", self.name or getattr(self.statistic, "__name__", type(self.statistic).__name__))
        settle(self, "parameters", dict(self.parameters))
        if self.every is not None:
            settle(self, "every", as_schedule(self.every))
        canonical(self._parameters(n_units=WIDE))

    def parameters_at(self, inputs: tuple[Tensor, ...]) -> dict[str, Any]:
        """The parameters for these inputs."""
        return self._parameters(inputs[0].shape[0 if self.stage == "weights" else -1])

    def _parameters(self, n_units: int) -> dict[str, Any]:
        return {name: value(n_units) if callable(value) else value for name, value in self.parameters.items()}

    @cached_property
    def identity(self) -> str:
        """The measure in words: equal for equal measures, in every process."""
        named = {name: getattr(value, "__name__", value) for name, value in self.parameters.items()}
        where = getattr(self.sites, "__name__", self.sites)
        return f"{self.name}{canonical(named)} of {self.stage} at {where}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measure) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def values(self, inputs: tuple[Tensor, ...]) -> dict[str, float]:
        """The numbers, by the name of their row.

        Raises:
            ValueError: if the statistic returned something else.
        """
        found = self.statistic(*inputs, **self.parameters_at(inputs))
        named = found if isinstance(found, Mapping) else {self.name: found}
        return {str(name): self._number(name, value) for name, value in named.items()}

    def _number(self, name: object, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):
            got = type(value).__qualname__
            raise ValueError(
                f"the statistic of measure {self.name!r} must return numbers, got {got} for {name!r}"
            ) from None

    def array_values(self, inputs: tuple[Tensor, ...]) -> dict[str, np.ndarray]:
        """The arrays, by name; none if the measure has none."""
        if self.arrays is None:
            return {}
        found = self.arrays(*inputs, **self.parameters_at(inputs))
        return {name: torch.as_tensor(value).cpu().numpy() for name, value in found.items()}


def as_measure(measure: "Measure | Statistic") -> Measure:
    """A measure, also from a plain function of samples."""
    return measure if isinstance(measure, Measure) else Measure(measure)


def compute_dtype(n_units: int) -> str:
    """``"float32"`` for layers of 512 units and more, twice as fast and 4e-8 off; or ``"float64"``."""
    return "float32" if n_units >= WIDE else "float64"


def layers(name: str, module: nn.Module) -> bool:
    """The pattern for all layers but activation modules, whose output is their layer's "post" already."""
    return kind_of(module) is not ACTIVATION


def correlation(
    *,
    sites: Any = layers,
    stage: Literal["post", "pre"] = "post",
    every: Any = None,
    compute_dtype: Any = compute_dtype,
) -> Measure:
    """Neuronal correlation of the activations: how strongly the units of a layer co-vary on average.

    Rows: ``nc`` (mean abs(rho)), ``nc_debiased``, ``nc_low`` and ``nc_high`` (95 % interval),
    ``nc_noise_floor``, ``nc_rms``, ``nc_mean`` (signed), ``n_units``, ``n_constant``. Arrays: ``histogram``
    (50 counts of abs(rho)), ``correlation`` with ``correlation_units`` (at most 256 units, evenly spaced),
    ``constant_units``, and ``duplicates`` (rows i, j, rho: each unit with its strongest partner, where
    abs(rho) ≥ 0.99).

    Args:
        sites: which layers; by default all but activation modules.
        stage: after (``"post"``) or before (``"pre"``) the activation function.
        every: when; None leaves it to the tracker.
        compute_dtype: ``"float32"`` or ``"float64"`` for the products; by default float32 from 512 units on.

    Example:
        >>> import torch
        >>> values = correlation().values((torch.randn(100, 4),))
        >>> sorted(values)[:4]
        ['n_constant', 'n_units', 'nc', 'nc_debiased']
    """
    return Measure(
        _correlation,
        {"compute_dtype": compute_dtype},
        sites,
        every,
        stage=stage,
        name="correlation",
        arrays=_correlation_arrays,
    )


def _correlation(x: Tensor, *, compute_dtype: str) -> dict[str, float]:
    found = _summary(x, compute_dtype)
    low, high = found.interval
    return {
        "nc": found.mean_abs,
        "nc_debiased": found.debiased,
        "nc_low": low,
        "nc_high": high,
        "nc_noise_floor": found.noise_floor,
        "nc_rms": found.rms,
        "nc_mean": found.mean,
        "n_units": found.n_units,
        "n_constant": found.n_constant,
    }


def _correlation_arrays(x: Tensor, *, compute_dtype: str) -> dict[str, Tensor]:
    moments = Moments(compute_dtype=getattr(torch, compute_dtype)).update(x)
    shown = _evenly_spaced(x.shape[1], HEAT_MAP_UNITS).to(x.device)
    return {
        "histogram": moments.histogram(bins=50),
        "correlation": Moments().update(x[:, shown]).correlation().to(torch.float16),
        "correlation_units": shown,
        "constant_units": moments.constant_units().nonzero()[:, 0],
        "duplicates": _duplicates(*moments.strongest_partner()),
    }


def _evenly_spaced(n_units: int, at_most: int) -> Tensor:
    count = min(n_units, at_most)
    return torch.arange(count) * n_units // max(count, 1)


def _duplicates(rho: Tensor, partner: Tensor) -> Tensor:
    """Pairs (k, 3) of i < j and rho; a pair that found each other stands once. NaN partners fall out."""
    first = (rho.abs() >= DUPLICATE).nonzero()[:, 0]
    pairs = torch.stack([first, partner[first].to(first.dtype)], 1).sort(1).values
    found = torch.cat([pairs.to(torch.float64), rho[first, None].to(torch.float64)], 1)
    order = {(int(i), int(j)): index for index, (i, j) in enumerate(pairs.tolist())}
    return found[sorted(order.values(), key=lambda index: pairs[index].tolist())]


def weight_correlation(*, sites: Any = layers, every: Any = None) -> Measure:
    """Weight correlation: the mean cosine between the incoming weights of two units.

    Rows: ``wc`` (of the absolute cosine), ``wc_signed``, and ``wc_lower_quartile``, ``wc_median``,
    ``wc_upper_quartile`` of the absolute cosine; ``wc_left_out`` counts units whose weights are all zero or not
    finite, which have no direction. No forward pass is needed. A convolution's kernel is read flattened, recurrent
    gates and attention's projections apart.

    Args:
        sites: which layers; by default all but activation modules.
        every: when; None leaves it to the tracker.
    """
    return Measure(_weight_correlation, {}, sites, every, stage="weights", name="weight_correlation")


def _weight_correlation(weight: Tensor, groups: int = 1) -> dict[str, float]:
    found = weight_correlation_summary(weight, groups=groups)
    return {
        "wc": found.mean_abs,
        "wc_signed": found.mean,
        "wc_lower_quartile": found.lower_quartile,
        "wc_median": found.median,
        "wc_upper_quartile": found.upper_quartile,
        "wc_left_out": found.n_zero + found.n_nonfinite,
    }


def epsilon(*, sites: Any = layers, every: Any = None, compute_dtype: Any = compute_dtype) -> Measure:
    """What the activation function does to the correlation: ε = abs(NC after − NC before).

    Row: ``epsilon``, at the site's name; 0 where no activation function follows.

    Args:
        sites: which layers; by default all but activation modules.
        every: when; None leaves it to the tracker.
        compute_dtype: as for `correlation`.

    Example:
        >>> import torch
        >>> x = torch.randn(100, 4)
        >>> epsilon().values((x, x))
        {'epsilon': 0.0}
    """
    return Measure(_epsilon, {"compute_dtype": compute_dtype}, sites, every, stage="both", name="epsilon")


def _epsilon(before: Tensor, after: Tensor, *, compute_dtype: str) -> float:
    return change_in_correlation(_summary(after, compute_dtype).mean_abs, _summary(before, compute_dtype).mean_abs)


_summaries: MutableMapping[Tensor, dict[tuple[str, int], CorrelationSummary]] = WeakIdKeyDictionary()


def _summary(x: Tensor, compute_dtype: str) -> CorrelationSummary:
    """What `correlation` and `epsilon` both ask of the same samples, worked out once."""
    known = _summaries.setdefault(x, {})
    key = compute_dtype, x._version
    if key not in known:
        known[key] = neuronal_correlation(x, compute_dtype=getattr(torch, compute_dtype))
    return known[key]
