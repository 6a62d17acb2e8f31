"""Downloads, from a server on this machine."""

import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from cofire.papers.training.download import Remote, fetch

CONTENT = b"to be or not to be" * 1000


class Handler(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def server(tmp_path: Path, monkeypatch) -> Iterator[SimpleNamespace]:
    """A folder that is served, its address, what was asked for, and the cache that downloads go to."""
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    folder = tmp_path / "served"
    (folder / "good").mkdir(parents=True)
    (folder / "bad").mkdir()
    (folder / "good" / "a.bin").write_bytes(CONTENT)
    (folder / "bad" / "a.bin").write_bytes(b"something else")
    handler = type("Recording", (Handler,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{http.server_port}"
        yield SimpleNamespace(address=address, asked=handler.asked, cache=tmp_path / "cache" / "cofire")
        http.shutdown()


def remote(server: SimpleNamespace, *mirrors: str) -> Remote:
    md5 = hashlib.md5(CONTENT).hexdigest()
    return Remote("set", tuple(f"{server.address}/{mirror}/" for mirror in mirrors), {"a.bin": md5})


def test_a_file_is_downloaded_once(server) -> None:
    for _ in range(2):
        folder = fetch(remote(server, "good"))
        assert folder == server.cache / "set" and (folder / "a.bin").read_bytes() == CONTENT
    assert server.asked == ["/good/a.bin"]


def test_a_damaged_file_is_downloaded_anew(server) -> None:
    folder = fetch(remote(server, "good"))
    (folder / "a.bin").write_bytes(CONTENT[:-1])
    fetch(remote(server, "good"))
    assert (folder / "a.bin").read_bytes() == CONTENT and len(server.asked) == 2


@pytest.mark.parametrize("first", ["bad", "absent"])
def test_the_next_mirror_helps_out(server, first: str) -> None:
    """Where one has another file, or none."""
    folder = fetch(remote(server, first, "good"))
    assert (folder / "a.bin").read_bytes() == CONTENT
    assert [path for path in server.asked if path.startswith("/good")] == ["/good/a.bin"]


def test_without_a_good_mirror_nothing_is_kept(server) -> None:
    with pytest.raises(ConnectionError, match=r"a\.bin could not be downloaded; put it into a folder") as told:
        fetch(remote(server, "bad", "absent"))
    assert "/bad/: " in str(told.value) and "/absent/: " in str(told.value)
    assert not (server.cache / "set" / "a.bin").exists()


def test_a_bar_says_how_far_it_is(server, capsys) -> None:
    fetch(remote(server, "good"))
    printed = capsys.readouterr()
    assert "a.bin" in printed.out and "100%" in printed.out
