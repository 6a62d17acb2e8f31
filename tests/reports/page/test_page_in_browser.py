"""The page in a real browser: slider, sort, filter, hover, zoom, choice of a pair, theme, two runs, hostile names."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cofire.reports import write_report

from ..conftest import row, write_run

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
EVIL = "<img src=x onerror=alert(1)></script><!--"
PROTO = "__proto__"
LAYERS = {"encoder.0": 0.4, "encoder.2": 0.1, "head": 0.25}
Show = Callable[..., Any]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run, two runs that differ, one that kept no samples, one with names that mean harm."""
    folder = tmp_path_factory.mktemp("pages")
    one = write_run(folder / "one", LAYERS, arrays_at=(0, 500, 1000))
    other = write_run(folder / "other", {"encoder.0": 0.2, "extra": 0.3}, steps=range(0, 501, 50), arrays_at=(100, 500))
    bare = write_run(folder / "bare", {"fc": 0.3}, sample=False)
    evil = write_run(folder / "evil", {EVIL: 0.4, PROTO: 0.2}, arrays_at=(0, 1000))
    made = {"one": [one], "two": [one, other], "bare": [bare], "evil": [evil]}
    made["nothing"] = [write_run(folder / "nothing", steps=())]
    made["one step"] = [write_run(folder / "step", LAYERS, steps=(0,))]
    weights = [row("weights", step, "fc", "wc", 0.1) for step in (0, 5)]
    made["weights"] = [write_run(folder / "weights", rows=weights), one]
    return {name: write_report(runs, folder / f"{name}.html") for name, runs in made.items()}


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Any]:
    """The tab of a wide screen, which most tests look at one after another."""
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    yield page
    page.close()


@pytest.fixture
def show(browser: Any, tab: Any, pages: dict[str, Path]) -> Iterator[Show]:
    """Open one of the pages; afterwards nothing must have been complained of, or asked for."""
    complaints: list[str] = []
    hear = {
        "console": lambda message: complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
        "dialog": lambda dialog: complaints.append(dialog.message),
        "request": lambda request: complaints.append(request.url),
    }
    opened: list[Any] = []

    def go(name: str, query: str = "?theme=light", **options: Any) -> Any:
        page = browser.new_page(**options) if options else tab
        opened.append(page)
        page.set_default_timeout(60_000)
        for event, listen in hear.items():
            page.on(event, listen)
        page.goto(pages[name].as_uri() + query)
        page.wait_for_selector("html[data-drawn=all]", state="attached")
        complaints.remove(page.url)  # the page itself is asked for, and nothing else
        return page

    yield go
    for page in opened:
        for event, listen in hear.items():
            page.remove_listener(event, listen)
        if page is tab:
            page.emulate_media(media="screen")
        else:
            page.close()
    assert complaints == []


def expect(found: Any) -> Any:
    return playwright.expect(found)


def move_to(page: Any, place: int) -> None:
    page.locator("#step").fill(str(place))


def unfold(page: Any, section: str) -> None:
    """As on a phone, where most sections are folded at first."""
    page.locator(f"#{section} > details.fold > summary").click()


def names(page: Any) -> list[str]:
    return [row.inner_text() for row in page.locator("#layers-table tbody tr:visible th").all()]


def column(page: Any, key: str) -> list[str]:
    return page.locator(f'#layers-table tbody td[data-key="{key}"]').all_inner_texts()


def pixels(page: Any, canvas: str) -> str:
    return page.locator(canvas).first.evaluate("canvas => canvas.toDataURL()")


def test_the_slider_moves_every_panel(show: Show) -> None:
    page = show("one")
    expect(page.locator("#step-now")).to_have_text("1,000 of 1,000")
    last, big, small = column(page, "nc_debiased"), pixels(page, ".map canvas"), pixels(page, ".gallery .thumb")
    bars = page.locator(".spread .bars").first.get_attribute("d")
    points = page.locator(".scatter .point").first.get_attribute("cx")
    page.locator("#step").focus()
    page.keyboard.press("Home")
    assert last == ["0.400", "0.100", "0.250"] and column(page, "nc_debiased") == ["0.050"] * 3
    assert set(column(page, "since_start")) == {"0.000"}
    expect(page.locator("#layers-as-of")).to_have_text("At step 0.")
    expect(page.locator(".curves .readout").first).to_contain_text("Step 0 encoder.0 0.063")
    expect(page.locator(".spread .as-of").first).to_contain_text("step 0")
    expect(page.locator(".map .as-of").first).to_contain_text("step 0")
    page.locator(".gallery .thumb").first.scroll_into_view_if_needed()
    page.wait_for_timeout(100)
    assert pixels(page, ".map canvas") != big and pixels(page, ".gallery .thumb") != small
    assert page.locator(".spread .bars").first.get_attribute("d") != bars
    assert page.locator(".scatter .point").first.get_attribute("cx") != points
    expect(page.locator("#time-status")).to_have_text("step 0. Correlation: encoder.0 0.05, encoder.2 0.05, head 0.05.")


def test_what_was_recorded_at_fewer_steps_says_as_of_when(show: Show) -> None:
    page = show("one")
    move_to(page, 7)
    assert page.locator("#step").get_attribute("aria-valuetext") == "step 700 of 1,000"
    for panel in (".map .as-of", ".scatter .as-of", ".spread .as-of"):
        expect(page.locator(panel).first).to_contain_text("as of step 500, the last recording before")


def test_what_was_not_recorded_yet_says_when_it_will_be(show: Show) -> None:
    page = show("two")
    move_to(page, 0)
    expect(page.locator(".explored").nth(1).locator(".map .as-of").first).to_contain_text(
        "not recorded yet; first at step 100"
    )


def test_the_table_sorts_by_click_and_by_key(show: Show) -> None:
    page = show("one")
    head = page.locator("#by-nc_debiased")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending" and names(page) == ["encoder.0", "head", "encoder.2"]
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending" and names(page) == ["encoder.2", "head", "encoder.0"]
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "none" and names(page) == list(LAYERS)
    page.locator("#by-layer button").click()
    page.locator("#by-layer button").click()
    assert names(page) == ["head", "encoder.2", "encoder.0"] and head.get_attribute("aria-sort") == "none"


def test_the_table_filters(show: Show) -> None:
    page = show("two")
    page.locator("#layers-filter").fill("ENCODER")
    assert names(page) == ["encoder.0", "encoder.0", "encoder.2"]
    expect(page.locator("#layers-count")).to_have_text("3 of 5 rows")
    page.locator("#layers-run").select_option("1")
    assert names(page) == ["encoder.0"]
    page.locator("#layers-filter").fill("nowhere")
    assert names(page) == []


def test_a_curve_is_read_by_pointer_and_by_keys(show: Show) -> None:
    page = show("one")
    figure = page.locator("figure.curves").first
    figure.scroll_into_view_if_needed()
    box = figure.locator("svg.chart:visible").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + box["height"] - 40)
    expect(figure.locator(".readout")).to_contain_text("at step 0")
    page.mouse.move(0, 0)
    expect(figure.locator(".readout")).to_contain_text("Step 1,000")
    figure.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    expect(figure.locator(".readout")).to_contain_text("encoder.2 0.111 at step 900")
    assert figure.locator(".readout").get_attribute("aria-live") == "polite"


def test_a_map_zooms_by_wheel_keys_buttons_and_drags(show: Show) -> None:
    page = show("one")
    canvas = page.locator(".map canvas").first
    canvas.scroll_into_view_if_needed()
    whole = pixels(page, ".map canvas")
    canvas.hover()
    top = page.evaluate("scrollY")
    page.mouse.wheel(0, 100)  # without the focus the page scrolls
    page.wait_for_function("from => scrollY > from", arg=top)
    canvas.focus()
    canvas.hover()
    focused = pixels(page, ".map canvas")
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"() => document.querySelector('.map canvas').toDataURL() !== {focused!r}")
    near = pixels(page, ".map canvas")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 150, steps=3)
    page.mouse.up()
    dragged = pixels(page, ".map canvas")
    assert dragged != near
    page.mouse.move(0, 0)
    page.keyboard.press("0")
    assert pixels(page, ".map canvas") == whole
    page.keyboard.press("+")
    by_key = pixels(page, ".map canvas")
    page.locator(".map [data-zoom=all]").first.click()
    assert by_key != whole and pixels(page, ".map canvas") == whole


def test_two_fingers_zoom(show: Show) -> None:
    page = show("one", viewport={"width": 400, "height": 900}, has_touch=True)
    unfold(page, "pairs")
    page.locator(".map canvas").first.scroll_into_view_if_needed()
    whole, box = pixels(page, ".map canvas"), page.locator(".map canvas").first.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    touch = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 60), ("touchMove", 100)):
        fingers = [{"x": middle[0] + way * apart, "y": middle[1], "id": id} for id, way in enumerate((-1, 1))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function(f"() => document.querySelector('.map canvas').toDataURL() !== {whole!r}")
    assert page.locator(".map canvas").first.evaluate("canvas => canvas.style.touchAction") == "none"


def test_paper_is_light_and_shows_everything(show: Show) -> None:
    page = show("one", query="?theme=dark")
    small = pixels(page, ".gallery .thumb")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() == 0
    page.wait_for_function(f"() => document.querySelector('.gallery .thumb').toDataURL() !== {small!r}")
    assert not page.locator("#play").is_visible() and page.locator("#layers-table").is_visible()


def test_a_pair_is_chosen_by_click_by_keys_by_number_and_by_button(show: Show) -> None:
    page = show("one")
    canvas, words = page.locator(".map canvas").first, page.locator(".explored .readout")
    expect(words).to_contain_text("units 46 and 47 ρ −1.00 · information 3.0 nats (as")
    page.locator("#pair-first").fill("2")
    page.locator("#pair-second").fill("3")
    page.keyboard.press("Tab")
    expect(words).to_contain_text("units 2 and 3")
    expect(words).to_contain_text("information as")
    expect(page.locator(".scatter .point")).to_have_count(256)
    assert "Unit 3 against unit 2" in page.locator(".scatter svg").get_attribute("aria-label")
    canvas.click(position={"x": 100, "y": 20})
    clicked = page.locator("#pair-first").input_value(), page.locator("#pair-second").input_value()
    assert clicked != ("2", "3") and f"units {clicked[0]} and {clicked[1]}" in words.inner_text()
    canvas.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#pair-first").input_value() != clicked[0]
    page.locator("#pair-apart").click()
    expect(words).to_contain_text("units 2 and 3")
    page.locator("#pair-first").fill("0")
    page.keyboard.press("Tab")
    expect(words).to_contain_text("units 0 and 3 no correlation · no information · disagreement not judged")
    page.locator("#pair-first").fill("999")
    page.keyboard.press("Tab")
    expect(page.locator(".scatter .as-of")).to_contain_text("not both of these")


def test_another_layer_or_kind_is_shown(show: Show) -> None:
    page = show("one")
    expect(page.locator(".map:visible")).to_have_count(3)
    page.locator("#kind-difference").dispatch_event("change")  # as a live page does with all its fields
    page.wait_for_timeout(100)
    expect(page.locator(".map:visible")).to_have_count(3)
    page.locator("#kind-difference").check()
    expect(page.locator(".map:visible")).to_have_count(1)
    before = pixels(page, ".map:not([hidden]) canvas")
    page.locator(".tile").nth(2).click()
    expect(page.locator("#pairs-layer")).to_have_value("2")
    assert page.locator(".tile").nth(2).get_attribute("aria-pressed") == "true"
    page.wait_for_function(f"() => document.querySelector('.map:not([hidden]) canvas').toDataURL() !== {before!r}")


def test_a_run_without_samples_says_so(show: Show) -> None:
    page = show("bare")
    expect(page.locator(".scatter .as-of")).to_have_text("This run kept no sample of activations.")
    assert not page.locator(".scatter svg").is_visible()


def test_the_theme_follows_the_system_until_it_is_chosen(show: Show) -> None:
    page = show("one", query="", color_scheme="dark")
    color = "getComputedStyle(document.body).backgroundColor"
    dark, drawn = page.evaluate(color), pixels(page, ".map canvas")
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_text("Dark")
    assert page.evaluate(color) != dark and page.evaluate(color) == "rgb(252, 251, 249)"
    page.wait_for_function(f"() => document.querySelector('.map canvas').toDataURL() !== {drawn!r}")


def test_two_runs_stand_side_by_side_at_the_same_step_or_share(show: Show) -> None:
    page = show("two")
    assert page.locator("h1").inner_text() == "The runs' correlations differ in 1 of 1 layer."
    move_to(page, 0)
    page.locator("#step").press("End")
    expect(page.locator("#layers-as-of")).to_have_text("At step 1,000 of one, step 500 of other.")
    assert column(page, "beside") == ["–", "−0.200", "–", "–", "–"]
    page.locator("#clock-share").check()
    page.locator("#step").fill("5")
    share = page.locator("#step-now").inner_text()
    assert share == "50 % of training"
    expect(page.locator("#layers-as-of")).to_have_text("At step 500 of one, step 250 of other.")
    assert page.locator(".explored").count() == 2
    boxes = [one.bounding_box() for one in page.locator(".explored").all()]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] < boxes[1]["x"]
    page.locator("#pairs-layer").select_option(label="extra")
    expect(page.locator(".explored .readout").first).to_have_text("This run recorded no pairs of extra.")


def test_training_plays_and_stops_at_the_end(show: Show) -> None:
    page = show("one")
    move_to(page, 8)
    page.locator("#play").click()
    assert page.locator("#play").get_attribute("aria-pressed") == "true"
    expect(page.locator("#step-now")).to_have_text("1,000 of 1,000")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")


def test_names_that_mean_harm_are_text(show: Show) -> None:
    page = show("evil")
    assert page.locator("img").count() == 0
    assert page.locator("#layers-table tbody th bdi").first.get_attribute("title") == EVIL
    expect(page.locator("#pairs-layer option").first).to_have_text(EVIL)
    page.locator("#pairs-layer").select_option(label=PROTO)
    expect(page.locator(".explored .readout")).to_contain_text("units 46 and 47")
    page.locator("figure.curves").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".curves .readout").first).to_contain_text(EVIL)


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_phone_scrolls_in_one_direction(name: str, show: Show) -> None:
    page = show(name, viewport={"width": 360, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    unfold(page, "layers")
    page.locator("#by-nc_debiased button").click()
    assert names(page)[0] == "encoder.0"


def test_every_control_has_a_name_and_the_slider_comes_before_what_it_moves(show: Show) -> None:
    page = show("two")
    nameless = """() => [...document.querySelectorAll("button, input, select, canvas[tabindex], [role=region]")]
      .filter((node) => !(node.textContent.trim() || node.labels?.length || node.getAttribute("aria-label")
        || node.getAttribute("aria-labelledby"))).map((node) => node.outerHTML)"""
    assert page.evaluate(nameless) == []
    ids = "() => [...document.querySelectorAll('[id]')].map(({ id }) => id)"
    assert len(page.evaluate(ids)) == len(set(page.evaluate(ids)))
    page.locator("#step").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "clock"


@pytest.mark.parametrize("name", ["nothing", "one step", "weights"])
def test_unusual_runs_are_shown_without_complaint(name: str, show: Show) -> None:
    page = show(name)
    assert page.locator("#time").is_visible() == (name == "weights")
    if name == "weights":
        move_to(page, 0)
        assert column(page, "wc")[0] == "0.100" and column(page, "nc_debiased")[0] == "–"
