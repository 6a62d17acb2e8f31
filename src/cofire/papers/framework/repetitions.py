"""`Found`: the finished repetitions of an experiment's points, wherever they were recorded."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .claim_table import Table
from .tasks import Task


class Number(NamedTuple):
    """One recorded number; the fields are those of a row."""

    measure: str
    site: str
    parameters: str
    step: int
    epoch: int
    value: float
    n_samples: int


@dataclass(frozen=True)
class Repetition:
    """All numbers of one seed at one point of the grid.

    Attributes:
        settings: the point, as JSON text.
        device: kind of device, ``"cpu"`` or ``"cuda"``.
        seed: the seed.
        seconds: its share of its task's processor time.
        numbers: what it recorded.
    """

    settings: str
    device: str
    seed: int
    seconds: float
    numbers: Sequence[Number]

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes it one repetition, whatever task it was part of."""
        return self.settings, self.device, self.seed


class Failure(NamedTuple):
    """A task that failed: its point, kind of device and seeds, and the last line of its error."""

    settings: str
    device: str
    seeds: tuple[int, ...]
    error: str

    def __str__(self) -> str:
        """Describe the task in one line."""
        told = [f"{name}={value}" for name, value in json.loads(self.settings).items()]
        return " ".join([*told, f"seeds={','.join(map(str, self.seeds))}"])


@dataclass(frozen=True)
class Found:
    """Repetitions, and tasks that failed.

    Attributes:
        repetitions: each by its key.
        failures: failed tasks, except those of which every seed was finished by another one.

    Example:
        >>> one = Found.of([Repetition("{}", "cpu", 0, 1.0, ())], [])
        >>> two = Found.of([Repetition("{}", "cpu", seed, 2.0, ()) for seed in (0, 1)], [])
        >>> [each.seconds for each in one.merged(two).repetitions.values()]
        [1.0, 2.0]
    """

    repetitions: Mapping[tuple[str, str, int], Repetition] = field(default_factory=dict)
    failures: Sequence[Failure] = ()

    @classmethod
    def of(cls, repetitions: Iterable[Repetition], failures: Iterable[Failure]) -> "Found":
        """Collect repetitions and failures; of equal repetitions the first counts, of a task's failures the last."""
        kept: dict[tuple[str, str, int], Repetition] = {}
        for one in repetitions:
            kept.setdefault(one.key, one)
        last = {one[:3]: one for one in failures}.values()
        left = [one for one in last if any((one.settings, one.device, seed) not in kept for seed in one.seeds)]
        return cls(kept, sorted(left))

    def merged(self, other: "Found") -> "Found":
        """Add what the other has; a repetition that both have is taken from this one."""
        both = [*self.repetitions.values(), *other.repetitions.values()]
        return Found.of(both, [*self.failures, *other.failures])

    def seeds(self, device: str) -> dict[str, list[int]]:
        """Return each point's finished seeds on a kind of device, sorted."""
        found: dict[str, list[int]] = {}
        for one in self.repetitions.values():
            if one.device == device:
                found.setdefault(one.settings, []).append(one.seed)
        return {settings: sorted(seeds) for settings, seeds in found.items()}


def left_to_do(task: Task, found: Found, device: str) -> Task | None:
    """Return a task without the seeds that are finished at its point; None if all are."""
    done = found.seeds(device).get(task.settings, ())
    left = tuple(seed for seed in task.seeds if seed not in done)
    return replace(task, seeds=left) if left else None


def table_of(repetitions: Iterable[Repetition]) -> Table:
    """Return the rows of repetitions, each with its point's settings and its own parameters."""
    settings: dict[str, dict[str, Any]] = {}
    parameters: dict[str, dict[str, Any]] = {}

    def read(text: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
        if text not in known:
            known[text] = json.loads(text)
        return known[text]

    def records() -> Iterator[dict[str, Any]]:
        for one in repetitions:
            point = {**read(one.settings, settings), "seed": one.seed}
            for measure, site, own, step, epoch, value, n_samples in one.numbers:
                about = {"measure": measure, "site": site, "step": step, "epoch": epoch}
                yield {**point, **about, "value": value, "n_samples": n_samples, **read(own, parameters)}

    return Table(records())
