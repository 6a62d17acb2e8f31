"""Runs while they go on: the report's page, made anew when something was recorded."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock

from ...record.runs.run_directory import DESCRIPTION, TABLE
from .html import digest, page, rendered, source, view_of

# At most a tenth of one core goes into drawing: the rest belongs to the run.
SHORTEST = 1.0  # seconds between two pages
SHARE = 0.1


@dataclass(frozen=True)
class Page:
    """A page, the version of the runs that it shows, and whether it shows any run."""

    version: str
    html: str
    shows_runs: bool


class LivePage:
    """The page of runs that others write, or are about to.

    Nothing in a run's directory is written, created or locked: a look is the size and time of its files, and a page
    reads one state of the table while the writer goes on.

    Args:
        directories: of the runs; those that have not begun are waited for.

    Raises:
        ValueError: if none is given, or one is a file.
    """

    def __init__(self, directories: Sequence[str | Path]) -> None:
        self.directories = [Path(directory) for directory in directories]
        if not self.directories:
            raise ValueError("there is nothing to watch; give a run directory")
        for directory in self.directories:
            if directory.is_file():
                raise ValueError(f"{directory} is a file; a run is a directory")
        self._lock = Lock()
        self._page: Page | None = None
        self._rested = 0.0

    @property
    def missing(self) -> list[Path]:
        """The directories that no run has begun in."""
        return [directory for directory in self.directories if not (directory / DESCRIPTION).is_file()]

    @property
    def version(self) -> str:
        """What changes when anything is written to the runs."""
        return sha256(repr([_looks(directory) for directory in self.directories]).encode()).hexdigest()[:24]

    def is_newer(self, version: str) -> bool:
        """Whether there is something to show beyond that version, and drawing it is not too soon."""
        return time.monotonic() >= self._rested and self.version != version

    def page(self) -> Page:
        """The page as of now; of several that ask at once, one makes it."""
        with self._lock:
            version = self.version  # before reading: what is written meanwhile makes another version
            if self._page is None or self._page.version != version:
                begun = time.monotonic()
                self._page = self._made(version)
                now = time.monotonic()
                self._rested = now + max(SHORTEST, (now - begun) * (1 / SHARE - 1))
            return self._page

    def _made(self, version: str) -> Page:
        absent = self.missing
        try:
            views = [view_of(directory) for directory in self.directories if directory not in absent]
        except (OSError, ValueError) as error:
            return Page(version, followed(_waiting([f"{error}. Trying again."]), version), False)
        if not views:
            told = [f"There is no run in {directory} yet. Waiting for it to begin." for directory in absent]
            return Page(version, followed(_waiting(told), version), False)
        return Page(version, followed(page(views), version), True)


def _looks(directory: Path) -> list[tuple[int, int] | None]:
    return [_look(directory / name) for name in (DESCRIPTION, TABLE, f"{TABLE}-wal")]


def _look(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size, found.st_mtime_ns


def _waiting(told: Sequence[str]) -> str:
    return rendered("waiting.html", told=told)


_SCRIPTS = re.compile(r"script-src ('sha256-[^']+')")


def followed(html: str, version: str) -> str:
    """A page with the script that renews it, which its policy lets through and lets ask where the page is from.

    Example:
        >>> html = followed("<i>script-src 'sha256-a'</i><body></body>", "1")
        >>> print(html.splitlines()[0])
        <i>script-src 'sha256-a' 'sha256-...'; connect-src 'self'</i><body><script data-version="1">...
    """
    script = source("live.js")
    allowed, found = _SCRIPTS.subn(rf"script-src \1 '{digest(script)}'; connect-src 'self'", html, count=1)
    content, end, rest = allowed.rpartition("</body>")
    if not (found and end):
        raise RuntimeError("the page has no policy for scripts, or no end, to put the live script into")
    return f'{content}<script data-version="{version}">{script}</script>\n{end}{rest}'
