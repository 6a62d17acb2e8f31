"""The heatmap, the chosen layers, folds and files of a report in a real browser, on a screen and on a phone."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cofire.reports import write_report

from ..conftest import row, write_run

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
BLOCKS = [f"encoder.layer.{block}.{kind}.dense" for block in range(29) for kind in ("attention", "output")]
MANY = {name: 0.05 + 0.01 * place for place, name in enumerate(["embeddings", *BLOCKS, "head"])}
ODD = {
    "<img src=x onerror=alert(1)></script><!--" + "-" * 60: 0.4,
    "x" * 300: 0.2,
    "VeryLongNameWithoutBreakPoints" * 8: 0.3,
    "שכבה" * 40: 0.1,
    "=cmd|' /C calc'!A0": 0.3,
    "层" * 80: 0.15,
    "a\u202ereversed" * 9: 0.2,
}
STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
ROWS = {"many": MANY, "odd": ODD, "few": {"a.0.fc": 0.3, "a.1.fc": 0.2}}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("heatmaps")
    found = {
        name: write_report(write_run(folder / name, layers, steps=STEPS, n_units=12), folder / f"{name}.html")
        for name, layers in ROWS.items()
    }
    runs = [folder / "few", write_run(folder / "odd2", ODD, n_units=12)]
    gaps = [row("gaps", step, "fc", "wc", [0.1, float("nan"), 0.3][step]) for step in range(3)]
    gaps += [row("gaps", step, "fc2", "wc", 0.2) for step in (0, 2)]
    return found | {
        "two": write_report(runs, folder / "two.html"),
        "gaps": write_report(write_run(folder / "gaps", rows=gaps), folder / "gaps.html"),
    }


@pytest.fixture
def show(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    complaints: list[str] = []
    opened: list[Any] = []

    def go(name: str, width: int = 1280, theme: str = "light", **options: Any) -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        opened.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{pages[name].as_uri()}?theme={theme}")
        page.wait_for_selector("html[data-drawn=all]", state="attached")
        return page

    yield go
    for page in opened:
        page.close()
    assert complaints == []


def expect(found: Any) -> Any:
    return playwright.expect(found)


def texts(page: Any, selector: str) -> list[str]:
    return page.locator(selector).evaluate_all("nodes => nodes.map((node) => node.firstChild?.textContent ?? '')")


def saved(page: Any, button: Any, folder: Path) -> Path:
    with page.expect_download() as download:
        button.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_layers_are_rows_in_the_networks_order_with_names_that_tell_them_apart(show: Any) -> None:
    page = show("many")
    names = texts(page, ".row-name")
    assert len(names) == len(set(names)) == 60
    assert names[:3] == ["embeddings", "…0.attention.dense", "…0.output.dense"] and names[-1] == "head"
    assert page.locator(".row-name title").nth(1).text_content() == "encoder.layer.0.attention.dense"
    boxes = [page.locator(".row-name").nth(place).bounding_box() for place in range(3)]
    assert boxes[0]["y"] + 11 < boxes[1]["y"] + boxes[1]["height"] and boxes[0]["y"] < boxes[1]["y"] < boxes[2]["y"]


def test_steps_are_logarithmic_or_linear(show: Any) -> None:
    page = show("many")
    assert page.locator("#spacing-logarithmic").is_checked()
    before = page.locator(".heat path.cell-3").get_attribute("d")
    assert {"1", "10", "100", "1,000"} <= set(texts(page, ".heat text"))
    page.locator("#spacing-linear").check()
    assert page.locator(".heat path.cell-3").get_attribute("d") != before
    assert {"0", "200", "400", "1,000"} <= set(texts(page, ".heat text"))


def test_values_follow_the_slider_and_another_quantity_is_shown(show: Any) -> None:
    page = show("few")
    assert texts(page, ".row-value") == ["0.300", "0.200"]
    page.locator("#step").fill("0")
    assert texts(page, ".row-value") == ["0.050", "0.050"]
    page.locator("#heatmap-measure").select_option(label="Weight correlation")
    expect(page.locator("#heatmap-meaning")).to_contain_text("Mean |cosine|")
    assert texts(page, ".row-value") == ["0.045", "0.045"] and not page.locator("#heatmap-phases").is_visible()
    expect(page.locator("#heatmap-names")).to_have_text(
        "Every name begins with a. and ends with .fc; rows show the rest."
    )


def test_the_keyboard_reads_cells_and_chooses_layers(show: Any) -> None:
    page = show("many")
    figure, words = page.locator("figure.heatmap"), page.locator("figure.heatmap .readout")
    drawn = page.locator("#training .curves").first.locator(".when-wide .line")
    expect(drawn).to_have_count(6)
    figure.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    expect(words).to_contain_text("encoder.layer.0.attention.dense")
    expect(words).to_contain_text("step 512")
    page.keyboard.press("Enter")
    expect(drawn).to_have_count(7)
    expect(page.locator("#chosen-count")).to_have_text("7 of 60 layers")
    expect(words).to_contain_text("encoder.layer.0.attention.dense")
    page.keyboard.press("Enter")
    expect(drawn).to_have_count(6)


def test_a_row_is_chosen_by_a_click_and_in_the_list(show: Any) -> None:
    page = show("many")
    lines = page.locator("#training .curves").first.locator(".when-wide .line")
    page.locator(".row-name").nth(5).click()
    expect(lines).to_have_count(7)
    page.locator("#choose > summary").click()
    expect(page.locator("#draw-5")).to_be_checked()
    page.locator("#draw-5").uncheck()
    page.locator("#draw-0").uncheck()
    expect(lines).to_have_count(5)
    expect(page.locator(".row-key").first).to_have_class("row-key unchosen")


def test_undefined_values_are_striped_and_late_layers_are_not_recorded_yet(show: Any) -> None:
    page = show("gaps")
    assert "undefined" in texts(page, ".heat text")
    (striped,) = [
        path.get_attribute("d")
        for path in page.locator(".heat > path").all()
        if "url" in (path.get_attribute("fill") or "")
    ]
    assert striped.count("M") == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["many", "odd", "two"])
def test_no_name_makes_the_page_wider_than_the_screen(name: str, width: int, theme: str, show: Any) -> None:
    page = show(name, width, theme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    left = page.locator(".row-name").evaluate_all("nodes => nodes.map((one) => one.getBBox().x)")
    assert min(left) > -1 and page.locator("img").count() == 0


def test_sections_fold_on_a_phone_and_links_unfold_them(show: Any) -> None:
    page = show("many", 360)
    opened = page.locator("details.fold[open]")
    assert opened.count() == 1 and opened.first.locator("figure.heatmap").is_visible()
    assert page.evaluate("document.documentElement.scrollHeight") < 4500
    page.locator("#layers > details > summary").click()
    assert page.locator("#layers-table").is_visible()
    wide = show("many")
    assert wide.locator("details.fold:not([open])").count() == 0
    wide.locator("#layers > details > summary").click()
    wide.locator('nav a[href="#layers"]').click()
    assert wide.locator("#layers-table").is_visible()


def test_charts_are_saved_as_svg_and_csv(show: Any, tmp_path: Path) -> None:
    page = show("odd")
    for figure in (
        "figure.heatmap",
        "figure.curves >> nth=0",
        "figure.map >> nth=0",
        "figure.spread >> nth=0",
        ".scatter",
    ):
        svg, table = page.locator(figure).locator(".save button").all()
        drawn = ElementTree.parse(saved(page, svg, tmp_path)).getroot()
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg" and float(drawn.attrib["width"]) > 100
        rows = list(csv.reader(saved(page, table, tmp_path).read_text("utf-8").splitlines()))
        assert len(rows) > 2 and len({len(one) for one in rows}) == 1


def test_saved_numbers_are_those_recorded_and_no_name_is_a_formula(show: Any, tmp_path: Path) -> None:
    page = show("odd")
    table = saved(page, page.locator("figure.heatmap .save button").last, tmp_path)
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert len(rows) == len(ODD) * len(STEPS)
    assert {one["layer"] for one in rows} == {("'" if name[0] == "=" else "") + name for name in ODD}
    last = {one["layer"]: float(one["value"]) for one in rows if one["step"] == "1024"}
    assert last["x" * 300] == pytest.approx(0.2)
    layers = list(
        csv.DictReader(saved(page, page.locator("#layers-files button"), tmp_path).read_text("utf-8").splitlines())
    )
    assert {float(one["Debiased"]) for one in layers} == set(ODD.values())
    assert float(layers[0]["vs start"]) == pytest.approx(0.35) and "Correlation" not in layers[0]


def test_a_saved_drawing_looks_as_on_the_page(show: Any, tmp_path: Path) -> None:
    page = show("few")
    drawn = ElementTree.parse(saved(page, page.locator("figure.heatmap .save button").first, tmp_path)).getroot()
    fills = {node.attrib.get("fill", "") for node in drawn.iter("{http://www.w3.org/2000/svg}path")}
    assert len({fill for fill in fills if fill.startswith(("rgb", "color"))}) > 5
    assert not [node for node in drawn.iter() if "class" in node.attrib]


def test_constant_units_are_striped_in_the_map_with_a_legend(show: Any) -> None:
    page = show("few")
    expect(page.locator(".map:visible .as-of").first).to_contain_text("1 striped (constant, or not finite)")
    expect(page.locator(".scale:has(#stripes-key)")).to_contain_text("a constant unit")
    alpha = """canvas => { const { width } = canvas; const strip = canvas.getContext("2d")
      .getImageData(width - 12, 20, 10, width - 40).data; return strip.filter((_, place) => place % 4 === 3); }"""
    seen = set(page.locator(".map:visible canvas").first.evaluate(f"canvas => Object.values(({alpha})(canvas))"))
    assert 0 in seen and max(seen) == 255  # lines with gaps between them
