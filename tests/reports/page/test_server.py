"""Real requests: the page, news of it, and what is refused."""

import errno
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from cofire.record import Row, Run
from cofire.reports.page import live as live_module
from cofire.reports.page.live import LivePage
from cofire.reports.page.server import LOOPBACK, Server


@pytest.fixture
def run(make_run) -> Path:
    return make_run({"fc": 0.3}, steps=(0, 100))


@pytest.fixture
def server(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(live_module, "SHORTEST", 0.0)
    monkeypatch.setattr(live_module, "SHARE", 1.0)
    monkeypatch.setattr("cofire.reports.page.server.LOOK_EVERY", 0.01)
    with Server(LivePage([run]), port=0) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join(30)


def ask(server: Server, path: str = "/", method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection(LOOPBACK, server.server_port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def more(run: Path, step: int) -> None:
    with Run.open(run, mode="write") as opened:
        opened.table([Row("run", step, 1, "fc", "nc", "{}", 0.6, 10, 0)])


def test_the_page_and_its_tag(server, run):
    answer, body = ask(server)
    assert answer.status == 200 and "at step 100" in body and body.startswith("<!doctype html>")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    again, nothing = ask(server, **{"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304 and nothing == ""
    more(run, 200)
    after, body = ask(server, **{"If-None-Match": answer.headers["ETag"]})
    assert after.status == 200 and "at step 200" in body and after.headers["ETag"] != answer.headers["ETag"]
    assert ask(server, "/?theme=dark")[0].status == 200


def test_a_run_that_is_not_there_yet(server, run):
    server.page.directories = [run.parent / "later"]
    answer, body = ask(server)
    assert answer.status == 503 and "Waiting for a run to begin" in body


def test_news_comes_when_something_is_recorded(server, run):
    shown = ask(server)[0].headers["ETag"].strip('"')
    connection = HTTPConnection(LOOPBACK, server.server_port, timeout=30)
    connection.request("GET", f"/changes?since={shown}")
    answer = connection.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"
    assert answer.readline() == b"retry: 1000\n" and answer.readline() == b"\n"
    more(run, 200)
    assert answer.readline() == b"data: new recordings\n"
    connection.close()
    assert ask(server, "/changes?since=older")[1].endswith("data: new recordings\n\n")


def test_who_waits_for_news_hears_that_the_server_is_there(server, monkeypatch):
    monkeypatch.setattr("cofire.reports.page.server.BREATHE_EVERY", 0.0)
    shown = ask(server)[0].headers["ETag"].strip('"')
    connection = HTTPConnection(LOOPBACK, server.server_port, timeout=30)
    connection.request("GET", f"/changes?since={shown}")
    answer = connection.getresponse()
    assert [answer.readline() for _ in range(3)][2] == b":\n"
    connection.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost:1", ""])
def test_other_names_are_refused(server, host):
    for path in ("/", "/changes?since="):
        answer, body = ask(server, path, Host=host)
        assert answer.status == 421 and "answers only to" in body


def test_this_machines_names_are_ours(server):
    for name in ("localhost", "127.0.0.1"):
        assert ask(server, Host=f"{name}:{server.server_port}")[0].status == 200


def test_http_leaves_out_its_own_port(server, monkeypatch):
    monkeypatch.setattr(server, "server_port", 80)
    assert server.is_for_us("localhost") and server.is_for_us("127.0.0.1") and server.is_for_us("127.0.0.1:80")
    assert not server.is_for_us("evil.example") and not server.is_for_us("127.0.0.1:8765")


@pytest.mark.parametrize("target", ["http://[::1", "http://a]b/", "http://[x]/"])
def test_what_is_no_address_is_answered_in_words(target, server, capsys):
    with socket.create_connection((LOOPBACK, server.server_port), timeout=30) as raw:
        raw.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost:{server.server_port}\r\n\r\n".encode())
        answer = raw.makefile("rb").read()
    assert b" 400 " in answer.splitlines()[0] and b"is no address" in answer and capsys.readouterr().err == ""


def test_a_port_that_needs_an_administrator(run, monkeypatch):
    def bind(self: Server) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Server, "server_bind", bind)
    with pytest.raises(OSError, match="cannot open port 80: only an administrator may open it; 0 takes any free port"):
        Server(LivePage([run]), port=80)


def test_a_loop_of_links_is_answered(server, run):
    kept = run.rename(run.parent / "kept")
    run.symlink_to(run)
    answer, body = ask(server)
    assert answer.status == 503 and "Too many levels of symbolic links" in body
    assert ask(server, "/changes?since=older")[1].endswith("data: new recordings\n\n")
    run.unlink()
    kept.rename(run)
    assert ask(server)[0].status == 200


def test_a_request_without_a_host_is_refused(server):
    with socket.create_connection((LOOPBACK, server.server_port), timeout=30) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b" 421 " in raw.makefile("rb").readline()


@pytest.mark.parametrize(
    "path", ["/rows.sqlite", "/../run.json", "/%2e%2e/run.json", "//etc/passwd", "/changes/..", "/run.json", "/x?y"]
)
def test_there_is_one_page_and_no_file(server, path):
    answer, body = ask(server, path)
    assert answer.status == 404 and body.startswith("The only page is")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT"])
def test_there_is_nothing_to_do_but_look(server, method):
    answer, _ = ask(server, method=method)
    assert answer.status == 405 and answer.headers["Allow"] == "GET"


def test_only_loopback_is_listened_at(server):
    assert server.server_address[0] == "127.0.0.1" and server.address == f"http://127.0.0.1:{server.server_port}/"


def test_a_browser_that_leaves_is_no_error(server, capsys):
    with socket.create_connection((LOOPBACK, server.server_port), timeout=30) as raw:
        raw.sendall(f"GET /changes?since=older HTTP/1.1\r\nHost: localhost:{server.server_port}\r\n\r\n".encode())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # leave without a word
    assert ask(server)[0].status == 200
    assert capsys.readouterr().err == ""


def test_a_port_in_use(run, monkeypatch):
    with Server(LivePage([run]), port=0) as first:
        with pytest.raises(OSError, match=rf"cannot open port {first.server_port}: Address already in use"):
            Server(LivePage([run]), port=first.server_port)
        monkeypatch.setattr("cofire.reports.page.server.PORT", first.server_port)
        with Server(LivePage([run])) as second:
            assert second.server_port not in {0, first.server_port}
