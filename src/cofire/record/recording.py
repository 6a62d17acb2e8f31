"""From a tracker's measures to numbers: which sites are due at a step, and the statistics of their samples."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from weakref import ref

import numpy as np
import torch
from torch import Tensor, nn

from ..nets import Site, sites, with_units
from ..nets.layers.layer_names import named_layers
from ..nets.layers.layer_weights import n_groups, unit_weights
from ..nets.layers.patterns import default_less
from .measures import Measure
from .measures.measure import WIDE, Shared
from .runs.rows import canonical
from .sampling import Samples
from .schedule import Schedule

Taken = tuple[str, str, str]
"""What identifies a number within a step: the measure's name, the site and the parameters."""


@dataclass(frozen=True)
class Target:
    """What a statistic is computed from at one place: a name for the rows, and the sites or the weights it reads."""

    name: str
    sites: tuple[Site, ...] = ()
    weights: Callable[[], tuple[Any, ...]] | None = None

    def inputs(self, samples: Samples) -> dict[str, tuple[Any, ...]]:
        """Return the statistic's arguments, by the site in the rows: one entry, or one for each call."""
        if self.weights is not None:
            return {self.name: self.weights()}
        last = self.sites[-1]
        calls = [site for site in samples if site.at_call(None) == last.at_call(None)]
        return {
            str(call): tuple(samples[site.at_call(call.call)] for site in self.sites)
            for call in calls
            if last.call in (None, call.call)
        }


@dataclass(frozen=True)
class Task:
    """A measure, its schedule and its targets in a model."""

    measure: Measure
    schedule: Schedule
    targets: tuple[Target, ...]

    @property
    def sites(self) -> list[Site]:
        """The sites whose samples it needs; none for weights."""
        return [site for target in self.targets for site in target.sites]


@dataclass(frozen=True)
class Plan:
    """All tasks of a tracker, and the layers they leave out, with the reason."""

    tasks: tuple[Task, ...]
    left_out: Mapping[str, str]

    @classmethod
    def of(cls, model: nn.Module, measures: Iterable[Measure], every: Schedule) -> "Plan":
        """Find each measure's targets.

        Raises:
            ValueError: if a pattern matches nothing, a measure is given twice, or rows of two would look the same.
        """
        tasks: dict[Measure, Task] = {}
        left_out: dict[str, str] = {}
        for measure in measures:
            if measure in tasks:
                raise ValueError(f"the measure {measure.identity} is given twice")
            targets, without = _targets(model, measure)
            schedule = measure.every if isinstance(measure.every, Schedule) else every
            tasks[measure] = Task(measure, schedule, targets)
            left_out.update(without)
        _refuse_namesakes(tasks.values())
        return cls(tuple(tasks.values()), left_out)

    def due(self, step: int, *, epoch_end: bool = False) -> list[Task]:
        """Return the tasks due after a step; at an epoch's end, those that were not due after the step itself."""
        return [
            task
            for task in self.tasks
            if task.schedule.due(step, epoch_end=epoch_end) and not (epoch_end and task.schedule.due(step))
        ]

    def possible(self, steps: Iterable[int]) -> list[Site]:
        """Return the sites whose samples may be needed at one of the steps."""
        steps = list(steps)
        tasks = [task for task in self.tasks if any(task.schedule.due(step, epoch_end=True) for step in steps)]
        return all_sites(tasks)


def all_sites(tasks: Iterable[Task]) -> list[Site]:
    """Return the sites of several tasks, each once."""
    return list(dict.fromkeys(site for task in tasks for site in task.sites))


def _refuse_namesakes(tasks: Iterable[Task]) -> None:
    """Refuse two measures that would write different numbers under the same name, site and parameters.

    Measures may overlap, such as one layer often and all layers rarely, as long as they record the same.
    """
    known: dict[Taken, tuple[Any, ...]] = {}
    for task in tasks:
        measure, parameters = task.measure, canonical(task.measure.parameters_for(WIDE))
        taken = measure.statistic, measure.prepare, measure.stage, measure.arrays
        for target in task.targets:
            if known.setdefault((measure.name, target.name, parameters), taken) != taken:
                raise ValueError(
                    f"two measures named {measure.name!r} take different statistics, stages or arrays at "
                    f"{target.name}, so their rows would look the same; give one of them another name"
                )


def _targets(model: nn.Module, measure: Measure) -> tuple[tuple[Target, ...], Mapping[str, str]]:
    asked: Any = default_less(measure.sites, with_units)
    if measure.stage == "weights":
        return _weight_targets(model, measure, sites(model, asked)), {}
    if measure.stage == "both":
        after = sites(model, asked, stage="post")
        before = sites(model, asked, stage="pre")
        pairs = zip(before, after, strict=True)
        return tuple(Target(str(post), (pre, post)) for pre, post in pairs), after.left_out
    found = sites(model, asked, stage=measure.stage)
    return tuple(Target(str(site), (site,)) for site in found), found.left_out


def _weight_targets(model: nn.Module, measure: Measure, found: Iterable[Site]) -> tuple[Target, ...]:
    modules = named_layers(model)
    targets = [
        Target(".".join(filter(None, (layer, part))), weights=_weight_reader(modules[layer], part))
        for layer in dict.fromkeys(site.layer for site in found)
        for part in unit_weights(modules[layer])
    ]
    if not targets:
        where = "" if callable(measure.sites) else f" at {measure.sites!r}"
        raise ValueError(f"measure {measure.name!r}: no layer{where} has weights")
    return tuple(targets)


def _weight_reader(module: nn.Module, part: str) -> Callable[[], tuple[Any, ...]]:
    groups = n_groups(module)
    held = ref(module)  # a closed tracker lets its model go

    def read() -> tuple[Any, ...]:
        # Weights are looked up at each recording, because a loop may have replaced the tensor.
        weights = unit_weights(cast(nn.Module, held()))
        return weights[part].detach(), *([groups] if groups > 1 else [])

    return read


@dataclass(frozen=True)
class Found:
    """What a measure gave at one site: numbers, and arrays to be computed when they are needed."""

    measure: Measure
    site: str
    parameters: str
    values: Mapping[str, float]
    n_samples: int
    n_units: int
    arrays: Callable[[], Mapping[str, np.ndarray]]

    @property
    def n_units_seen(self) -> int:
        """How many of the units were looked at: all, unless the statistic says otherwise."""
        return int(self.values.get("n_units_seen", self.n_units))


def take(task: Task, samples: Samples, taken: set[Taken], shared: Shared) -> list[Found]:
    """Run a task's statistic at each of its targets, outside autograd.

    Args:
        task: the measure and its targets.
        samples: by site.
        taken: what this step has recorded already: its numbers are left out, its arrays are not. Added to.
        shared: what this recording has prepared already. Added to.
    """
    with torch.no_grad():
        return [
            _take_one(task.measure, name, inputs, taken, shared)
            for target in task.targets
            for name, inputs in target.inputs(samples).items()
        ]


def _take_one(measure: Measure, site: str, inputs: tuple[Tensor, ...], taken: set[Taken], shared: Shared) -> Found:
    if measure.stage == "weights" and measure.arrays is not None:
        inputs = tuple(weight.clone() for weight in inputs)  # training will have changed them when arrays are computed
    inputs = measure.limited(inputs)
    n_units = measure.n_units(inputs)
    parameters = canonical(measure.parameters_for(n_units))
    key, values = (measure.name, site, parameters), {}
    if key not in taken:
        try:
            values = measure.values(inputs, site=site, shared=shared)
        except Exception as error:
            error.add_note(f"It was raised by the measure {measure.name!r} at {site or 'the model'}.")
            raise
    taken.add(key)
    n_samples = 0 if measure.stage == "weights" else len(inputs[0])
    return Found(measure, site, parameters, values, n_samples, n_units, lambda: measure.array_values(inputs))


def model_facts(model: nn.Module) -> dict[str, Any]:
    """Return the description of a model for a run: its class, its size and its layers."""
    return {
        "class": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "layers": {name: repr(module) for name, module in model.named_modules() if not list(module.children())},
    }
