"""`Task`: what one run of an experiment is given. Its identity is all that it depends on."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from ...record.runs.rows import canonical

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """A frozen configuration of an experiment, and the seeds it is run for.

    Args:
        experiment: the experiment's name.
        version: the experiment's; a new one makes a new task of every configuration.
        settings: JSON text, keys sorted; `Task.of` takes a mapping.
        seeds: those whose networks this task trains.

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
        """A task from a mapping of settings.

        Raises:
            ValueError: if they hold anything but numbers, strings, booleans, None, lists and dicts, or there is no
                seed.
        """
        seeds = tuple(int(seed) for seed in seeds)
        if not seeds:
            raise ValueError(f"a task of {experiment} needs at least one seed, got none")
        return cls(experiment, version, canonical(settings), seeds)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The settings as a dict; do not change it."""
        return json.loads(self.settings)

    def __getitem__(self, name: str) -> Any:
        """A setting by its name.

        Raises:
            KeyError: if there is none, naming those that there are.
        """
        try:
            return self.values[name]
        except KeyError:
            raise KeyError(f"task of {self.experiment} has no {name!r}; it has {', '.join(self.values)}") from None

    def get(self, name: str, default: Any = None) -> Any:
        """A setting by its name, or the default."""
        return self.values.get(name, default)

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits, the same in every process and on every machine."""
        whole = json.dumps([self.experiment, self.version, self.settings, self.seeds])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """One line for people.

        Example:
            >>> print(Task.of("simon2016.fig1", 1, {"dropout": 0.3, "size": "HUGE"}, [0, 1]))
            simon2016.fig1 dropout=0.3 size=HUGE seeds=0,1
        """
        told = [f"{name}={value}" for name, value in self.values.items()]
        return " ".join([self.experiment, *told, f"seeds={','.join(map(str, self.seeds))}"])


def grid(**choices: Any) -> tuple[Settings, ...]:
    """All combinations of settings; a list or tuple is a choice, anything else is the same throughout.

    Example:
        >>> grid(network=["N3", "N4"], epochs=20)
        ({'network': 'N3', 'epochs': 20}, {'network': 'N4', 'epochs': 20})
    """
    values = [choice if isinstance(choice, list | tuple) else [choice] for choice in choices.values()]
    return tuple(dict(zip(choices, point, strict=True)) for point in product(*values))
