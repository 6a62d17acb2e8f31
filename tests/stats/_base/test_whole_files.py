"""Files and folders appear whole or not at all; links, devices and pipes stay what they are."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cofire.stats._base.whole_files import made_folder, new_folder, replaced


def write(path: Path, content: bytes = b"new") -> None:
    with replaced(path) as file:
        file.write(content)


def fill(path: Path) -> None:
    with new_folder(path) as folder:
        (folder / "x").mkdir()
        (folder / "x" / "y").write_text("new")


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), replaced(tmp_path / "a") as file:
        file.write(b"half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    write(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "new" and [one.name for one in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("make", [write, lambda path: fill(path)], ids=["file", "folder"])
@pytest.mark.parametrize("target", ["there", "nothing", "folder"])
def test_links_are_not_written_through(make: Callable[[Path], None], target: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(ValueError, match=rf"link is a link to .*{target}"):
        make(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there").read_text() == "old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "link", "there"]


def test_a_link_at_the_name_of_a_temporary_file_is_not_followed(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "theirs").write_text("old")
    monkeypatch.setattr("secrets.token_hex", lambda n: "0" * 8)
    (tmp_path / f".a.{os.getpid()}.00000000.partial").symlink_to(tmp_path / "theirs")
    with pytest.raises(FileExistsError):
        write(tmp_path / "a")
    assert (tmp_path / "theirs").read_text() == "old"


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write(tmp_path / "pipe")
    reader.join(10)
    assert read == [b"new"] and (tmp_path / "pipe").is_fifo()


def test_an_open_file_is_written_to_by_its_name_in_dev(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        write(Path(f"/dev/fd/{file.fileno()}"))
    assert (tmp_path / "out").read_bytes() == b"new"


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a") as folder:
        (folder / "half").write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    fill(tmp_path / "a")
    assert [one.name for one in tmp_path.iterdir()] == ["a"] and (tmp_path / "a" / "x" / "y").read_text() == "new"


KILLED = """
import os, sys
from cofire.stats._base.whole_files import new_folder, replaced
with globals()[sys.argv[1]](sys.argv[2]) as made:
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("how", "make"), [("replaced", write), ("new_folder", lambda path: fill(path))])
def test_what_a_killed_process_left_goes_and_what_another_writes_stays(how: str, make, tmp_path: Path) -> None:
    target = tmp_path / ("a" * 250)
    foreign = tmp_path / f".{'a' * 200}.backup.partial"
    foreign.touch()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, how, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == b"begun\n"
    make(target)
    assert len(list(tmp_path.iterdir())) == 3  # its temporary file is held
    shutil.rmtree(target, ignore_errors=True)
    process.kill()
    process.wait(30)
    process.stdin.close(), process.stdout.close()
    make(target)
    assert set(tmp_path.iterdir()) == {target, foreign}


def test_new_folders_are_synced_in_those_above_them(tmp_path: Path, monkeypatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("cofire.stats._base.whole_files.sync", synced.append)
    made_folder(tmp_path / "a" / "b")
    made_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir() and set(synced) == {tmp_path, tmp_path / "a"} and len(synced) == 2
