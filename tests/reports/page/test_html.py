"""The page holds what was recorded and trusts none of it."""

import re
from pathlib import Path

import numpy as np
import pytest

from cofire.record.runs.rows import Array
from cofire.reports import write_report
from cofire.reports.page.html import digest

from ..conftest import row

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
    assert [page.count(f'"{kind}":{{"units"') for kind in ("correlation", "information", "difference")] == [2, 2, 2]
    assert "Correlation misses dependence in" in page and "information 0.90 nats" in page
    assert "Dependence score, ι" in page and "<img src=x" not in page


def test_the_policy_lets_the_pages_own_script_and_style_through(make_run, tmp_path: Path) -> None:
    page = write_report(make_run({"|ρ|": 0.2}), tmp_path / "page.html").read_text()
    for kind in ("style", "script"):
        (text,) = re.findall(f"<{kind}>(.*?)</{kind}>", page, flags=re.DOTALL)
        assert f"{kind}-src '{digest(text)}'" in page


def test_two_runs_share_one_page(make_run, tmp_path: Path) -> None:
    runs = [make_run({"a": 0.2, "b": 0.1}, name="first"), make_run({"a": 0.4}, name=EVIL[:9])]
    page = write_report(runs, tmp_path / "page.html").read_text()
    assert "2 runs side by side" in page and page.count('<tr data-run="1"') == 1 and "vs first" in page
    with pytest.raises(ValueError, match="at least one run"):
        write_report([], tmp_path / "none.html")


def test_a_run_without_dependence_does_not_speak_of_it(make_run, tmp_path: Path) -> None:
    rows = [row("run", 0, "a", "nc", 0.2), row("run", 0, "a", "n_units", 3)]
    arrays = [Array("run", 0, "a", "correlation", np.eye(3))]
    page = write_report(make_run(rows=rows, arrays=arrays), tmp_path / "page.html").read_text()
    assert '"correlation":{"units"' in page and "nats" not in page.split("<main")[1].split("<footer")[0]
