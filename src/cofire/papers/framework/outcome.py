"""`Outcome`: what is known of an experiment at a scale: its finished repetitions, judged."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...record.runs.rows import canonical
from ...stats._base.whole_files import replaced
from ...stats._base.wording import plural
from .claim_table import MissingRows, Table
from .evidence import Source
from .experiment import Claim, Experiment, Scale
from .plots import save
from .repetitions import Failure, Found, table_of
from .verdicts import Verdict, with_holm

JUDGED: tuple[Scale, ...] = ("quick", "medium", "paper")
"""``smoke`` shows that an experiment runs, and judges nothing."""


@dataclass(frozen=True)
class Point:
    """A point of the grid and its repetitions.

    Attributes:
        settings: the point, as JSON text.
        wanted: how many repetitions the scale has there.
        seeds: the finished ones.
    """

    settings: str
    wanted: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """What is known of an experiment at a scale.

    Attributes:
        experiment: the experiment.
        scale: the scale.
        points: the points of the grid, each with its repetitions.
        table: their rows.
        verdicts: each claim with its verdict; none at the scale ``smoke``.
        seconds: processor time of the repetitions, each on one thread.
        failures: failed tasks.
        device: kind of device whose numbers these are.
        left_out: what was recorded on another kind of device, in words; or empty.
    """

    experiment: Experiment
    scale: Scale
    points: Sequence[Point]
    table: Table
    verdicts: Sequence[tuple[Claim, Verdict]]
    seconds: float
    failures: Sequence[Failure] = ()
    device: str = "cpu"
    left_out: str = ""

    @property
    def missing(self) -> int:
        """Number of points that have fewer repetitions than the scale wants."""
        return sum(len(point.seeds) < point.wanted for point in self.points)


def outcome(experiment: Experiment, scale: Scale, *sources: Source, seeds: range | None = None) -> Outcome:
    """Judge an experiment by all repetitions that are finished; run nothing.

    Args:
        experiment: the experiment.
        scale: the scale.
        sources: evidence and results of runs. A repetition that is in several counts once, from the first.
        seeds: the seeds that were asked for, if they are not the scale's own; others count too.

    Raises:
        ValueError: if the experiment doesn't have the scale, or there is evidence of another version of it.
    """
    wanted = {canonical(point): len(own) for point, own in experiment.points(scale, seeds=seeds)}
    found = gathered(experiment, scale, *sources)
    device = _device(found, wanted)
    own = found.seeds(device)
    points = [Point(settings, count, tuple(own.get(settings, ()))) for settings, count in wanted.items()]
    repetitions = [found.repetitions[point.settings, device, seed] for point in points for seed in point.seeds]
    table = table_of(repetitions)
    seconds = sum(one.seconds for one in repetitions)
    failures = [one for one in found.failures if one.device == device]
    verdicts = _judged(experiment, scale, table, len(failures))
    left_out = _left_out(found, device)
    return Outcome(experiment, scale, points, table, verdicts, seconds, failures, device, left_out)


def gathered(experiment: Experiment, scale: Scale, *sources: Source) -> Found:
    """Return what several sources have of a scale; what is in several counts once, from the first."""
    found = Found()
    for source in sources:
        found = found.merged(source.found(experiment, scale))
    return found


def _device(found: Found, wanted: dict[str, int]) -> str:
    """Return the kind of device with more repetitions at the point that has fewest, then in all; else the CPU."""

    def n_seeds(device: str) -> tuple[int, int]:
        own = found.seeds(device)
        return min((len(own.get(settings, ())) for settings in wanted), default=0), sum(map(len, own.values()))

    return max(("cpu", "cuda"), key=n_seeds)


def _left_out(found: Found, device: str) -> str:
    others: dict[str, int] = {}
    for one in found.repetitions.values():
        if one.device != device:
            others[one.device] = others.get(one.device, 0) + 1
    told = " and ".join(f"{plural(count, 'repetition')} on {other}" for other, count in others.items())
    return f"numbers of {device}; {told} left out, since the devices' numbers differ" if told else ""


def _judged(experiment: Experiment, scale: Scale, table: Table, n_failed: int) -> list[tuple[Claim, Verdict]]:
    if scale not in JUDGED:
        return []
    verdicts = with_holm(claim.verdict(table, whole=scale == "paper") for claim in experiment.claims)
    if n_failed:
        told = f"{plural(n_failed, 'task')} failed and {'does' if n_failed == 1 else 'do'} not count"
        verdicts = [replace(one, note=f"{one.note}; {told}" if one.note else told) for one in verdicts]
    return list(zip(experiment.claims, verdicts, strict=True))


def draw_figures(found: Outcome, directory: Path) -> list[Path]:
    """Draw the figures, except those that lack rows; name the files after the experiment, and return their paths."""
    own, paths = found.experiment.name.partition(".")[2], []
    for name, figure in found.experiment.figures.items():
        stem = found.experiment.name if name == own else f"{found.experiment.name}-{name}"
        try:
            paths.append(save(figure(found.table), directory / stem))
        except MissingRows:
            continue
    return paths


def save_rows(table: Table, path: Path) -> Path:
    """Write rows as CSV."""
    columns = list(dict.fromkeys(name for record in table for name in record))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    with replaced(path) as file:
        file.write(text.getvalue().encode())
    return path
