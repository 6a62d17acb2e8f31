"""`Task`: the input of one run of an experiment, identified by everything that the run depends on."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from ...record.runs.rows import canonical

Settings = Mapping[str, Any]
DATA_ROOT = "COFIRE_DATA_ROOT"
"""Environment variable with the folder that holds the data sets; not a setting, because results do not depend on it."""


@dataclass(frozen=True)
class Task:
    """A frozen configuration of an experiment and the seeds to run it for.

    Args:
        experiment: name of the experiment.
        version: version of the experiment; a new version makes every configuration a new task.
        settings: JSON text with sorted keys; `Task.of` accepts a mapping.
        seeds: random seeds of the networks that this task trains.

    Example:
        >>> task = Task.of("jin2022.fig7", 1, {"network": "N3", "epochs": 20}, seeds=[0, 1, 2])
        >>> task["network"], task.seeds
        ('N3', (0, 1, 2))
        >>> task.id == Task.of("jin2022.fig7", 1, {"epochs": 20, "network": "N3"}, seeds=[0, 1, 2]).id
        True
    """

    experiment: str
    version: int
    settings: str
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, experiment: str, version: int, settings: Settings, seeds: Iterable[int]) -> "Task":
        """Make a task from a mapping of settings.

        Raises:
            ValueError: if there are no seeds, or the settings hold anything but numbers, strings, booleans, None,
                lists and dicts.
        """
        seeds = tuple(int(seed) for seed in seeds)
        if not seeds:
            raise ValueError(f"a task of {experiment} needs at least one seed, got 0")
        return cls(experiment, version, canonical(settings), seeds)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The settings as a dict, cached: do not change it."""
        return json.loads(self.settings)

    def __getitem__(self, name: str) -> Any:
        """Return a setting by its name.

        Raises:
            KeyError: if there is no such setting.
        """
        try:
            return self.values[name]
        except KeyError:
            raise KeyError(
                f"task of {self.experiment} has no setting {name!r}; it has {', '.join(self.values)}"
            ) from None

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting by its name, or the default."""
        return self.values.get(name, default)

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits, the same in every process and on every machine."""
        whole = json.dumps([self.experiment, self.version, self.settings, self.seeds])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def key(self, device: str) -> str:
        """Return the name of this task's results on a kind of device, ``"cpu"`` or ``"cuda"``."""
        return self.id if device == "cpu" else f"{self.id}@{device}"

    def __str__(self) -> str:
        """Describe the task in one line.

        Example:
            >>> print(Task.of("simon2016.fig1", 1, {"dropout": 0.3, "size": "HUGE"}, [0, 1]))
            simon2016.fig1 dropout=0.3 size=HUGE seeds=0,1
            >>> print(Task.of("simon2016.fig1", 1, {"size": "HUGE"}, range(30)))
            simon2016.fig1 size=HUGE seeds=0–29
        """
        told = [f"{name}={value}" for name, value in self.values.items()]
        first, last = self.seeds[0], self.seeds[-1]
        in_a_row = len(self.seeds) > 3 and self.seeds == tuple(range(first, last + 1))
        seeds = f"{first}–{last}" if in_a_row else ",".join(map(str, self.seeds))
        return " ".join([self.experiment, *told, f"seeds={seeds}"])


def grid(**choices: Any) -> tuple[Settings, ...]:
    """Return all combinations of settings: a list or tuple holds alternatives, any other value is fixed.

    Example:
        >>> grid(network=["N3", "N4"], epochs=20)
        ({'network': 'N3', 'epochs': 20}, {'network': 'N4', 'epochs': 20})
    """
    values = [choice if isinstance(choice, list | tuple) else [choice] for choice in choices.values()]
    return tuple(dict(zip(choices, point, strict=True)) for point in product(*values))
