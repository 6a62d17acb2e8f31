"""The page holds what was recorded and trusts none of it; Chromium, where present, draws it without complaint."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cofire.report import write_report

EVIL = "<img src=x onerror=alert(1)></script><!--"


def test_names_are_escaped_everywhere(make_run, tmp_path: Path) -> None:
    page = write_report(make_run({EVIL: 0.3, "plain": 0.1}), tmp_path / "page.html").read_text()
    assert "<img src=x" not in page and "&lt;img src=x" in page
    assert "Content-Security-Policy" in page and "default-src " in page


@pytest.mark.parametrize("case", ["empty", "one step", "sixty layers"])
def test_unusual_runs_do_not_break_the_page(case: str, make_run, tmp_path: Path) -> None:
    made = {
        "empty": lambda: make_run(),
        "one step": lambda: make_run({"a": 0.2}, steps=(0,)),
        "sixty layers": lambda: make_run({f"layer.{i}": 0.01 * i for i in range(60)}, n_units=12),
    }[case]()
    assert write_report(made, tmp_path / "page.html").stat().st_size > 1000


def test_nothing_is_fetched(make_run, tmp_path: Path) -> None:
    page = write_report(make_run({"a": 0.2}), tmp_path / "page.html").read_text()
    assert not re.findall(r'(?:src|href)="https?://', page)


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_chromium_draws_it_without_errors(make_run, tmp_path: Path) -> None:
    page = write_report(make_run({"encoder.0": 0.4, "encoder.2": 0.1}), tmp_path / "page.html")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    flags += [
        f"--user-data-dir={tmp_path}/chrome",
        "--enable-logging=stderr",
        "--virtual-time-budget=3000",
        "--dump-dom",
    ]
    done = subprocess.run(["chromium", *flags, page.as_uri()], capture_output=True, text=True, timeout=90)
    assert "encoder.0" in done.stdout and "<svg" in done.stdout
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
