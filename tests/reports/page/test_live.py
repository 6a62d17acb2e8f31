"""The page that follows runs: what it takes for new, what it shows, and that the writer does not notice."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from cofire.record import Row, Run
from cofire.reports.page import html
from cofire.reports.page.html import view_of
from cofire.reports.page.live import SHORTEST, LivePage, followed
from cofire.reports.page.server import Server


def nc(step: int, run: str = "run", value: float = 0.5) -> Row:
    return Row(run, step, 0, "fc", "nc", "{}", value, 10, 0)


def test_waits_for_what_has_not_begun(tmp_path):
    live = LivePage([tmp_path / "later" / "run"])
    page = live.page()
    assert list(live.waiting) == [tmp_path / "later" / "run"]
    assert not page.shows_runs and "Waiting for a run to begin in" in page.html


def test_runs_that_have_begun_are_shown_without_the_others(make_run, tmp_path):
    live = LivePage([make_run({"fc": 0.3}), tmp_path / "later"])
    assert list(live.waiting) == [tmp_path / "later"]
    assert live.page().shows_runs and "fc" in live.page().html


def test_the_page_is_made_again_only_when_something_was_written(tmp_path):
    live = LivePage([tmp_path / "run"])
    before = live.page()
    with Run.open(tmp_path / "run", mode="write") as run:
        begun = live.page()
        assert begun.version != before.version and live.page() is begun
        run.table([nc(0), nc(10)])
        written = live.page()
        assert written.version != begun.version and "at step 10" in written.html
        assert live.page() is written


def test_news_waits_until_the_run_had_its_share_of_time(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    live = LivePage([tmp_path / "run"])
    shown = live.page().version
    with Run.open(tmp_path / "run", mode="write") as run:
        run.table([nc(0)])
        assert not live.is_newer(shown)
        now += SHORTEST
        assert live.is_newer(shown) and not live.is_newer(live.version)


@pytest.mark.parametrize("name", ["", "run.json", "rows.sqlite", "rows.sqlite-wal"])
def test_a_loop_of_links_is_told_until_it_is_mended(name, make_run, tmp_path):
    run = make_run({"fc": 0.3})
    live = LivePage([run])
    shown, looping = live.page(), run / name
    kept = looping.rename(tmp_path / "kept") if looping.exists() else None
    looping.symlink_to(looping)
    assert live.version != shown.version
    if name != "rows.sqlite-wal":  # a table that is not written to has none
        assert not live.page().shows_runs and "Trying again" in live.page().html
    looping.unlink()
    if kept is not None:
        kept.rename(looping)
    assert live.page().shows_runs


def test_the_page_says_when_each_run_was_written_to(make_run):
    runs = [make_run({"fc": 0.3}, name=name) for name in "ab"]
    for run, hour in zip(runs, (1, 2), strict=True):
        for file in run.iterdir():
            os.utime(file, (3600 * hour, 3600 * hour))
    os.utime(runs[0] / "run.json", (9e8, 9e8))  # it holds no numbers
    (recorded,) = re.findall(r'id="recorded">(.*?)</script>', LivePage(runs).page().html)
    assert json.loads(recorded) == [["a", 3_600_000], ["b", 7_200_000]]


@pytest.mark.parametrize("moment", ["no table yet", "an empty table", "half a description"])
def test_a_run_that_is_just_beginning_is_tried_again(moment, make_run):
    run = make_run({"fc": 0.3})
    live = LivePage([run])
    shown = live.page()
    table = run / "rows.sqlite"
    kept = {path: path.read_bytes() for path in (table, run / "run.json")}
    if moment == "half a description":
        (run / "run.json").write_text('{"config"')
    else:
        table.unlink()
    if moment == "an empty table":
        sqlite3.connect(table).close()
        table.touch()
    page = live.page()
    assert not page.shows_runs and "Trying again" in page.html
    for path, content in kept.items():
        path.write_bytes(content)
    assert live.page().shows_runs and shown.shows_runs


def test_what_cannot_be_watched_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file; give the directory of a run"):
        LivePage([tmp_path / "file"])
    with pytest.raises(ValueError, match="nothing to watch"):
        LivePage([])


def test_the_policy_lets_every_script_of_the_page_through_and_one_address(make_run):
    html = LivePage([make_run({"</body><script>": 0.3})]).page().html
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    scripts = re.findall(r"<script(?: data-version=\"\w+\")?>(.*?)</script>", html, re.S)
    hashes = {"'sha256-" + b64encode(sha256(script.encode()).digest()).decode() + "'" for script in scripts}
    assert len(scripts) == 2 and set(rules["script-src"].split()) == hashes
    assert rules["connect-src"] == "'self'" and rules["default-src"] == "'none'"
    assert html.count("</body>") == 1


def test_a_page_without_a_policy_is_not_followed():
    with pytest.raises(RuntimeError, match="no script policy"):
        followed("<body></body>", "1")


WRITER = """
import sys, time
from cofire.record import Row, Run
with Run.open(sys.argv[1], mode="write") as run:
    for step in range(int(sys.argv[2])):
        time.sleep(0.02)
        run.table([Row("run", step, 0, f"layer{i}", "nc", "{}", 0.5, 10, 0) for i in range(3)])
        run.table.flush()
    print("wrote", len(run.rows()), flush=True)
    sys.stdin.read()
"""


def test_another_process_writes_undisturbed_while_the_page_is_read(tmp_path):
    """Every row arrives, each page shows whole recordings, and nothing is left behind in the directory."""
    steps, run = 100, tmp_path / "run"
    live = LivePage([run])
    seen = [-1]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(run), str(steps)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        while seen[-1] < steps - 1:
            assert writer.poll() is None
            found = re.search(r"As last recorded, at step ([\d,]+)", live.page().html)
            seen.append(int(found[1].replace(",", "")) if found else -1)
        said, _ = writer.communicate("", timeout=60)
    assert seen == sorted(seen) and said.split() == ["wrote", str(3 * steps)] and writer.returncode == 0
    assert {path.name for path in run.iterdir()} == {"run.json", "rows.sqlite", "lock"}
    with Run.open(run) as opened:
        assert len(opened.rows()) == 3 * steps


def test_one_page_shows_one_state_of_the_table(tmp_path):
    with Run.open(tmp_path / "run", mode="write") as writing:
        writing.table([nc(0)])
        with Run.open(tmp_path / "run") as reading, reading.table.snapshot():
            assert len(reading.rows()) == 1
            writing.table([nc(1)])
            assert len(reading.rows()) == 1
        with Run.open(tmp_path / "run") as reading:
            assert len(reading.rows()) == 2


def test_a_report_of_a_run_that_is_resumed_meanwhile_is_made_anew(tmp_path, make_run, monkeypatch):
    run, opened, read_view = make_run({"fc": 0.3}), [], html.read

    def read_while_it_is_resumed(reading):
        if not opened:
            opened.append(Run.open(run, mode="write"))
        return read_view(reading)

    monkeypatch.setattr(html, "read", read_while_it_is_resumed)
    assert view_of(run).layers[0].name == "fc"
    opened[0].close()


def test_a_directory_that_may_not_be_written_to_is_watched(make_run):
    run: Path = make_run({"fc": 0.3})
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    with Server(LivePage([run]), port=0) as server:
        assert server.page.page().shows_runs
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before
