"""Tables as HTML, for notebooks: all text is escaped, and nothing is loaded from elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape


def html_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", meanings: Mapping[str, str] | None = None
) -> str:
    """Return a table.

    Args:
        head: its headings.
        rows: its cells.
        caption: its title.
        meanings: what headings mean, as their tooltips.

    Example:
        >>> html_table(["layer"], [["<b>"]])
        '<table><thead><tr><th>layer</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    headings = "".join(_heading(name, (meanings or {}).get(name, "")) for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{title}<thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table>"


def _heading(name: str, meaning: str) -> str:
    return f'<th title="{escape(meaning)}">{escape(name)}</th>' if meaning else f"<th>{escape(name)}</th>"


def html_lines(lines: Iterable[str]) -> str:
    """Return a paragraph for each line."""
    return "".join(f"<p>{escape(line)}</p>" for line in lines)
