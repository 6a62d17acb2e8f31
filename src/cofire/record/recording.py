"""What a tracker's measures come to at a step: which sites, which inputs, which rows and arrays."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..nets import Site, sites, with_units
from ..nets.layers.layer_names import named_layers
from ..nets.layers.layer_weights import n_groups, unit_weights, whole
from ..nets.layers.patterns import default_less
from .measures import Measure
from .measures.measure import WIDE
from .runs.rows import canonical
from .sampling import Samples
from .schedule import Schedule

Taken = tuple[str, str, str]
"""What tells one taking of a statistic from another at a step: the measure's name, the site and the parameters."""


@dataclass(frozen=True)
class Target:
    """What one statistic is taken of: a name for the rows, and the sites or the weights it reads."""

    name: str
    sites: tuple[Site, ...] = ()
    weights: Callable[[], tuple[Any, ...]] | None = None

    def inputs(self, samples: Samples) -> dict[str, tuple[Any, ...]]:
        """The statistic's arguments, by the name of the rows: one entry, or one for each call."""
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
    """All tasks of a tracker, and the layers that they leave out, with the reason."""

    tasks: tuple[Task, ...]
    left_out: Mapping[str, str]

    @classmethod
    def of(cls, model: nn.Module, measures: Iterable[Measure], every: Schedule) -> "Plan":
        """Find each measure's targets.

        Raises:
            ValueError: if a pattern matches nothing, two measures are the same, or cannot be told apart at a site.
        """
        tasks: dict[Measure, Task] = {}
        left_out: dict[str, str] = {}
        for measure in measures:
            if measure in tasks:
                raise ValueError(f"the measure {measure.identity} is given twice")
            targets, without = _targets(model, measure)
            tasks[measure] = Task(measure, _schedule(measure, every), targets)
            left_out.update(without)
        _refuse_namesakes(tasks.values())
        return cls(tuple(tasks.values()), left_out)

    def due(self, step: int, *, epoch_end: bool = False) -> list[Task]:
        """The tasks to do after a step; at an epoch's end, those that the step alone had not brought up."""
        return [
            task
            for task in self.tasks
            if task.schedule.due(step, epoch_end=epoch_end) and not (epoch_end and task.schedule.due(step))
        ]

    def possible(self, steps: Iterable[int]) -> list[Site]:
        """The sites whose samples may be due at one of the steps."""
        steps = list(steps)
        tasks = [task for task in self.tasks if any(task.schedule.due(step, epoch_end=True) for step in steps)]
        return all_sites(tasks)


def all_sites(tasks: Iterable[Task]) -> list[Site]:
    """The sites of several tasks, each once."""
    return list(dict.fromkeys(site for task in tasks for site in task.sites))


def _refuse_namesakes(tasks: Iterable[Task]) -> None:
    """Two measures may overlap, such as one layer often and all now and then, but what they record must be the same."""
    known: dict[Taken, tuple[Any, ...]] = {}
    for task in tasks:
        measure, parameters = task.measure, canonical(task.measure.parameters_for(WIDE))
        taken = measure.statistic, measure.stage, measure.arrays
        for target in task.targets:
            if known.setdefault((measure.name, target.name, parameters), taken) != taken:
                raise ValueError(
                    f"two measures named {measure.name!r} take different statistics, stages or arrays at "
                    f"{target.name}, and their rows could not be told apart; give one of them another name"
                )


def _schedule(measure: Measure, every: Schedule) -> Schedule:
    return measure.every if isinstance(measure.every, Schedule) else every


def _targets(model: nn.Module, measure: Measure) -> tuple[tuple[Target, ...], Mapping[str, str]]:
    asked = _asked(measure)
    if measure.stage == "both":
        after = sites(model, asked, stage="post")
        before = sites(model, asked, stage="pre")
        pairs = zip(before, after, strict=True)
        return tuple(Target(str(post), (pre, post)) for pre, post in pairs), after.left_out
    if measure.stage == "weights":
        return _weight_targets(model, measure), {}
    found = sites(model, asked, stage=measure.stage)
    return tuple(Target(str(site), (site,)) for site in found), found.left_out


def _asked(measure: Measure) -> Any:
    return default_less(measure.sites, with_units)


def _weight_targets(model: nn.Module, measure: Measure) -> tuple[Target, ...]:
    """Weights are looked up anew at each recording: a loop may have put another tensor in their place."""
    targets = [
        Target(".".join(filter(None, (layer, part))), weights=_weight_reader(module, part))
        for layer, module in _layers(model, measure)
        for part in unit_weights(module)
    ]
    if not targets:
        where = "" if callable(measure.sites) else f" at {measure.sites!r}"
        raise ValueError(f"measure {measure.name!r}: no layer{where} has weights")
    return tuple(targets)


def _layers(model: nn.Module, measure: Measure) -> list[tuple[str, nn.Module]]:
    modules = named_layers(model)
    names = dict.fromkeys(site.layer for site in sites(model, _asked(measure)))
    return [(name, modules[name]) for name in names]


def _weight_reader(module: nn.Module, part: str) -> Callable[[], tuple[Any, ...]]:
    groups = n_groups(module)
    return lambda: (whole(unit_weights(module)[part].detach()), *([groups] if groups > 1 else []))


@dataclass(frozen=True)
class Found:
    """What a measure gave at one target: numbers, and arrays to be worked out when they are wanted."""

    site: str
    parameters: str
    values: Mapping[str, float]
    n_samples: int
    arrays: Callable[[], Mapping[str, np.ndarray]]


def take(task: Task, samples: Samples, taken: set[Taken]) -> list[Found]:
    """Run a task's statistic at each of its targets, outside autograd; what was ``taken`` before, for arrays only."""
    with torch.no_grad():
        return [
            _take_one(task.measure, name, inputs, taken)
            for target in task.targets
            for name, inputs in target.inputs(samples).items()
        ]


def _take_one(measure: Measure, site: str, inputs: tuple[Tensor, ...], taken: set[Taken]) -> Found:
    if measure.stage == "weights" and measure.arrays is not None:
        inputs = tuple(weight.clone() for weight in inputs)  # by the time arrays are made, training has gone on
    inputs = measure.limited(inputs)
    parameters = canonical(measure.parameters_at(inputs))
    key = measure.name, site, parameters
    values = _values(measure, inputs, site) if key not in taken else {}
    taken.add(key)
    n_samples = 0 if measure.stage == "weights" else len(inputs[0])
    return Found(site, parameters, values, n_samples, lambda: measure.array_values(inputs))


def _values(measure: Measure, inputs: tuple[Tensor, ...], site: str) -> dict[str, float]:
    try:
        return measure.values(inputs, site=site)
    except Exception as error:
        error.add_note(f"It was raised by the measure {measure.name!r} at {site or 'the model'}.")
        raise


def model_facts(model: nn.Module) -> dict[str, Any]:
    """What a run says of its model: its class, its size and its layers."""
    return {
        "class": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "layers": {name: repr(module) for name, module in model.named_modules() if not list(module.children())},
    }
