"""The page holds what was recorded and trusts none of it; Chromium, where present, draws it without complaint."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cofire.record.rows import Array
from cofire.report import write_report

from .conftest import row

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


def test_a_layer_with_dependence_has_three_maps_and_a_finding(make_run, tmp_path: Path) -> None:
    page = write_report(make_run({"a": 0.2, EVIL: 0.1}), tmp_path / "page.html").read_text()
    assert [page.count(f'"kind": "{kind}"') for kind in ("correlation", "dependence", "difference")] == [2, 2, 2]
    assert "Correlation misses dependence in" in page and "information 0.90 nats" in page
    assert "Dependence score, ι" in page and "<img src=x" not in page


def test_a_run_without_dependence_does_not_speak_of_it(make_run, tmp_path: Path) -> None:
    rows = [row("run", 0, "a", "nc", 0.2), row("run", 0, "a", "n_units", 3)]
    arrays = [Array("run", 0, "a", "correlation", np.eye(3))]
    page = write_report(make_run(rows=rows, arrays=arrays), tmp_path / "page.html").read_text()
    assert '"kind": "correlation"' in page and "nformation" not in page.split("<main")[1].split("<footer")[0]


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
    assert 'data-drawn="6"' in done.stdout  # three maps for each of two layers
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
