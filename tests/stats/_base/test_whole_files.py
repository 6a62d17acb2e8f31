"""Files appear whole or not at all; links, devices and pipes stay what they are."""

import os
import threading
from pathlib import Path

import pytest

from cofire.stats._base.whole_files import replaced


def write(path: Path, content: bytes = b"new") -> None:
    with replaced(path) as file:
        file.write(content)


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), replaced(tmp_path / "a") as file:
        file.write(b"half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    write(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "new" and [one.name for one in tmp_path.iterdir()] == ["a"]


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "a").read_text() == "new"


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write(tmp_path / "pipe")
    reader.join(10)
    assert read == [b"new"] and (tmp_path / "pipe").is_fifo()
