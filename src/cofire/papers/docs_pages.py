"""The pages of ``docs/papers`` and the README's tally of claims, drawn from the evidence beside them."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..stats._base.wording import plural
from .figure_page import GENERATED, MARK, paragraphs, write_page, write_text
from .framework.evidence import Evidence, Source
from .framework.experiment import Claim, Experiment, Scale
from .framework.outcome import JUDGED, Outcome, gathered, outcome
from .framework.verdict_text import counted, duration, markdown_table, numbers_told, word_told
from .framework.verdicts import Verdict
from .registry import PAPERS, experiments

FOLDER = Path("docs/papers")
FEW_READINGS = 3  # so many fit into a cell of the index
KNOWN, OPENING = "claims.json", "_opening.md"
BEGIN, END = "<!-- papers: begin -->", "<!-- papers: end -->"

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        paths: the pages, figures and other files.
        changes: each verdict that is another than before, in words.
        without: names of those that were to be judged and have no evidence.
        removed: pages and figures that no evidence stands behind any more.
    """

    paths: Sequence[Path]
    changes: Sequence[str]
    without: Sequence[str] = ()
    removed: Sequence[Path] = ()


def evidence_in(root: Path) -> Evidence:
    """Return the evidence of a project's folder; it may be empty."""
    return Evidence(root / FOLDER / "evidence")


def check_project(root: Path) -> None:
    """Refuse a folder that isn't the project's.

    Raises:
        ValueError: if there is no ``docs`` folder, or the README lacks the two markers.
    """
    docs = root / FOLDER.parent
    if not docs.is_dir():
        raise ValueError(f"{docs.resolve()} does not exist; run --write-docs and --rejudge in the project's folder")
    _outside_markers(root / "README.md")


def publish(chosen: Sequence[Experiment], scale: Scale, run: Source, root: Path) -> Written:
    """Add what was run to the evidence, then write the pages of all figures that rest on it.

    Args:
        chosen: the experiments.
        scale: the scale at which they were run.
        run: their results.
        root: the project's folder.

    Raises:
        ValueError: if the scale judges nothing, the folder isn't the project's, or older evidence doesn't fit.
    """
    if scale not in JUDGED:
        raise ValueError(f"the scale {scale} judges nothing, so there is nothing to publish; give another --scale")
    check_project(root)
    evidence = evidence_in(root)
    files = {}
    for one in {one.training: one for one in chosen}.values():
        found = gathered(one, scale, evidence, run)
        if found.repetitions:
            files[one.training] = evidence.write(one, scale, found)
    written = rejudge([one for one in experiments().values() if one.training in files], root)
    return Written([*files.values(), *written.paths], written.changes)


def rejudge(chosen: Sequence[Experiment], root: Path) -> Written:
    """Write pages, figures, index and tally from the evidence alone, each figure at its largest scale there.

    Args:
        chosen: the experiments; of others the former verdicts are kept. None means all that have evidence; then
            pages and figures without evidence are removed.
        root: the project's folder.

    Raises:
        ValueError: if none has evidence, the evidence doesn't fit, or the folder isn't the project's.
    """
    check_project(root)
    evidence = evidence_in(root)
    scales: dict[str, Scale | None] = {name: evidence.published(one) for name, one in experiments().items()}
    without = [one.name for one in chosen if scales[one.name] is None]
    if len(without) == len(chosen or scales) or not any(scales.values()):
        raise ValueError(
            f"there is no evidence of {', '.join(without) or 'any figure'}; run it with --write-docs first"
        )
    folder = root / FOLDER
    before = json.loads((folder / KNOWN).read_text()) if (folder / KNOWN).is_file() else {}
    known = {name: facts for name, facts in before.items() if scales.get(name) and _is_current(facts)}
    paths: list[Path] = []
    for one in chosen or experiments().values():
        if (scale := scales[one.name]) is not None:
            found = outcome(one, scale, evidence)
            paths += write_page(found, folder)
            known[one.name] = _facts(found)
    paths += _write_overview(known, root)
    removed = [] if chosen else _remove_stale(folder, set(paths))
    return Written(paths, list(_changes(before, known)), without, removed)


def _remove_stale(folder: Path, written: set[Path]) -> list[Path]:
    """Remove the pages and figures that were written before and not now; what is written by hand stays."""
    pages = {path.stem: path for path in folder.glob("*.md") if MARK in path.read_text()}
    figures = (path for kind in ("svg", "png") for path in folder.glob(f"*.{kind}"))
    ours = [*pages.values(), *(path for path in figures if path.stem.partition("-")[0] in pages)]
    stale = sorted(set(ours) - written)
    for path in stale:
        path.unlink()
    return stale


def _write_overview(known: Mapping[str, Facts], root: Path) -> list[Path]:
    folder, (before, after) = root / FOLDER, _outside_markers(root / "README.md")
    folder.mkdir(exist_ok=True)
    text = json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False)
    opening = (folder / OPENING).read_text().strip() if (folder / OPENING).is_file() else ""
    return [
        write_text(folder / KNOWN, text + "\n"),
        write_text(folder / "index.md", _index(known, opening)),
        write_text(root / "README.md", f"{before}{_tally(known)}\n{after}"),
    ]


def _outside_markers(readme: Path) -> tuple[str, str]:
    text = readme.read_text() if readme.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{readme} must hold the lines {BEGIN} and {END}; the tally goes between them")
    return f"{before}{begin}\n", f"{end}{after}"


def _facts(found: Outcome) -> dict[str, Any]:
    """Return the facts about an experiment that the index needs."""
    claims = [_claim_facts(claim, verdict) for claim, verdict in found.verdicts]
    title = found.experiment.title
    return {"title": title, "scale": found.scale, "seconds": round(found.seconds, 1), "claims": claims}


def _claim_facts(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    about = {"name": claim.name, "text": claim.text, "reference": claim.reference, "whose": claim.whose}
    readings = {name: _numbers(reading) for name, reading in verdict.readings}
    told = {"told": word_told(verdict), "number": numbers_told(verdict)}
    return {**about, **_numbers(verdict), **told, "choice": verdict.choice, "readings": readings}


def _numbers(verdict: Verdict) -> dict[str, Any]:
    number = verdict.number
    # JSON has neither NaN nor infinity. Rounded, so that another machine's last digit changes nothing.
    effect, *interval = (float(f"{x:.6g}") if math.isfinite(x) else None for x in (number.effect, *number.interval))
    kept = {"word": verdict.word, "fragile": verdict.fragile, "n": number.n, "note": verdict.note}
    return {**kept, "effect": effect, "interval": interval}


def _is_current(facts: Facts) -> bool:
    """Return whether facts have this version's form; older ones said ``outcome`` instead of ``word``."""
    return all("word" in claim for claim in facts["claims"])


def _changes(before: Mapping[str, Facts], after: Mapping[str, Facts]) -> Iterable[str]:
    """Yield each claim that is added, gone, or judged otherwise than before."""
    old, new = _told(before), _told(after)
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield f"{name}: {old.get(name, 'new')} → {new.get(name, 'gone')}"


def _told(known: Mapping[str, Facts]) -> dict[str, str]:
    return {
        f"{name} {claim['name']}": f"{claim['told']}, {claim['number']}" if "word" in claim else claim["outcome"]
        for name, facts in known.items()
        for claim in facts["claims"]
    }


def _index(known: Mapping[str, Facts], opening: str) -> str:
    parts = [
        "# Claims of the four papers, and our own",
        GENERATED,
        opening,
        _tally(known),
        f"All experiments took {duration(_seconds(known))} of processor time.",
        _figures(known),
    ]
    for paper, title in PAPERS.items():
        rows = [
            (_link(name), claim["text"], claim["told"], _number(claim), known[name]["scale"], claim["whose"])
            for name in _ordered(known)
            if name.startswith(f"{paper}.")
            for claim in known[name]["claims"]
        ]
        header = "figure", "claim", "verdict", "effect [95 %], repetitions", "scale", "whose"
        parts += [f"## {paper}: {title}", markdown_table(header, rows)] if rows else []
    return paragraphs(*parts)


def _number(claim: Facts) -> str:
    n_readings = len(claim["readings"])
    return f"{n_readings} readings, on its page" if n_readings > FEW_READINGS else claim["number"]


def _seconds(known: Mapping[str, Facts]) -> float:
    """Sum the experiments' times; figures that share one training count once."""
    return sum({experiments()[name].training: known[name]["seconds"] for name in _ordered(known)}.values())


def _ordered(known: Mapping[str, Facts]) -> list[str]:
    return [name for name in experiments() if name in known]


def _link(name: str) -> str:
    return f"[{name}]({name}.md)"


def _figures(known: Mapping[str, Facts]) -> str:
    rows = [
        (_link(name), known[name]["title"], *(counted(_words(known, [name], whose)) for whose in ("paper", "ours")))
        for name in _ordered(known)
    ]
    return markdown_table(("figure", "what it shows", "the paper's claims", "our own"), rows)


def _tally(known: Mapping[str, Facts]) -> str:
    """Return one line that counts the papers' claims and our own apart."""
    papers, ours = (_words(known, _ordered(known), whose) for whose in ("paper", "ours"))
    told = f"Of {plural(len(papers), 'claim')} that the papers make: {counted(papers)}."
    return f"{told} Of {plural(len(ours), 'claim')} of our own: {counted(ours)}."


def _words(known: Mapping[str, Facts], names: Iterable[str], whose: str) -> list[Any]:
    return [claim["word"] for name in names for claim in known[name]["claims"] if claim["whose"] == whose]
