"""The file of sentences against the code that fills them in."""

import re
import string
from pathlib import Path

import pytest

from cofire.reports.findings.comparison_findings import CHANGING
from cofire.reports.findings.finding import _sentences, about

CODE = "".join(path.read_text() for path in Path(__file__).parents[3].glob("src/cofire/reports/findings/*.py"))
CHANGES = {f"{quantity} {change}" for quantity in CHANGING for change in ("rose", "fell", "differs")}
CHOSEN = {"rose", "fell", "peaked", "independent", "independent, as far as correlation shows"}
CHOSEN |= {"independent, inspected"}
CHOSEN |= {"constant", "constant, inspected"}


def test_every_key_in_the_code_has_sentences_and_every_entry_is_used():
    literal = set(re.findall(r'(?:about|_copies|_disagreeing)\(\s*"([^"]+)"', CODE))
    assert literal <= set(_sentences())
    assert set(_sentences()) <= literal | CHANGES | CHOSEN


@pytest.mark.parametrize("key", _sentences())
def test_every_entry_is_complete(key):
    text = _sentences()[key]
    assert set(text) <= {"kind", "headline", "remark", "advice"} and re.match("[A-Z{]", text["headline"])
    for part in ("remark", "advice"):
        assert re.search(r"[.}]$", text.get(part, ".")), part


def test_every_place_is_filled_in_by_some_function():
    places = {
        name
        for text in _sentences().values()
        for sentence in text.values()
        for _, name, _, _ in string.Formatter().parse(sentence)
        if name
    }
    assert all(re.search(rf"\b{name}=", CODE) for name in places), places


def test_layers_beyond_the_most_are_counted():
    (found,) = about("positions", "note", [(f"fc{k}", "1") for k in range(7)], most=2)
    assert found.headline == "Positions count as samples in 7 layers"
    assert found.points == (("fc0", "1"), ("fc1", "1"), ("…", "5 more layers"))
    assert about("positions", "note", []) == []
