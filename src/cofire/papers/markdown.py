"""Tables in the guides that code has written: where each is, and how it is put there."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..record.files import replaced


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its first column to the left, the others to the right.

    Example:
        >>> print(markdown_table(["network", "units"], [["mlp", "300"]]))
        | network | units |
        |---|---:|
        | mlp | 300 |
    """
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(rule) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def put_into(guide: str | Path, name: str, text: str) -> None:
    """Replace what a guide has between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: if the guide does not have both marks once.
    """
    guide, begin, end = Path(guide), f"<!-- {name} -->", f"<!-- /{name} -->"
    whole = guide.read_text(encoding="utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(begin) > whole.index(end):
        raise ValueError(f"{guide} must have {begin} and, behind it, {end} once each, to put the table between")
    before, after = whole.partition(begin)[0], whole.partition(end)[2]
    with replaced(guide) as file:
        file.write(f"{before}{begin}\n\n{text}\n\n{end}{after}".encode())
