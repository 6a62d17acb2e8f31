"""The architecture page names functions and files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "cofire"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
STEPS = re.findall(r"^\| \d+ \| `(\w+)` \| `([\w/]+\.py)` \|", PAGE, re.MULTILINE)


def test_two_ways_are_shown():
    assert len(STEPS) > 20


@pytest.mark.parametrize(("name", "file"), STEPS)
def test_a_step_names_a_function_that_exists(name, file):
    assert re.search(rf"^(class|def) {name}\b", (PACKAGE / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE))))
def test_a_named_file_exists(path):
    assert (PACKAGE / path).is_file() or (PACKAGE / "reports" / path).is_file()


def test_the_picture_shows_every_folder():
    folders = {path.name for path in PACKAGE.rglob("*/") if any(path.glob("*.py"))} - {"cofire"}
    papers = {path.name for path in (PACKAGE / "papers").iterdir()} - {"framework", "training"}
    picture = PAGE.partition("```text")[2].partition("```")[0]
    assert folders - papers <= set(re.findall(r"\w+", picture))
