"""Downloads that are checked before anybody reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Remote:
    """Where a data set's files are: a folder's name in the cache, mirrors, and the md5 of each file."""

    folder: str
    mirrors: tuple[str, ...]
    md5: Mapping[str, str]


def fetch(remote: Remote) -> Path:
    """The folder with the files, downloaded from a mirror unless they are there and whole.

    Raises:
        ImportError: if pooch is absent.
        ConnectionError: if no mirror gave a file with the right checksum.
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
            pooch.retrieve(
                mirror + name,
                known_hash=f"md5:{remote.md5[name]}",
                fname=name,
                path=folder,
                downloader=download,
            )
        # ValueError is pooch's word for a wrong checksum, OSError covers every failure of the network.
        except (OSError, ValueError) as error:
            problems.append(f"{mirror}: {error}")
        else:
            return
        finally:
            bar.close()
    raise ConnectionError(
        f"{name} could not be downloaded; put it into a folder and name that in the environment "
        "variable COFIRE_DATA_ROOT (or as data_root, --data-root). Tried:\n  " + "\n  ".join(problems)
    )


class _Bar:
    """A rich progress bar with the four names by which pooch drives one."""

    def __init__(self, name: str) -> None:
        from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        self._progress = Progress(
            TextColumn(name), *Progress.get_default_columns()[1:], DownloadColumn(), TransferSpeedColumn()
        )
        self._task = self._progress.add_task(name, total=None)
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes to come."""
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self._progress.update(self._task, total=total)
        self._progress.start()

    def update(self, n: int) -> None:
        """More bytes have come."""
        self._progress.advance(self._task, n)

    def reset(self) -> None:
        """Begin again at none; pooch then reports the whole at once."""
        self._progress.reset(self._task, total=self._total)

    def close(self) -> None:
        """Leave the terminal as it was; a second call does nothing."""
        self._progress.stop()
