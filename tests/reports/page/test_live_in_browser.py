"""The live page in a real browser: it renews itself, and keeps what the reader has set."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cofire.record import Row, Run
from cofire.reports.page import live as live_module
from cofire.reports.page.html import digest
from cofire.reports.page.live import LivePage
from cofire.reports.page.server import Server

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(live_module, "SHORTEST", 0.0)
    monkeypatch.setattr(live_module, "SHARE", 1.0)
    with Server(LivePage([tmp_path / "run"]), port=0) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join(30)


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 900, "height": 500})
    yield page
    page.close()


def until(tab: Any, condition: str) -> None:
    """Wait for a condition: Playwright's own way needs ``eval``, which the page's policy forbids."""
    for _ in range(300):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(100)
    raise AssertionError(f"{condition} did not come true")


def test_the_page_renews_itself_and_keeps_what_was_set(server, tab, tmp_path, make_run):
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.goto(server.address)
    playwright.expect(tab.locator("main")).to_contain_text("Waiting for a run to begin")
    run = make_run({"fc1": 0.3, "fc2": 0.1}, steps=(0, 100))
    playwright.expect(tab.locator("main")).to_contain_text("step 100")
    playwright.expect(tab.locator("#live b")).to_have_text("Live")
    complaints.clear()  # of the page that was not there yet
    tab.locator("#theme").click()
    theme = tab.evaluate("document.documentElement.dataset.theme")
    tab.evaluate("document.querySelector('details').open = true; scrollTo(0, 300)")
    with Run.open(run, mode="write") as writing:
        writing.table([Row("run", 200, 2, "fc1", "nc", "{}", 0.6, 1000, 0)])
    playwright.expect(tab.locator("main")).to_contain_text("step 200")
    until(tab, "scrollY === 300")
    assert tab.evaluate("document.querySelector('details').open")
    assert tab.evaluate("document.documentElement.dataset.theme") == theme
    assert not complaints


def test_a_page_that_was_there_before_the_first_row_follows_the_end_too(server, tab, tmp_path, make_run):
    Run.open(tmp_path / "run", mode="write").close()
    tab.goto(server.address)
    playwright.expect(tab.locator("#live b")).to_have_text("Live")
    make_run({"fc1": 0.3}, steps=(0, 100))
    playwright.expect(tab.locator("#step-now")).to_have_text("100 of 100")


def test_it_says_so_when_nobody_answers(server, tab, make_run):
    make_run({"fc1": 0.3}, steps=(0, 100))
    tab.goto(server.address)
    playwright.expect(tab.locator("#live b")).to_have_text("Live")
    server.closing.set()
    server.shutdown()
    server.socket.close()
    playwright.expect(tab.locator("#live b")).to_contain_text("cofire watch does not answer")


SORTS = """document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
  const head = button.closest("th");
  head.ariaSort = head.ariaSort === "ascending" ? "descending" : "ascending";
}));"""
CONTROLS = f"""<!doctype html><meta http-equiv="Content-Security-Policy" content="script-src '{digest(SORTS)}'"><body>
<input type="range" id="middle" max="10" value="5"><input type="range" id="end" max="STEP" value="STEP">
<select id="choice"><option>x</option><option>y</option></select><input type="checkbox" id="check">
<table><tr><th aria-sort="none" id="name"><button>name</button></th></tr></table>
<main>STEP</main><footer><p></p></footer><script>{SORTS}</script></body>"""


def test_controls_keep_their_values_but_a_slider_at_its_end(server, tab, make_run, monkeypatch):
    monkeypatch.setattr(live_module, "page", lambda views: CONTROLS.replace("STEP", str(views[0].last_step)))
    run = make_run({"fc1": 0.3}, steps=(0, 100))
    tab.goto(server.address)
    tab.locator("#middle").fill("7")
    tab.locator("#choice").select_option("y")
    tab.locator("#check").check()
    tab.locator("#name button").dblclick()
    with Run.open(run, mode="write") as writing:
        writing.table([Row("run", 200, 2, "fc1", "nc", "{}", 0.6, 1000, 0)])
    playwright.expect(tab.locator("main")).to_have_text("200")
    values = [tab.locator(f"#{name}").input_value() for name in ("middle", "end", "choice")]
    assert values == ["7", "200", "y"] and tab.locator("#check").is_checked()
    assert tab.locator("#name").get_attribute("aria-sort") == "descending"


def test_the_page_is_left_alone_while_somebody_drags_or_types(server, tab, make_run, monkeypatch):
    content = CONTROLS.replace("<main>", '<input type="search" id="filter"><main>')
    monkeypatch.setattr(live_module, "page", lambda views: content.replace("STEP", str(views[0].last_step)))
    run = make_run({"fc1": 0.3}, steps=(0, 100))
    tab.goto(server.address)
    tab.locator("#filter").fill("fc")
    with Run.open(run, mode="write") as writing:
        writing.table([Row("run", 200, 2, "fc1", "nc", "{}", 0.6, 1000, 0)])
    playwright.expect(tab.locator("#live b")).to_contain_text("New recordings appear when")
    assert tab.locator("main").text_content() == "100"
    tab.mouse.move(5, 300)
    tab.mouse.down()
    tab.locator("#filter").blur()
    assert tab.locator("main").text_content() == "100"
    tab.mouse.up()
    playwright.expect(tab.locator("main")).to_have_text("200")
    assert tab.locator("#filter").input_value() == "fc"


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s ago"), (150, "2 min ago"), (7500, "2 h 5 min ago"), (5 * 86400, "5 days ago")]
)
def test_the_age_of_the_data_is_shown(seconds, words, server, tab, make_run):
    run = make_run({"fc1": 0.3}, steps=(0, 100))
    then = time.time() - seconds
    for file in run.iterdir():
        os.utime(file, (then, then))
    tab.goto(server.address)
    told = tab.locator("#live span")
    playwright.expect(told).to_contain_text(words.partition(" ")[2] if seconds < 60 else f"last recording {words}")
    if seconds < 60:
        before = told.inner_text()
        until(tab, f"document.querySelector('#live span').textContent !== {before!r}")  # it grows while nothing is new


def test_several_runs_are_told_apart(server, tab, make_run):
    make_run({"fc1": 0.3}, steps=(0, 100))
    server.page.directories.append(make_run({"fc1": 0.2}, name="<b>" + "long_" * 12))
    tab.set_viewport_size({"width": 360, "height": 700})
    tab.goto(server.address)
    playwright.expect(tab.locator("#live span")).to_contain_text("<b>long_long_")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_before_the_first_recording_there_is_no_age(server, tab):
    tab.goto(server.address)
    playwright.expect(tab.locator("#live")).to_have_text("Live" + "no recording yet")


def test_a_reloaded_page_and_its_controls_agree(server, tab, make_run):
    """Browsers put back what controls were set to, of which the page's figures know nothing."""
    make_run({"fc1": 0.3, "fc2": 0.1}, steps=(0, 100, 200))
    tab.goto(server.address)
    tab.locator("#step").press("ArrowLeft")
    playwright.expect(tab.locator("#step-now")).to_have_text("100 of 200")
    tab.evaluate("sessionStorage.clear()")
    tab.reload()
    playwright.expect(tab.locator("html")).to_have_attribute("data-drawn", "all")
    playwright.expect(tab.locator("#step-now")).to_have_text("200 of 200")
    assert tab.locator("#step").input_value() == "2"
