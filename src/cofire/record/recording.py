"""From a tracker's measures to numbers: which layers are due at a step, and the statistics of their samples."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast
from weakref import ReferenceType, ref

import numpy as np
import torch
from torch import Tensor, nn

from ..nets import Site
from ..nets.layer_names import unwrap
from ..nets.layers.layer_weights import asked_weights, check_weights, known_layers
from ..nets.layers.sites import Request, Sites, Stage, asked_layers, asked_sites, check, resolve
from ..nets.wiring.live_wiring import live_wiring
from .measures import Measure
from .measures.measure import WIDE, Shared
from .runs.rows import canonical
from .sampling import Samples
from .schedule import Schedule

Taken = tuple[str, str, str]
"""What identifies a number within a step: the measure's name, the site and the parameters."""


Inputs = tuple[Any, ...]
"""The arguments of a statistic: samples at one site or two, or a weight and its number of blocks."""


@dataclass(frozen=True)
class Task:
    """A measure and its schedule."""

    measure: Measure
    schedule: Schedule

    @property
    def requests(self) -> list[Request]:
        """The layers whose samples it needs; none for weights."""
        stages: dict[str, list[Stage]] = {"weights": [], "both": ["pre", "post"]}
        return [
            Request(self.measure.sites, stage)
            for stage in stages.get(self.measure.stage, [cast(Stage, self.measure.stage)])
        ]


@dataclass(frozen=True)
class Plan:
    """All tasks of a tracker.

    Attributes:
        held: the model, without wrappers; a closed tracker lets it go.
        tasks: the tasks.
    """

    held: "ReferenceType[nn.Module]"
    tasks: tuple[Task, ...]

    @property
    def model(self) -> nn.Module:
        """The model, without wrappers."""
        return cast(nn.Module, self.held())

    @classmethod
    def of(cls, model: nn.Module, measures: Iterable[Measure], every: Schedule) -> "Plan":
        """Make a task of each measure.

        Raises:
            ValueError: if a pattern matches nothing, a measure is given twice, or rows of two would look the same.
        """
        model = unwrap(model)
        tasks: dict[Measure, Task] = {}
        for measure in measures:
            if measure in tasks:
                raise ValueError(f"the measure {measure.identity} is given twice")
            if measure.stage == "weights":
                check_weights(model, measure.sites)
            check(model, [Request(measure.sites)])
            schedule = measure.every if isinstance(measure.every, Schedule) else every
            tasks[measure] = Task(measure, schedule)
        _refuse_namesakes(model, tasks)
        return cls(ref(model), tuple(tasks.values()))

    @property
    def sites(self) -> Sites:
        """What passes of the model have shown so far of the layers that were asked for."""
        return resolve(self.model, requests_of(self.tasks), live_wiring(self.model))

    def due(self, step: int, *, epoch_end: bool = False) -> list[Task]:
        """Return the tasks due after a step; at an epoch's end, those that were not due after the step itself."""
        return [
            task
            for task in self.tasks
            if task.schedule.due(step, epoch_end=epoch_end) and not (epoch_end and task.schedule.due(step))
        ]

    def possible(self, steps: Iterable[int]) -> list[Request]:
        """Return the requests for samples that may be needed at one of the steps."""
        steps = list(steps)
        tasks = [task for task in self.tasks if any(task.schedule.due(step, epoch_end=True) for step in steps)]
        return requests_of(tasks)

    def inputs(self, task: Task, samples: Samples) -> dict[str, Inputs]:
        """Return the arguments of a task's statistic, by the name of each place in the rows.

        Raises:
            ValueError: if a measure of weights finds none.
        """
        if task.measure.stage == "weights":
            return self._weights(task.measure)
        live = live_wiring(self.model)
        found = resolve(self.model, task.requests, live)
        unseen = set(live.unseen(asked_layers(self.model, task.requests)))  # they may have run on another process
        stages = {request.stage for request in task.requests}
        wanted = [site for site in samples if _wanted(site, found) or (site.layer in unseen and site.stage in stages)]
        if task.measure.stage != "both":
            return {str(site): (samples[site],) for site in wanted}
        pairs = [(replace(site, stage="pre"), site) for site in wanted if site.stage == "post"]
        return {str(site): (samples[before], samples[site]) for before, site in pairs if before in samples}

    def _weights(self, measure: Measure) -> dict[str, Inputs]:
        found, left_out = asked_weights(self.model, measure.sites, known_layers(self.model))
        if not found:
            where = "" if callable(measure.sites) else f" at {measure.sites!r}"
            reasons = "".join(f"; {name}: {reason}" for name, reason in left_out.items())
            raise ValueError(f"measure {measure.name!r}: no layer{where} has weights{reasons}")
        return {one.name: (one.read(self.model).detach(), *([one.blocks] if one.blocks > 1 else [])) for one in found}


def _wanted(site: Site, found: Sites) -> bool:
    """Return whether a site with samples was asked for: at all calls, or at this one."""
    return any(site.at_call(None) == one.at_call(None) and one.call in (None, site.call) for one in found)


def requests_of(tasks: Iterable[Task]) -> list[Request]:
    """Return the requests of several tasks, each once."""
    return list(dict.fromkeys(request for task in tasks for request in task.requests))


def _refuse_namesakes(model: nn.Module, measures: Iterable[Measure]) -> None:
    """Refuse two measures that would write different numbers under the same name, site and parameters.

    Measures may overlap, such as one layer often and all layers rarely, as long as they record the same.
    """
    known: dict[Taken, tuple[Any, ...]] = {}
    for measure in measures:
        parameters = canonical(measure.parameters_for(WIDE))
        taken = measure.statistic, measure.prepare, measure.stage, measure.arrays
        request = Request(measure.sites, "pre" if measure.stage == "pre" else "post")
        for site in sorted(map(str, asked_sites(model, [request])), reverse=True):  # the whole model last
            if known.setdefault((measure.name, site, parameters), taken) != taken:
                raise ValueError(
                    f"two measures named {measure.name!r} take different statistics, stages or arrays at "
                    f"{site or 'the model'}, so their rows would look the same; give one of them another name"
                )


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


def take(task: Task, inputs: Mapping[str, Inputs], taken: set[Taken], shared: Shared) -> list[Found]:
    """Run a task's statistic at each of its places, outside autograd.

    Args:
        task: the measure.
        inputs: the statistic's arguments, by place.
        taken: what this step has recorded already: its numbers are left out, its arrays are not. Added to.
        shared: what this recording has prepared already. Added to.
    """
    with torch.no_grad():
        return [_take_one(task.measure, name, one, taken, shared) for name, one in inputs.items()]


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
