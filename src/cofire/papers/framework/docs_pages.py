"""The pages of ``docs/papers`` and the README's tally of claims, as ``cofire reproduce --write-docs`` writes them."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...record.runs.whole_files import replaced
from ...stats._base.wording import plural
from .claim_table import MissingRows
from .outcome import Outcome, draw_figures
from .registry import PAPERS, experiments
from .verdict_text import counted, duration, effect_told, markdown_table
from .verdicts import Verdict

FOLDER = Path("docs/papers")
KNOWN = "claims.json"
BEGIN, END = "<!-- papers: begin -->", "<!-- papers: end -->"

_GENERATED = "<!-- Written by `cofire reproduce --write-docs`; do not edit. -->"


def write_pages(found: Sequence[Outcome], root: Path) -> list[Path]:
    """Write the page of each outcome, the index of all known claims, and the README's tally of them.

    Args:
        found: outcomes; what is known of other experiments is kept from ``docs/papers/claims.json``.
        root: the project's folder.

    Returns:
        The paths of the pages.

    Raises:
        ValueError: if there is no ``docs`` folder, or the README lacks the two markers.
    """
    folder, readme = root / FOLDER, root / "README.md"
    if not folder.parent.is_dir():
        raise ValueError(f"{folder.parent.resolve()} is not there; run --write-docs in the project's folder")
    lines = _outside_markers(readme)
    folder.mkdir(exist_ok=True)
    known = _known(folder / KNOWN) | {one.experiment.name: _facts(one) for one in found}
    pages = [_write(folder / f"{one.experiment.name}.md", _page(one, folder)) for one in found]
    _write(folder / KNOWN, json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    pages.append(_write(folder / "index.md", _index(known)))
    pages.append(_write(readme, lines[0] + _tally(known) + lines[1]))
    return pages


def _write(path: Path, text: str) -> Path:
    with replaced(path) as file:
        file.write(text.encode())
    return path


def _outside_markers(readme: Path) -> tuple[str, str]:
    text = readme.read_text() if readme.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{readme} must hold the lines {BEGIN} and {END}; the tally goes between them")
    return f"{before}{begin}\n", f"{end}{after}"


def _known(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


def _facts(found: Outcome) -> dict[str, Any]:
    """What the index says of an experiment, as JSON can keep it: no NaN, no infinity."""
    return {
        "title": found.experiment.title,
        "scale": found.scale,
        "seconds": round(found.seconds, 1),
        "claims": [
            {"name": claim.name, "text": claim.text, "reference": claim.reference, **_numbers(verdict)}
            for claim, verdict in found.verdicts
        ],
    }


def _numbers(verdict: Verdict) -> dict[str, Any]:
    numbers = verdict.effect, *verdict.interval
    shown = [number if math.isfinite(number) else None for number in numbers]
    return {
        "outcome": verdict.outcome,
        "effect": shown[0],
        "interval": shown[1:],
        "n_seeds": verdict.n_seeds,
        "note": verdict.note,
        "told": effect_told(verdict),
    }


def _page(found: Outcome, folder: Path) -> str:
    experiment = found.experiment
    images = [f"![{experiment.title}]({path.name})" for path in _images(found, folder)]
    return _joined(
        f"# {experiment.name}: {experiment.title}",
        _GENERATED,
        f"{PAPERS[experiment.paper]}. Run it: `cofire reproduce {experiment.name} --scale {found.scale}`.",
        *images,
        "## Claims",
        _claims(found),
        "Effects are means over seeds with their 95 % interval (Student's t). A claim is reproduced if the whole "
        "interval lies where the paper puts the number, and not reproduced if none of it does.",
        *_tables(found),
        "## How it was run",
        experiment.notes,
        _settings(found),
        _time(found),
        *[f"Failed: `{task}`: `{error}`" for task, error in found.errors],
    )


def _images(found: Outcome, folder: Path) -> list[Path]:
    """Figures under names that tell whose they are: ``jin2022.fig7.svg``, ``jin2022.fig7-loss.svg``."""
    drawn = draw_figures(found, folder)
    own = found.experiment.name.partition(".")[2]
    renamed = []
    for path in drawn:
        stem = found.experiment.name if path.stem == own else f"{found.experiment.name}-{path.stem}"
        renamed.append(path.replace(path.with_name(stem + path.suffix)))
    return renamed


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _claims(found: Outcome) -> str:
    rows = [
        (claim.text, claim.reference, f"**{verdict.outcome}**", effect_told(verdict), verdict.note)
        for claim, verdict in found.verdicts
    ]
    return markdown_table(("claim", "in the paper", "verdict", "effect [95 %], seeds", "what the effect is"), rows)


def _tables(found: Outcome) -> Iterator[str]:
    """The experiment's own tables; one that lacks rows is left out."""
    for title, make in found.experiment.tables.items():
        with suppress(MissingRows):
            text = make(found.table)
            yield from (f"## {title}", text)


def _settings(found: Outcome) -> str:
    """Every setting with its values over the grid, a column for each number of seeds that points of it have."""
    seeds: dict[str, set[int]] = {}
    for task, _ in found.tasks:
        seeds.setdefault(task.settings, set()).update(task.seeds)
    counts = sorted({len(those) for those in seeds.values()}, reverse=True)
    columns = [_values(point for point, those in seeds.items() if len(those) == count) for count in counts]
    names = dict.fromkeys(name for column in columns for name in column)
    return markdown_table(
        ("setting", *(f"values, {count} seed{'s' * (count > 1)}" for count in counts)),
        [(f"`{name}`", *(", ".join(column.get(name, ())) for column in columns)) for name in names],
    )


def _values(points: Iterable[str]) -> dict[str, dict[str, None]]:
    """The values of each setting, as JSON, in the order of the points."""
    values: dict[str, dict[str, None]] = {}
    for point in points:
        for name, value in json.loads(point).items():
            values.setdefault(name, {})[json.dumps(value, ensure_ascii=False)] = None
    return values


def _time(found: Outcome) -> str:
    minutes = found.experiment.minutes
    others = [f"`{scale}` {duration(60 * minutes[scale])}" for scale in minutes if scale != found.scale]
    tasks = plural(len(found.tasks), "task")
    done = f"{len(found.tasks) - found.missing} of {tasks} finished" if found.missing else tasks
    return (
        f"Scale `{found.scale}`: {done}, "
        f"{duration(found.seconds)} of processor time in all, a thread a task. "
        f"On two cores the other scales take about {', '.join(others)}."
    )


def _index(known: Mapping[str, Any]) -> str:
    parts = [
        "# The four papers, and questions of our own, claim by claim",
        _GENERATED,
        f"Every claim that was checked, and what came out. All took {duration(_seconds(known))} of processor time.",
        _figures(known),
    ]
    for paper, title in PAPERS.items():
        parts += [f"## {paper}: {title}", _paper_table(paper, known)]
    return _joined(*parts)


def _seconds(known: Mapping[str, Any]) -> float:
    """Figures of one training share its time."""
    every = experiments()
    trainings = {every[name].task_name or name: known[name]["seconds"] for name in _ordered(known)}
    return sum(trainings.values())


def _paper_table(paper: str, known: Mapping[str, Any]) -> str:
    rows = [
        (_link(name), claim["text"], claim["outcome"], claim["told"], known[name]["scale"])
        for name in _ordered(known)
        if name.startswith(f"{paper}.")
        for claim in known[name]["claims"]
    ]
    return markdown_table(("figure", "claim", "verdict", "effect [95 %], seeds", "scale"), rows)


def _ordered(known: Mapping[str, Any]) -> list[str]:
    return [name for name in experiments() if name in known]


def _link(name: str) -> str:
    return f"[{name}]({name}.md)"


def _figures(known: Mapping[str, Any]) -> str:
    rows = [(_link(name), known[name]["title"], counted(_outcomes(known, [name]))) for name in _ordered(known)]
    return markdown_table(("figure", "what it shows", "claims"), rows)


def _tally(known: Mapping[str, Any]) -> str:
    """Return one line that counts the claims of the papers and our own separately."""
    names = _ordered(known)
    own = [name for name in names if name.startswith("ours.")]
    papers = _outcomes(known, [name for name in names if name not in own])
    ours = _outcomes(known, own)
    told = f"Of {plural(len(papers), 'claim')} checked in the papers: {counted(papers)}."
    return f"{told} Of {plural(len(ours), 'claim')} of our own: {counted(ours)}.\n"


def _outcomes(known: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [claim["outcome"] for name in names for claim in known[name]["claims"]]
