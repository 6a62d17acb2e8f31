"""Every work that a docstring cites stands in ``references.bib``, and nothing else does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAPERS = {("Anonymous", "2021")}  # named by its short name throughout
CITED = re.compile(r"([A-ZÅÖ][\w-]+)(?:(?:, | and | et al\.)[^;.\d]*?)? (\d{4})\b")
ENTRY = re.compile(r"@\w+\{\w+, author = \{([\w-]+).*?year = \{(\d{4})\}", re.DOTALL)


def sections() -> Iterator[str]:
    """What follows ``References:`` in the docstrings, up to the next empty line or section."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                for found in re.finditer(r"References:(.*?)(?=\n\s*\n|\Z)", text, re.DOTALL):
                    yield re.sub(r'"[^"]*"|\s+', " ", found.group(1))


def test_all_that_is_cited_is_listed() -> None:
    cited = {match for text in sections() for match in CITED.findall(text)}
    listed = set(ENTRY.findall((ROOT / "references.bib").read_text()))
    assert len(cited) > 20
    assert cited - listed == set()
    assert listed - cited - PAPERS == set()
