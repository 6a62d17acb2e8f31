"""Downloads of data sets, checked against their md5."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Remote:
    """Location of a data set's files.

    Attributes:
        folder: name of its folder in the cache.
        mirrors: addresses of folders that hold the files, tried in order.
        md5: checksum of each file.
    """

    folder: str
    mirrors: tuple[str, ...]
    md5: Mapping[str, str]


def fetch(remote: Remote) -> Path:
    """Return the folder with the files; download those that are absent or damaged.

    Raises:
        ImportError: if pooch is not installed.
        ConnectionError: if no mirror returned a file with the right checksum.
    """
    try:
        import pooch
    except ImportError as error:
        raise ImportError('downloads need pooch: pip install "cofire[papers]", or give data_root') from error
    folder = Path(pooch.os_cache("cofire")) / remote.folder
    for name in remote.md5:
        _fetch_file(pooch, remote, name, folder)
    return folder


def _fetch_file(pooch: Any, remote: Remote, name: str, folder: Path) -> None:
    problems: list[str] = []
    for mirror in remote.mirrors:
        bar = _Bar(name)
        try:
            download = pooch.HTTPDownloader(progressbar=bar, timeout=60)
            pooch.retrieve(mirror + name, f"md5:{remote.md5[name]}", name, folder, downloader=download)
        # pooch raises ValueError for a wrong checksum; OSError covers every network failure.
        except (OSError, ValueError) as error:
            problems.append(f"{mirror}: {error}")
        else:
            return
        finally:
            bar.close()
    raise ConnectionError(
        f"{name} could not be downloaded; put it into a folder and set COFIRE_DATA_ROOT, data_root or "
        "--data-root to that folder. Tried:\n  " + "\n  ".join(problems)
    )


class _Bar:
    """A rich progress bar with the interface that pooch expects: ``total``, ``update``, ``reset`` and ``close``."""

    def __init__(self, name: str) -> None:
        from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        self.total = 0  # pooch sets it once it knows the size
        self._progress = Progress(
            TextColumn(name), *Progress.get_default_columns()[1:], DownloadColumn(), TransferSpeedColumn()
        )
        self._task = self._progress.add_task(name, total=None)

    def update(self, n: int) -> None:
        """Add downloaded bytes."""
        self._progress.start()  # only now, so that a mirror that does not answer draws no bar
        self._progress.update(self._task, advance=n, total=self.total)

    def reset(self) -> None:
        """Start again at 0; pooch then reports the whole file at once."""
        self._progress.reset(self._task, total=self.total)

    def close(self) -> None:
        """Restore the terminal; a second call does nothing."""
        self._progress.stop()
