"""What to record: a statistic, its parameters, the sites it is taken at, and when."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ...stats._base.quantities import QUANTITIES
from ..arguments import check_whole
from ..runs.rows import canonical
from ..schedule import GeometricSteps, Schedule, as_schedule
from .activation_sample import chosen_rows

Stage = Literal["post", "pre", "both", "weights"]
Statistic = Callable[..., Any]
Shared = dict[tuple[Statistic, int, str], tuple[Any, Tensor]]
"""What was prepared within a recording, by function, input and parameters; with the input itself."""

WIDE = 512


class NotMeasured(UserWarning):
    """A layer has no number: it did not run, a statistic refused its samples, or it is too small to log."""


@dataclass(frozen=True)
class Cautioned:
    """Values with a caution, as a statistic may return them; a tracker warns of it once per site.

    Args:
        values: the values, by the name of their row.
        caution: a sentence.
        category: of the warning.
    """

    values: Mapping[str, Any]
    caution: str
    category: type[Warning] = UserWarning


@dataclass(frozen=True, eq=False)
class Measure:
    """A statistic, its parameters, the sites to take it at, and the schedule. Frozen.

    Two measures are equal when their `identity` is: name, parameters, sites and stage.

    Args:
        statistic: a function of the inputs that ``stage`` names, and of the parameters by keyword. It returns a number,
            which is recorded under the measure's name, a mapping from names to numbers, or `Cautioned`. If the mapping
            has ``n_units_seen``, the rows state this number of units looked at; else all of the layer's units.
        parameters: numbers, strings, lists, dicts. One that depends on the layer's width may be given as a
            function of the number of units; the rows state its value.
        sites: which layers: a pattern as `cofire.nets.sites` takes it. By default all layers with units of their own:
            activation modules and normalizations have those of the layer before them. A pattern that only excludes
            (``"!head"``) keeps the others of these.
        every: when: a `Schedule` or its shorthand (``10``, ``"epoch"``, ``[0, 100]``). None leaves it to the
            tracker.
        stage: the statistic's inputs: ``"post"`` (or ``"pre"``): samples (n_samples, n_units) after (before) the
            activation function; ``"both"``: the samples before and those after, the same rows; ``"weights"``: a
            layer's incoming weights, one unit per row, and for a grouped convolution the number of groups as a second
            argument, because units of different groups share no input.
        name: by default that of the statistic.
        unit: unit of measure, such as ``"nats"``, of numbers that cofire doesn't define itself.
        prepare: a function of one input and the parameters. The statistic gets its results in place of inputs and
            parameters. Within a recording they are computed once for all measures that prepare alike.
        arrays: a function of inputs and parameters that returns named arrays. They are large, so they are recorded only
            at the recordings that ``arrays_every`` picks (it counts recordings, from 1), and at the last.
        arrays_every: by default the 1st, 2nd, 4th, 8th, ... recording.
        max_samples: for costly statistics, the largest number of samples they get: a random choice, the same whenever
            there are as many to choose from.

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
    unit: str | None = field(default=None, kw_only=True)
    prepare: Statistic | None = field(default=None, kw_only=True)
    arrays: Statistic | None = field(default=None, kw_only=True)
    arrays_every: Schedule = field(default=GeometricSteps(2), kw_only=True)
    max_samples: int | None = field(default=None, kw_only=True)
    _cautioned: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.statistic):
            raise ValueError(f"a measure's statistic must be a function of samples, got {self.statistic!r}")
        if self.stage not in get_args(Stage):
            raise ValueError(f"stage must be one of {', '.join(get_args(Stage))}, got {self.stage!r}")
        if self.max_samples is not None:
            check_whole("max_samples", self.max_samples)
            if self.stage == "weights":
                raise ValueError("max_samples limits samples, and a measure of weights gets none; leave it out")
        settle = object.__setattr__  # the class is frozen
        settle(self, "name", self.name or getattr(self.statistic, "__name__", type(self.statistic).__name__))
        settle(self, "parameters", dict(self.parameters))
        if self.every is not None:
            settle(self, "every", as_schedule(self.every))
        canonical(self._arguments(n_units=WIDE))

    def __repr__(self) -> str:
        where = getattr(self.sites, "__name__", self.sites)
        rest = {"parameters": self._named, "sites": where, "every": self.every, "stage": self.stage}
        shown = [f"{name}={value!r}" for name, value in (rest | self._limit).items() if value not in (None, {})]
        return f"Measure({', '.join([repr(self.name), *shown])})"

    def n_units(self, inputs: tuple[Tensor, ...]) -> int:
        """Return the number of units that inputs are of."""
        return inputs[0].shape[0 if self.stage == "weights" else -1]

    def parameters_for(self, n_units: int) -> dict[str, Any]:
        """Return the parameters for a layer of that width, as its rows state them."""
        return self._arguments(n_units) | self._limit

    def _arguments(self, n_units: int) -> dict[str, Any]:
        return {name: value(n_units) if callable(value) else value for name, value in self.parameters.items()}

    @property
    def _limit(self) -> dict[str, int]:
        return {} if self.max_samples is None else {"max_samples": self.max_samples}

    @property
    def _named(self) -> dict[str, Any]:
        return {name: getattr(value, "__name__", value) for name, value in self.parameters.items()}

    @cached_property
    def identity(self) -> str:
        """The measure as text: equal for equal measures, in every process."""
        where = getattr(self.sites, "__name__", self.sites)
        return f"{self.name}{canonical(self._named | self._limit)} of {self.stage} at {where}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measure) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def unit_of(self, name: str) -> str | None:
        """Return the unit of measure of one of its numbers; None if it is unknown."""
        return QUANTITIES[name].unit if name in QUANTITIES else self.unit

    def limited(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return at most ``max_samples`` rows of each input, the same rows of all."""
        n_samples = len(inputs[0])
        if self.max_samples is None or n_samples <= self.max_samples:
            return inputs
        rows = chosen_rows(n_samples, self.max_samples)
        return tuple(samples[rows.to(samples.device)] for samples in inputs)

    def values(self, inputs: tuple[Tensor, ...], *, site: str = "", shared: Shared | None = None) -> dict[str, float]:
        """Return the numbers, by the name of their row; a caution becomes a warning, once per site.

        Args:
            inputs: as ``stage`` says.
            site: for warnings.
            shared: the results that measures have prepared in this recording; this call adds its own.

        Raises:
            ValueError: if the statistic returned something else.
        """
        arguments = self._arguments(self.n_units(inputs))
        if self.prepare is None:
            found = self.statistic(*inputs, **arguments)
        else:
            shared = {} if shared is None else shared
            found = self.statistic(*(_prepared(self.prepare, x, arguments, shared) for x in inputs))
        if isinstance(found, Cautioned):
            self._warn_once(site, found)
            found = found.values
        named = found if isinstance(found, Mapping) else {self.name: found}
        return {str(name): self._number(name, value) for name, value in named.items()}

    def _warn_once(self, site: str, found: Cautioned) -> None:
        if site not in self._cautioned:
            self._cautioned.add(site)
            where = f" at {site}" if site else ""
            warnings.warn(f"{self.name}{where}: {found.caution}", found.category, stacklevel=3)

    def _number(self, name: object, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):
            got = type(value).__qualname__
            raise ValueError(
                f"the statistic of measure {self.name!r} must return numbers, got {got} for {name!r}"
            ) from None

    def array_values(self, inputs: tuple[Tensor, ...]) -> dict[str, np.ndarray]:
        """Return the arrays, by name; none if the measure has none."""
        if self.arrays is None:
            return {}
        found = self.arrays(*inputs, **self._arguments(self.n_units(inputs)))
        return {name: torch.as_tensor(value).cpu().numpy() for name, value in found.items()}


def _prepared(prepare: Statistic, x: Tensor, arguments: Mapping[str, Any], shared: Shared) -> Any:
    key = prepare, id(x), canonical(arguments)
    if key not in shared:
        # The input is kept as well: if it were freed, another tensor could get its id.
        shared[key] = prepare(x, **arguments), x
    return shared[key][0]


def as_measures(measures: "Iterable[Measure | Statistic]") -> list[Measure]:
    """Return at least one measure; plain functions of samples become measures.

    Raises:
        ValueError: if there are none, a measure is not in a list, or a function that makes a measure was not called.
    """
    if isinstance(measures, Measure) or not isinstance(measures, Iterable):
        raise ValueError(f"measures is a list of measures, got {measures!r} alone; put it in brackets: [...]")
    found = []
    for measure in measures:
        if getattr(measure, "__annotations__", {}).get("return") in (Measure, "Measure"):
            name = getattr(measure, "__name__", "it")
            raise ValueError(f"{name} is a function that makes a measure; call it: {name}()")
        found.append(measure if isinstance(measure, Measure) else Measure(measure))
    if not found:
        raise ValueError("measures is empty: nothing would be recorded; give one, such as cofire.record.correlation()")
    return found
