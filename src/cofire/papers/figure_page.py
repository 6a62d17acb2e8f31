"""The page of one figure: what the paper claims, what came out, and what it rests on."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..stats._base.whole_files import replaced
from ..stats._base.wording import plural
from .framework.claim_table import MissingRows
from .framework.experiment import Claim, Experiment, Scale
from .framework.outcome import Outcome, draw_figures
from .framework.verdict_text import bar_told, came_out, duration, effect_told, listed, markdown_table, word_told
from .framework.verdicts import Verdict
from .registry import PAPERS

MARK = "<!-- Written by `cofire reproduce"
GENERATED = f"{MARK}`; do not edit. -->"


def write_page(found: Outcome, folder: Path) -> list[Path]:
    """Write an outcome's page, as Markdown, and its figures into a folder; return the files' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    images = draw_figures(found, folder)
    page = write_text(folder / f"{found.experiment.name}.md", _page(found, images))
    return [page, *images]


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all, and return its path."""
    with replaced(path) as file:
        file.write(text.encode())
    return path


def paragraphs(*parts: str) -> str:
    """Join the parts that are not empty, with a blank line between them."""
    return "\n\n".join(part for part in parts if part) + "\n"


def _page(found: Outcome, images: list[Path]) -> str:
    experiment = found.experiment
    name = experiment.name
    return paragraphs(
        f"# {name}: {experiment.title}",
        GENERATED,
        f"{PAPERS[experiment.paper]}. Run it: `cofire reproduce {name} --scale {found.scale}`. Judge the recorded "
        f"numbers again: `cofire reproduce {name} --rejudge`.",
        " ".join(_sentences(found)),
        *[f"![{experiment.title}]({path.name})" for path in images],
        "## Claims",
        *_claims(found),
        *_tables(found),
        "## Setup",
        experiment.notes,
        _settings(found),
        *_scale(found),
    )


def _sentences(found: Outcome) -> Iterator[str]:
    """Yield what the paper claims, what came out, and why it may differ."""
    if found.experiment.claim_text:
        yield found.experiment.claim_text
    if found.verdicts:
        yield f"**What came out:** {_came_out(found)}."
    if found.experiment.differs:
        yield f"**Why it may differ:** {found.experiment.differs}"


def _came_out(found: Outcome) -> str:
    told = []
    for whose, owner in (("paper", "the paper's"), ("ours", "our own")):
        verdicts = [verdict for claim, verdict in found.verdicts if claim.whose == whose]
        if verdicts:
            several = f"of {owner} {len(verdicts)} claims, " if len(verdicts) > 1 else f"{owner} claim "
            told.append(several + came_out(verdicts))
    sentence = "; ".join(told)
    return sentence[0].upper() + sentence[1:]


def _claims(found: Outcome) -> Iterator[str]:
    if not found.verdicts:
        yield f"The scale `{found.scale}` only shows that the experiment runs; nothing is judged."
        return
    header = "claim", "in the paper", "verdict", "effect [95 %], repetitions", "must be", "what the effect is"
    yield markdown_table(header, [line for claim, verdict in found.verdicts for line in _lines(found, claim, verdict)])
    yield (
        "A claim is reproduced if the whole 95 % interval lies where its number must be, and not reproduced if the "
        "whole interval lies outside; of several parts, the one that is furthest from passing is shown. *Fragile*: it "
        "would not stand with all claims of the figure taken together (Holm)."
    )


def _lines(found: Outcome, claim: Claim, verdict: Verdict) -> Iterator[tuple[str, ...]]:
    """Yield the row of a claim, and one for each reading of a choice on which it may depend."""
    owner = claim.reference if claim.whose == "paper" else f"ours; {claim.reference}"
    effect = f"by {verdict.choice}:" if verdict.readings else effect_told(verdict)
    note = "" if verdict.readings else _note(found, verdict)
    yield claim.text, owner, f"**{word_told(verdict)}**", effect, bar_told(claim.bar), note
    for name, reading in verdict.readings:
        yield f"↳ {name}", "", word_told(reading), effect_told(reading), "", _note(found, reading)


def _note(found: Outcome, verdict: Verdict) -> str:
    held, samples = verdict.passed
    parts = [verdict.note, f"{held} of {samples} parts hold" if samples > 1 else ""]
    if verdict.word == "not at this scale" and found.scale != "paper":
        parts.append(f"the paper's scale takes about {_cost(found.experiment, 'paper')}")
    return "; ".join(filter(None, parts))


def _cost(experiment: Experiment, scale: Scale) -> str:
    return duration(60 * experiment.minutes[scale])


def _tables(found: Outcome) -> Iterator[str]:
    """Yield title and text of the experiment's own tables, except those that lack rows."""
    for title, make in found.experiment.tables.items():
        with suppress(MissingRows):
            text = make(found.table)
            yield from (f"## {title}", text)


def _settings(found: Outcome) -> str:
    """Tabulate the settings' values over the grid, with a column for each number of repetitions."""
    counts = sorted({len(point.seeds) for point in found.points}, reverse=True)
    # Values by setting, with dicts as ordered sets of their JSON texts.
    columns: list[dict[str, dict[str, None]]] = [{} for _ in counts]
    for point in found.points:
        for name, value in json.loads(point.settings).items():
            texts = columns[counts.index(len(point.seeds))].setdefault(name, {})
            texts[json.dumps(value, ensure_ascii=False)] = None
    names = dict.fromkeys(name for column in columns for name in column)
    return markdown_table(
        ("setting", *(f"values, {plural(count, 'repetition') if count else 'not run'}" for count in counts)),
        [(f"`{name}`", *(", ".join(column.get(name, ())) for column in columns)) for name in names],
    )


def _scale(found: Outcome) -> Iterator[str]:
    """Yield what was run, what it took, and what is missing."""
    experiment = found.experiment
    n_repetitions = sum(len(point.seeds) for point in found.points)
    clock = "processor time" if found.device == "cpu" else "time by the clock"
    costs = listed([f"`{scale}` {_cost(experiment, scale)}" for scale in experiment.scales])
    yield (
        f"Scale `{found.scale}`: {plural(n_repetitions, 'repetition')} of {plural(len(found.points), 'point')} on "
        f"{found.device}, {duration(found.seconds)} of {clock}, one thread per task. Approximate time of the "
        f"scales on two cores: {costs}."
    )
    yield f"Shown are {found.left_out}." if found.left_out else ""
    if found.missing:
        yield f"**Incomplete:** {found.missing} of {plural(len(found.points), 'point')} lack repetitions."
    for failure in found.failures:
        yield f"**Failed:** `{failure}`: `{failure.error}`"
