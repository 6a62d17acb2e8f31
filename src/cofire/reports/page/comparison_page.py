"""The page of a comparison of two networks."""

from pathlib import Path

from ..data.comparison import COMPARED, Comparison
from ..findings.comparison_findings import findings, headline
from .html import rendered, written


def write_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Write a comparison as a single HTML page that opens offline.

    Args:
        comparison: what to show.
        path: the file to write; it is replaced only once the page is complete.

    Returns:
        The path written to.

    Raises:
        OSError: if the page cannot be written.
    """
    page = rendered(
        "comparison.html",
        comparison=comparison,
        headline=headline(comparison),
        findings=findings(comparison),
        quantities=COMPARED,
    )
    return written(page, path)
