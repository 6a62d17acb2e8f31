"""What is published is what the evidence says: pages, verdicts, tally and figures."""

import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from cofire.papers.docs_pages import FOLDER, rejudge
from cofire.papers.figure_page import MARK
from cofire.papers.registry import experiments

ROOT = Path(__file__).parents[2]


def generated(root: Path) -> dict[str, bytes]:
    """The files that are written from the evidence, by their paths; no figures. Earlier versions marked them too."""
    pages = [path for path in (root / FOLDER).glob("*.md") if MARK in path.read_text()]
    paths = [root / "README.md", root / FOLDER / "claims.json", *pages]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything written anew from the evidence alone."""
    root = tmp_path_factory.mktemp("project")
    (root / FOLDER).mkdir(parents=True)
    shutil.copytree(ROOT / FOLDER / "evidence", root / FOLDER / "evidence")
    for path in (ROOT / "README.md", *(ROOT / FOLDER).glob("_*.md")):
        shutil.copy(path, root / path.relative_to(ROOT))
    rejudge([], root)
    return root


def test_pages_verdicts_and_tally_are_those_of_the_evidence(again: Path) -> None:
    mine, theirs = generated(again), generated(ROOT)
    assert mine.keys() == theirs.keys(), (
        "a page without evidence, or evidence without a page: cofire reproduce --rejudge"
    )
    assert not [name for name in mine if mine[name] != theirs[name]], "not as judged now: cofire reproduce --rejudge"


def test_figures_are_those_of_the_evidence(again: Path) -> None:
    """Drawings only: pixels differ from machine to machine, and drawings between versions of matplotlib."""
    pinned = re.search(r"^matplotlib==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    if pinned is None or pinned[1] != version("matplotlib"):
        pytest.skip("another version of matplotlib draws otherwise")
    drawn = {path.name for path in (again / FOLDER).glob("*.svg")}
    assert drawn == {path.name for path in (ROOT / FOLDER).glob("*.svg")}
    assert not [name for name in drawn if (again / FOLDER / name).read_bytes() != (ROOT / FOLDER / name).read_bytes()]


def test_every_file_of_evidence_belongs_to_an_experiment() -> None:
    wanted = {f"{one.training}.{scale}.parquet" for one in experiments().values() for scale in one.scales}
    assert {path.name for path in (ROOT / FOLDER / "evidence").glob("*")} <= wanted
