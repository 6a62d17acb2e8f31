"""`Experiment`: a figure of a paper as a grid of tasks; `Claim`: a statement checked on their rows."""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal, get_args

from ...record.runs.rows import Row, canonical
from .claim_table import MissingRows, Table
from .plots import Figure
from .tasks import Settings, Task
from .verdicts import Bar, Parts, Verdict, depending, judge

Scale = Literal["smoke", "quick", "medium", "paper"]
"""``smoke``: seconds, on bundled digits, nothing is judged. ``quick``: minutes, on real data, smaller in everything.
``medium``: sizes, data and training settings of the paper; fewer epochs or repetitions. ``paper``: as published."""
SCALES: tuple[Scale, ...] = get_args(Scale)
OPTIONAL: tuple[Scale, ...] = ("medium",)
COLUMNS = {"seed", "step", "epoch", "site", "measure", "value", "n_samples"}

Check = Callable[[Table], Parts]
"""Rows → the numbers on which a claim rests."""


@dataclass(frozen=True)
class Readings:
    """Checks of one claim under several readings of a choice that the paper leaves open.

    Attributes:
        choice: what is left open.
        checks: the check under each reading, by name; first the one that we think the paper means.
    """

    choice: str
    checks: Mapping[str, Check]


@dataclass(frozen=True)
class Claim:
    """A statement of a paper, and its check.

    Args:
        name: short name, unique within the experiment.
        text: the paper's statement.
        reference: its place in the paper, with its numbers.
        bar: what the numbers must reach.
        check: rows → the numbers, or several checks for an open choice of the paper.
        whose: ``"paper"``, or ``"ours"`` for a statement that the paper does not make.
        reduction: why smaller settings than the paper's make no difference to this claim, if so.
    """

    name: str
    text: str
    reference: str
    bar: Bar
    check: Check | Readings
    whose: Literal["paper", "ours"] = "paper"
    reduction: str = ""

    def verdict(self, table: Table, *, whole: bool = True) -> Verdict:
        """Judge the claim on rows; ``whole`` says whether they are at the paper's own scale."""
        if isinstance(self.check, Readings):
            readings = {name: self._judged(check, table, whole) for name, check in self.check.checks.items()}
            return depending(self.check.choice, readings)
        return self._judged(self.check, table, whole)

    def _judged(self, check: Check, table: Table, whole: bool) -> Verdict:
        try:
            return judge(check(table), self.bar, whole=whole, reduction=self.reduction)
        except MissingRows as error:
            return Verdict("not at this scale", note=f"not run: {error}")


@dataclass(frozen=True)
class Experiment:
    """One figure of a paper.

    Args:
        name: ``"<paper>.<figure>"``.
        title: subject of the figure, in a few words.
        grid: points of each scale's grid, usually from `grid`. The scale ``medium`` may be left out, here and in
            ``seeds`` and ``minutes``.
        seeds: number of repetitions of each scale, or a function from a point of the grid to a number.
        run: task → its rows, made by `row`; other processes call it, so it must be a function of a module.
        figures: by name, functions from the rows to a figure.
        claims: claims to check on the rows.
        minutes: time of each scale on two cores, measured, or estimated if it was never run.
        notes: choices that the paper leaves open, and reductions in size with their reasons.
        version: increase it when ``run`` records something else; finished tasks then run again.
        together: whether one task trains all seeds together; otherwise each seed is a separate task.
        tables: by title, functions from the rows to a Markdown table or sentence for the page.
        task_name: name of the tasks; defaults to the experiment's name. Figures of one training share it, with
            grid, seeds, run and version, so that finished tasks and evidence serve all of them.
        claim_text: what the paper claims, in one sentence for the page.
        differs: why our numbers may differ from the paper's, in one sentence for the page.

    Raises:
        ValueError: if a scale is absent, or there in part; if a setting has the name of a rows' column; or if two
            points or claims are equal.
    """

    name: str
    title: str
    grid: Mapping[Scale, Sequence[Settings]]
    seeds: Mapping[Scale, int | Callable[[Settings], int]]
    run: Callable[[Task], Iterable[Row]]
    figures: Mapping[str, Callable[[Table], Figure]]
    claims: tuple[Claim, ...]
    minutes: Mapping[Scale, float]
    notes: str = ""
    version: int = 1
    together: bool = field(default=True, kw_only=True)
    task_name: str = field(default="", kw_only=True)
    tables: Mapping[str, Callable[[Table], str]] = field(default_factory=dict, kw_only=True)
    claim_text: str = field(default="", kw_only=True)
    differs: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        parts = self.grid, self.seeds, self.minutes
        given = [scale for scale in SCALES if scale not in OPTIONAL or any(scale in part for part in parts)]
        if absent := [scale for scale in given if not all(scale in part for part in parts)]:
            raise ValueError(f"{self.name} needs grid, seeds and minutes for the scale {', '.join(absent)}")
        for scale, points in self.grid.items():
            _check_distinct(f"{self.name}, scale {scale}: points", [canonical(point) for point in points])
            if taken := COLUMNS & set().union(*points):
                raise ValueError(f"{self.name}: rename the setting {', '.join(sorted(taken))}; rows have this column")
        _check_distinct(f"{self.name}: claims", [claim.name for claim in self.claims])

    @property
    def paper(self) -> str:
        """The paper's short name."""
        return self.name.partition(".")[0]

    @property
    def training(self) -> str:
        """Name of the tasks and of the evidence, which figures of one training share."""
        return self.task_name or self.name

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The scales that this figure has, from the smallest to the largest."""
        return tuple(scale for scale in SCALES if scale in self.grid)

    def points(self, scale: Scale, *, seeds: range | None = None) -> list[tuple[Settings, range]]:
        """Return the points of a scale's grid, each with its seeds.

        Args:
            scale: the scale.
            seeds: seeds for every point; defaults to the scale's own number of them, from 0.

        Raises:
            ValueError: if the figure doesn't have this scale, or a point has no seeds.
        """
        if scale not in self.grid:
            raise ValueError(f"{self.name} has no scale {scale}; it has {', '.join(self.scales)}")
        count, points = self.seeds[scale], []
        for point in self.grid[scale]:
            own = range(count(point) if callable(count) else count) if seeds is None else seeds
            if not own:
                raise ValueError(f"{self.name} needs at least 1 seed for every point, got {own}")
            points.append((point, own))
        return points

    def tasks(self, scale: Scale, *, seeds: range | None = None) -> list[Task]:
        """Return the tasks of a scale; arguments and errors are those of `points`."""
        return [
            Task.of(self.training, self.version, point, part)
            for point, own in self.points(scale, seeds=seeds)
            for part in ([own] if self.together else [[seed] for seed in own])
        ]


def claims_of(package: str | None, figure: str, checks: Mapping[str, Check | Readings]) -> tuple[Claim, ...]:
    """Return the claims of a figure; all but the checks is in the ``claims.toml`` of its paper.

    Args:
        package: the paper's package.
        figure: table of the file.
        checks: the check of each claim, by name. ``"growth: Adam"`` has the entry ``growth``, if it has none of its
            own, and the condition after the colon is added to its text.

    Raises:
        KeyError: if a claim has no entry.
    """
    known = _figure(package, figure)
    found = []
    for name, check in checks.items():
        own, _, condition = (name, "", "") if name in known else name.partition(": ")
        entry = dict(known[own])
        bounds = {key: entry.pop(key) for key in ("above", "below", "margin", "why") if key in entry}
        entry["text"] += f" ({condition})" if condition else ""
        found.append(Claim(name, bar=Bar(**bounds), check=check, **entry))
    return tuple(found)


def texts_of(package: str | None, figure: str) -> dict[str, Any]:
    """Return what the paper claims and why we may differ, from the figure's table in the ``claims.toml``.

    Returns:
        ``claim_text`` and ``differs``, for `Experiment`.
    """
    known = _figure(package, figure)
    return {"claim_text": known["paper"], "differs": known["differs"]}


def _figure(package: str | None, figure: str) -> dict[str, Any]:
    return tomllib.loads(files(package or "").joinpath("claims.toml").read_text(encoding="utf-8"))[figure]


def notes_of(doc: str | None) -> str:
    r"""Return the notes of an experiment: what its module's docstring says after the summary.

    Example:
        >>> notes_of("Figure 1.\n\nThe paper leaves the rate\nopen.\n")
        'The paper leaves the rate open.'
    """
    return " ".join((doc or "").partition("\n\n")[2].split())


def _check_distinct(what: str, names: list[str]) -> None:
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
    """Make a row of one number; ``parameters`` become columns of the `Table`.

    Example:
        >>> row("wc", 0.27, seed=0, fan_in=9).parameters
        '{"fan_in": 9}'
    """
    return Row("", step, epoch, site, measure, canonical(parameters), float(value), n_samples, seed)
