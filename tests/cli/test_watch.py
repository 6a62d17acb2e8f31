"""``cofire watch`` as a process."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cofire.cli import app, main
from cofire.record import Row, Run


def restore_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background ignores it


@contextmanager
def watching(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "cofire", "watch", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_sigint,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def get(port: int) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_it_waits_for_a_run_shows_it_and_stops_at_ctrl_c(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with watching(str(run)) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)/", said)
        assert said.startswith(f"Watching {run} at ") and "Waiting for a run to begin in" in process.stdout.readline()
        assert get(int(port))[0] == 503
        with Run.open(run, mode="write") as opened:
            opened.table([Row("run", 7, 0, "fc", "nc", "{}", 0.5, 10, 0)])
            status, page = get(int(port))
        assert status == 200 and "at step 7" in page
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
        assert (process.returncode, rest, errors) == (0, "Stopped.\n", "")


def test_opens_the_page(tmp_path, monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("cofire.reports.page.server.Server.serve_forever", lambda self: None)
    done = CliRunner().invoke(app, ["watch", str(tmp_path), "--port", "0", "--open"])
    assert done.exit_code == 0 and len(opened) == 1 and opened[0] in done.stdout
    assert "No browser" in done.stderr  # append returns None, as webbrowser.open does without a browser


def test_a_missing_package_is_reported_at_once(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("cofire.cli.watch.find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["cofire", "watch", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert "this needs jinja2; install it with" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "words"), [(["file"], "is a file"), (["run", "--port", "{taken}"], "in use")])
def test_wrong_input_prints_one_line(arguments, words, tmp_path, monkeypatch, capsys) -> None:
    import socket

    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setattr("sys.argv", ["cofire", "watch", *(text.format(taken=port) for text in arguments)])
        with pytest.raises(SystemExit) as left:
            main()
    said = capsys.readouterr().err
    assert left.value.code == 2 and words in said and len(said.splitlines()) == 1
