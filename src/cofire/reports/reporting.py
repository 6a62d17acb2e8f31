"""`report`: a page on what was found, whatever that is."""

from collections.abc import Sequence
from pathlib import Path

from .._version import __version__
from ..nets.redundancy import RedundancyReport
from ..record import Run
from .data.comparison import Comparison
from .page.comparison_page import write_comparison
from .page.html import write_report
from .page.inspection_page import Inspection, write_inspection

Found = str | Path | Run | Sequence[str | Path | Run] | RedundancyReport | Comparison


def report(run: Found, output: str | Path = "report.html", *, title: str = "") -> Path:
    """Write an HTML page on a run, an inspection or a comparison; it opens offline in any browser.

    An older page at ``output`` is replaced only once the new one is complete.

    Args:
        run: a run directory, an open run, or several of them side by side; or what `cofire.inspect` or
            `cofire.compare` returned.
        output: the file to write.
        title: the network's name on the page of an inspection.

    Returns:
        The path written to.

    Raises:
        FileNotFoundError: if a directory is not a run.
        ValueError: if no run is given, a run is damaged, or it is something else.
        OSError: if the page cannot be written.
    """
    if isinstance(run, RedundancyReport):
        return write_inspection(Inspection(title or "Model", run, {"cofire": __version__}), output)
    if isinstance(run, Comparison):
        return write_comparison(run, output)
    if isinstance(run, str | Path | Run | Sequence):
        return write_report(run, output)
    raise ValueError(f"report takes run directories, or what inspect or compare returned; got {type(run).__qualname__}")
