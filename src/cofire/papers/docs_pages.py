"""The pages of ``docs/papers`` and the README's tally of claims, as ``cofire reproduce --write-docs`` writes them."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..record.runs.whole_files import replaced
from ..stats._base.wording import plural
from .framework.claim_table import MissingRows
from .framework.outcome import Outcome, draw_figures
from .framework.verdict_text import counted, duration, effect_told, markdown_table
from .framework.verdicts import Verdict
from .registry import PAPERS, experiments

FOLDER = Path("docs/papers")
KNOWN = "claims.json"
BEGIN, END = "<!-- papers: begin -->", "<!-- papers: end -->"

_GENERATED = "<!-- Written by `cofire reproduce --write-docs`; do not edit. -->"


def write_pages(found: Sequence[Outcome], root: Path) -> list[Path]:
    """Write the page of each outcome, the index of all known claims, and the README's tally of them.

    Args:
        found: outcomes; facts about other experiments are kept from ``docs/papers/claims.json``.
        root: the project's folder.

    Returns:
        The paths of the pages.

    Raises:
        ValueError: if there is no ``docs`` folder, or the README lacks the two markers.
    """
    folder, readme = root / FOLDER, root / "README.md"
    if not folder.parent.is_dir():
        raise ValueError(f"{folder.parent.resolve()} does not exist; run --write-docs in the project's folder")
    lines = _outside_markers(readme)
    folder.mkdir(exist_ok=True)
    before = json.loads((folder / KNOWN).read_text()) if (folder / KNOWN).is_file() else {}
    known = before | {one.experiment.name: _facts(one) for one in found}
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


def _facts(found: Outcome) -> dict[str, Any]:
    """Return the facts about an experiment that the index needs."""
    claims = [
        {"name": claim.name, "text": claim.text, "reference": claim.reference, **_numbers(verdict)}
        for claim, verdict in found.verdicts
    ]
    title = found.experiment.title
    return {"title": title, "scale": found.scale, "seconds": round(found.seconds, 1), "claims": claims}


def _numbers(verdict: Verdict) -> dict[str, Any]:
    # JSON has neither NaN nor infinity.
    effect, *interval = (x if math.isfinite(x) else None for x in (verdict.effect, *verdict.interval))
    kept = {"outcome": verdict.outcome, "n_seeds": verdict.n_seeds, "note": verdict.note}
    return {**kept, "effect": effect, "interval": interval, "told": effect_told(verdict)}


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
        "interval lies within the range that the claim states, and not reproduced if the whole interval lies outside.",
        *_tables(found),
        "## Setup",
        experiment.notes,
        _settings(found),
        _time(found),
        *[f"Failed: `{task}`: `{error}`" for task, error in found.errors],
    )


def _images(found: Outcome, folder: Path) -> list[Path]:
    """Draw the figures to files named after the experiment: ``jin2022.fig7.svg``, ``jin2022.fig7-loss.svg``."""
    own = found.experiment.name.partition(".")[2]
    renamed = []
    for path in draw_figures(found, folder):
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
    """Yield title and text of the experiment's own tables, except those that lack rows."""
    for title, make in found.experiment.tables.items():
        with suppress(MissingRows):
            text = make(found.table)
            yield from (f"## {title}", text)


def _settings(found: Outcome) -> str:
    """Tabulate the settings' values over the grid, with a column for each number of seeds."""
    seeds: dict[str, set[int]] = {}
    for task, _ in found.tasks:
        seeds.setdefault(task.settings, set()).update(task.seeds)
    counts = sorted({len(those) for those in seeds.values()}, reverse=True)
    # Values by setting, with dicts as ordered sets of their JSON texts.
    columns: list[dict[str, dict[str, None]]] = [{} for _ in counts]
    for point, those in seeds.items():
        for name, value in json.loads(point).items():
            texts = columns[counts.index(len(those))].setdefault(name, {})
            texts[json.dumps(value, ensure_ascii=False)] = None
    names = dict.fromkeys(name for column in columns for name in column)
    return markdown_table(
        ("setting", *(f"values, {count} seed{'s' * (count > 1)}" for count in counts)),
        [(f"`{name}`", *(", ".join(column.get(name, ())) for column in columns)) for name in names],
    )


def _time(found: Outcome) -> str:
    minutes = found.experiment.minutes
    others = [f"`{scale}` {duration(60 * minutes[scale])}" for scale in minutes if scale != found.scale]
    tasks = plural(len(found.tasks), "task")
    done = f"{len(found.tasks) - found.missing} of {tasks} finished" if found.missing else tasks
    return (
        f"Scale `{found.scale}`: {done}, {duration(found.seconds)} of processor time, one thread per task. "
        f"Approximate time of the other scales on two cores: {', '.join(others)}."
    )


def _index(known: Mapping[str, Any]) -> str:
    parts = [
        "# Claims of the four papers, and our own",
        _GENERATED,
        f"Every checked claim with its verdict. All experiments took {duration(_seconds(known))} of processor time.",
        _figures(known),
    ]
    for paper, title in PAPERS.items():
        rows = [
            (_link(name), claim["text"], claim["outcome"], claim["told"], known[name]["scale"])
            for name in _ordered(known)
            if name.startswith(f"{paper}.")
            for claim in known[name]["claims"]
        ]
        table = markdown_table(("figure", "claim", "verdict", "effect [95 %], seeds", "scale"), rows)
        parts += [f"## {paper}: {title}", table]
    return _joined(*parts)


def _seconds(known: Mapping[str, Any]) -> float:
    """Sum the experiments' times; figures that share one training count once."""
    trainings = {experiments()[name].task_name or name: known[name]["seconds"] for name in _ordered(known)}
    return sum(trainings.values())


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
    papers, ours = _outcomes(known, [name for name in names if name not in own]), _outcomes(known, own)
    told = f"Of {plural(len(papers), 'claim')} checked in the papers: {counted(papers)}."
    return f"{told} Of {plural(len(ours), 'claim')} of our own: {counted(ours)}.\n"


def _outcomes(known: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [claim["outcome"] for name in names for claim in known[name]["claims"]]
