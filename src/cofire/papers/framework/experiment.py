"""`Experiment` and `Claim`: a figure of a paper as a grid of tasks, what each records, and what is checked on it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from ...record.runs.rows import Row, canonical
from ...stats._base.wording import plural
from .claim_table import MissingRows, Table
from .tasks import Settings, Task
from .verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scale = Literal["smoke", "quick", "paper"]
SCALES: tuple[Scale, ...] = get_args(Scale)
COLUMNS = {"task", "seed", "step", "epoch", "site", "measure", "value", "n_samples"}


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, and how it is checked.

    Args:
        name: a short name, unique within its experiment.
        text: what the paper says.
        reference: where it says so, with its numbers.
        check: rows → `Verdict`; usually `decide` of a number for each seed.
    """

    name: str
    text: str
    reference: str
    check: Callable[[Table], Verdict]

    def verdict(self, table: Table, *, missing: int = 0) -> Verdict:
        """The verdict; with rows or whole tasks missing never ``"reproduced"``."""
        try:
            found = self.check(table)
        except MissingRows as error:
            return Verdict("inconclusive", note=str(error))
        return found.but(f"{plural(missing, 'task')} {'is' if missing == 1 else 'are'} missing") if missing else found


@dataclass(frozen=True)
class Experiment:
    """One figure of a paper.

    Args:
        name: ``"<paper>.<figure>"``.
        title: what the figure shows, in a few words.
        grid: the points of the grid for each scale, usually from `grid`.
        seeds: how many seeds each scale has; a function from a point of the grid where they differ.
        run: a task → its rows, made by `row`; it runs in a process of its own, so it must be a module's function.
        figures: by name, what draws a figure from the rows.
        claims: what is checked on the rows.
        minutes: what each scale takes on two cores, measured, or estimated where it was never run.
        notes: what a reader must know: choices that the paper left open, what was made smaller and why.
        version: raise it when ``run`` changes what it records; finished tasks are then run anew.
        together: whether one task trains all seeds together; otherwise each seed is a task of its own.
        tables: by their titles, what makes a table (or a sentence) in Markdown from the rows, for the page.
        task_name: what the tasks go by, by default the experiment's name. Figures of one training share it, and
            their grid, seeds, run and version; what one has finished is not run again for another.

    Raises:
        ValueError: if a scale is absent, or two points or claims are the same.
    """

    name: str
    title: str
    grid: Mapping[Scale, Sequence[Settings]]
    seeds: Mapping[Scale, int | Callable[[Settings], int]]
    run: Callable[[Task], Iterable[Row]]
    figures: Mapping[str, "Callable[[Table], Figure]"]
    claims: tuple[Claim, ...]
    minutes: Mapping[Scale, float]
    notes: str = ""
    version: int = 1
    together: bool = field(default=True, kw_only=True)
    task_name: str = field(default="", kw_only=True)
    tables: Mapping[str, Callable[[Table], str]] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        for what in (self.grid, self.seeds, self.minutes):
            if absent := [scale for scale in SCALES if scale not in what]:
                raise ValueError(f"{self.name} says nothing for the scale {', '.join(absent)}")
        for scale, points in self.grid.items():
            _refuse_twins(f"{self.name}, scale {scale}: points", [canonical(point) for point in points])
            if taken := COLUMNS & set().union(*points):
                raise ValueError(
                    f"{self.name}: settings may not be named {', '.join(sorted(taken))}, as rows' columns are"
                )
        _refuse_twins(f"{self.name}: claims", [claim.name for claim in self.claims])

    @property
    def paper(self) -> str:
        """The paper's short name."""
        return self.name.partition(".")[0]

    def tasks(self, scale: Scale, *, seeds: int | None = None) -> list[Task]:
        """The tasks of a scale, for its own numbers of seeds, or for one number everywhere.

        Raises:
            ValueError: if a number of seeds is below 1.
        """
        return [
            Task.of(self.task_name or self.name, self.version, point, part)
            for point in self.grid[scale]
            for part in self._parts(self._count(scale, point) if seeds is None else seeds)
        ]

    def _count(self, scale: Scale, point: Settings) -> int:
        count = self.seeds[scale]
        return count(point) if callable(count) else count

    def _parts(self, count: int) -> list[Sequence[int]]:
        """The seeds of each task of a point."""
        if count < 1:
            raise ValueError(f"the number of seeds must be at least 1, got {count}")
        return [range(count)] if self.together else [[seed] for seed in range(count)]


def _refuse_twins(what: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{what} must differ, got {twin} twice")


def row(
    measure: str,
    value: float,
    *,
    seed: int,
    step: int = 0,
    epoch: int = 0,
    site: str = "",
    n_samples: int = 0,
    **parameters: Any,
) -> Row:
    """One recorded number of a task; ``parameters`` become columns of the `Table`.

    Example:
        >>> row("wc", 0.27, seed=0, fan_in=9).parameters
        '{"fan_in": 9}'
    """
    return Row("", step, epoch, site, measure, canonical(parameters), float(value), n_samples, seed)
