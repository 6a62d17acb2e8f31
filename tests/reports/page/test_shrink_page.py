"""The page of a shrunken network: names are text, all layers are there, and it fits a phone."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cofire.nets.shrinking import Form, Point, Saved
from cofire.reports.page.shrink_page import Shrinking, write_shrinking

from ..shrunken import EVIL, network, shrunken


@pytest.fixture
def shrinking() -> Shrinking:
    lines = ("from a import b", f"model = b({EVIL!r})")
    saved = Saved(
        Path("/somewhere/smaller"), (Form(("model.safetensors", "plan.json"), "weights", lines),), ("no pt2",)
    )
    return Shrinking(EVIL, network(), shrunken(), saved, "cofire shrink a:b --keep 0.6", {"target": EVIL})


def test_names_are_text(shrinking, tmp_path):
    page = write_shrinking(shrinking, tmp_path / "page.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "Content-Security-Policy" in page and not re.findall(r'(?:src|href)="https?://', page)


def test_it_shows_the_plan_the_reasons_and_how_to_load(shrinking, tmp_path):
    page = write_shrinking(shrinking, tmp_path / "page.html").read_text()
    found = shrunken()
    kept = {name: len(cut.kept) for name, cut in found.cuts.items()}
    assert f">{kept['hidden']} of 16</td>" in page and f">{kept[EVIL]} of 24</td>" in page
    assert page.count('<th scope="row">') == 3
    assert "its units are the network&#39;s outputs" in page and "no pt2." in page
    assert "cofire shrink a:b --keep 0.6" in page and "from a import b\nmodel = b(" in page
    before, after = found.n_parameters
    assert f"{before:,} → {after:,}" in page


def test_the_figures_follow_the_curve(shrinking):
    error, score = shrinking.figures
    predicted, measured = error.marks
    assert predicted.known[0] == (1.0, 0.0) and len(predicted.known) == 1 + len(shrunken().curve)
    assert measured.known == [(shrunken().share, shrunken().measured)] and not measured.joined
    assert score.marks[0].known[0] == (1.0, shrunken().score[0])
    alone = replace(shrinking, shrunk=replace(shrunken(), score=None, predicted=None, curve=(Point(0.5, None, 0.2),)))
    (error,) = alone.figures
    assert not error.marks[0].known and error.marks[1].known == [(0.5, 0.2)]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chromium_draws_it_without_errors_or_overflow(shrinking, browser, tmp_path, width, scheme):
    tab, told = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme), []
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.goto(write_shrinking(shrinking, tmp_path / "page.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    visible = tab.evaluate("[...document.querySelectorAll('svg.chart')].filter(one => one.clientWidth > 0).length")
    tab.close()
    assert visible == 2 and not told
