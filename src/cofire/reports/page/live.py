"""The page of runs that are still being written, renewed whenever something was recorded."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from threading import Lock

from ...record.runs.run_directory import DESCRIPTION, TABLE
from .html import digest, page, rendered, source, view_of

# Drawing takes at most a tenth of one core: the rest belongs to the training.
SHORTEST = 1.0  # seconds between two pages
SHARE = 0.1
# SQLite writes to the log first, so that the table's own file may stay the same for long.
RECORDED = (TABLE, f"{TABLE}-wal")


@dataclass(frozen=True)
class Page:
    """A page, the version of the runs that it shows, and whether it shows any run."""

    version: str
    html: str
    shows_runs: bool


class LivePage:
    """The page of runs that other processes write, or are about to.

    It never writes, creates or locks anything in a run's directory. To detect news it compares the sizes and times of
    files, and a page reads one state of the table while the writer continues.

    Args:
        directories: of the runs; a run may begin later.

    Raises:
        ValueError: if there is no directory, or one of them is a file.
    """

    def __init__(self, directories: Sequence[str | Path]) -> None:
        self.directories = [Path(directory) for directory in directories]
        if not self.directories:
            raise ValueError("there is nothing to watch; give a run directory")
        for directory in self.directories:
            if directory.is_file():
                raise ValueError(f"{directory} is a file; give the directory of a run")
        self._lock = Lock()
        self._page: Page | None = None
        self._next_page_at = 0.0

    @property
    def waiting(self) -> dict[Path, str]:
        """Return the directories in which no run has begun, or that can't be read, with a sentence on each."""
        sentences = {directory: _why_waiting(directory) for directory in self.directories}
        return {directory: sentence for directory, sentence in sentences.items() if sentence}

    @property
    def version(self) -> str:
        """Return a hash that changes when anything is written to the runs."""
        files = [
            _size_and_time(directory / name) for directory in self.directories for name in (DESCRIPTION, *RECORDED)
        ]
        return sha256(repr(files).encode()).hexdigest()[:24]

    def is_newer(self, version: str) -> bool:
        """Return whether there is something newer to show, and enough time has passed to draw it."""
        return time.monotonic() >= self._next_page_at and self.version != version

    def page(self) -> Page:
        """Return the current page; if several threads ask at once, one of them makes it."""
        with self._lock:
            version = self.version  # before reading: a write during reading must give another version
            if self._page is None or self._page.version != version:
                begun = time.monotonic()
                self._page = self._made(version)
                now = time.monotonic()
                self._next_page_at = now + max(SHORTEST, (now - begun) * (1 / SHARE - 1))
            return self._page

    def _made(self, version: str) -> Page:
        waiting = self.waiting
        begun = [directory for directory in self.directories if directory not in waiting]
        times = list(map(_recorded_at, begun))  # before reading, so that no age is less than it is
        try:
            views = list(map(view_of, begun))
        except (OSError, ValueError) as error:
            return _waiting(version, [f"{error}. Trying again."])
        if not views:
            return _waiting(version, list(waiting.values()))
        recorded = [(view.name, time) for view, time in zip(views, times, strict=True)]
        return Page(version, followed(page(views), version, recorded), True)


def _why_waiting(directory: Path) -> str | None:
    try:
        begun = S_ISREG((directory / DESCRIPTION).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        begun = False
    except OSError as error:  # a loop of links, or a folder of somebody else's
        return f"Cannot read {directory}: {error.strerror}. Trying again."
    return None if begun else f"Waiting for a run to begin in {directory}."


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        return -1, error.errno or 0
    return found.st_size, found.st_mtime_ns


def _recorded_at(directory: Path) -> int:
    """Return when something was last written to a run, in milliseconds since 1970."""
    return max(_size_and_time(directory / name)[1] for name in RECORDED) // 10**6


def _waiting(version: str, sentences: Sequence[str]) -> Page:
    return Page(version, followed(rendered("waiting.html", sentences=sentences), version), False)


_SCRIPTS = re.compile(r"script-src ('sha256-[^']+')")


def followed(html: str, version: str, recorded: Sequence[tuple[str, int]] = ()) -> str:
    """Add the script that renews a page, and allow it and its requests to the page's own server in the policy.

    Args:
        html: the page.
        version: of the runs that it shows.
        recorded: when each run was last written to, in milliseconds since 1970.

    Example:
        >>> html = followed("<i>script-src 'sha256-a'</i><body></body>", "1")
        >>> print(html.splitlines()[0])
        <i>script-src 'sha256-a' 'sha256-...'; connect-src 'self'</i><body><script ...
    """
    script = source("live.js")
    allowed, found = _SCRIPTS.subn(rf"script-src \1 '{digest(script)}'; connect-src 'self'", html, count=1)
    content, end, rest = allowed.rpartition("</body>")
    if not (found and end):
        raise RuntimeError("the page has no script policy or no </body> for the live script")
    times = json.dumps(list(recorded)).replace("<", "\\u003c")  # a run's name may hold </script>
    data = f'<script type="application/json" id="recorded">{times}</script>'
    return f'{content}{data}<script data-version="{version}">{script}</script>\n{end}{rest}'
