"""Two networks side by side: what differs, how sure that is, and that names are text and nothing else."""

import csv
import json
import re
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from cofire.nets.redundancy import redundancy_report, weight_redundancy_report
from cofire.record import Run, Tracker, correlation, weight_correlation, width
from cofire.reports import read
from cofire.reports.charts.dumbbells import draw, dumbbells
from cofire.reports.data.comparison import COMPARED, Comparison, Estimate, Side
from cofire.reports.findings.comparison_findings import as_plain, findings, headline, remark
from cofire.reports.page.comparison_page import write_comparison
from cofire.reports.terminal.comparison_table import comparison_summary


def network(width: int = 30, *, alike: bool = False, dead: int = 0) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, width), nn.Tanh(), nn.Linear(width, 3))
    with torch.no_grad():
        if alike:
            net[0].weight += 2 * torch.randn(10)
        net[0].weight[:dead] = 0
    return net


def inputs(n_samples: int = 1000, seed: int = 1) -> torch.Tensor:
    return torch.randn(n_samples, 10, generator=torch.Generator().manual_seed(seed))


def side(name: str, net: nn.Module, n_samples: int = 1000, seed: int = 1) -> Side:
    return Side.of_report(name, redundancy_report(net, inputs(n_samples, seed)), {"data": "normal"})


def shown(comparison: Comparison, width: int = 100) -> str:
    console = Console(width=width, file=StringIO())
    console.print(comparison_summary(comparison, width=width))
    return console.file.getvalue()


def test_a_clear_rise_is_told_with_both_numbers_and_the_difference():
    plain, alike = side("plain", network()), side("alike", network(alike=True))
    found = Comparison(plain, alike)
    difference = found.pairs[0].difference("nc")
    assert found.pairs[0].layer == "0"
    assert difference.value == pytest.approx(alike.layers["0"]["nc"].value - plain.layers["0"]["nc"].value)
    assert 0 < difference.low < difference.value < difference.high
    a, b = (f"{of.layers['2']['nc'].value:.3f}" for of in (plain, alike))
    assert headline(found) == f"Units fire together more in 2: {a} → {b}."
    rise = next(one for one in findings(found) if one.kind == "nc")
    assert rise.level == "watch"
    assert difference.text("nc", signed=True) in dict(rise.points)["0"]
    back = Comparison(alike, plain)
    assert back.pairs[0].difference("nc").value == -difference.value
    assert next(one for one in findings(back) if one.kind == "nc").level == "note"


def test_the_same_network_on_other_samples_does_not_differ():
    found = Comparison(side("a", network()), side("b", network(), seed=2))
    assert not any(pair.difference("nc").clear for pair in found.pairs)
    assert headline(found) == "No layer's correlation differs clearly."


def test_a_network_and_itself():
    one = side("a", network())
    found = Comparison(one, one)
    assert [finding.kind for finding in findings(found)] == ["same"]
    assert all(pair.difference(name).value == 0 for pair in found.pairs for name in found.quantities)


def test_intervals_of_differences_cover():
    """Zou and Donner's, from the exact intervals of normal means."""
    generator, covered = np.random.default_rng(0), 0
    for _ in range(400):
        a, b = generator.normal(0.2, 0.1), generator.normal(0.5, 0.3)
        difference = Estimate(b, b - 1.96 * 0.3, b + 1.96 * 0.3).minus(Estimate(a, a - 1.96 * 0.1, a + 1.96 * 0.1))
        covered += difference.low <= 0.3 <= difference.high
    assert 365 <= covered <= 394  # 380 are expected


def test_exact_numbers_have_exact_differences():
    difference = Estimate(3).minus(Estimate(5))
    assert (difference.value, difference.has_interval, difference.clear) == (-2, False, True)
    assert not Estimate(3).minus(Estimate()).known
    assert not Estimate(3).minus(Estimate()).clear
    mixed = Estimate(0.5, 0.4, 0.7).minus(Estimate(0.2))
    assert (mixed.low, mixed.high) == pytest.approx((0.2, 0.5))


def test_constant_units_sizes_and_widths():
    found = Comparison(side("a", network()), side("b", network(24, dead=5)))
    kinds = {finding.kind: finding for finding in findings(found)}
    assert kinds["constant"].headline == "More units are constant in 0"
    assert "0 → 5, +5" in kinds["constant"].points[0][1]
    assert "30 → 24, −6" in kinds["units"].points[0][1]
    assert set(found.quantities) == set(COMPARED)


def test_other_architectures_are_matched_by_name_and_the_rest_is_listed():
    deeper = nn.Sequential(nn.Linear(10, 30), nn.Tanh(), nn.Linear(30, 9), nn.Tanh(), nn.Linear(9, 3))
    found = Comparison(side("a", network()), side("b", deeper))
    assert ([pair.layer for pair in found.pairs], found.only_a, found.only_b) == (["0", "2"], [], ["4"])
    assert next(one for one in findings(found) if one.kind == "unmatched").points == (("only in b", "4"),)
    apart = Comparison(found.a, Side("c", {"head": found.a.layers["0"]}, {}))
    assert headline(apart) == "The two networks have no layer of the same name."
    assert "only in c" in shown(apart)


def test_weights_alone():
    sides = [Side.of_report(name, weight_redundancy_report(network(alike=name == "b")), {}) for name in "ab"]
    found = Comparison(*sides)
    assert not {"nc", "width"} & set(found.quantities)
    assert headline(found).startswith("Weight vectors are more alike in 0: ")


def test_weights_beside_a_run_are_compared_by_weights_alone():
    weights = Side.of_report("last.pt", weight_redundancy_report(network(dead=3)), {})
    run = Side("runs/a", side("", network(alike=True)).layers, {}, "run")
    for found in (Comparison(weights, run), Comparison(run, weights)):
        assert found.quantities == ["units", "wc"]
        assert "last.pt holds weights only, runs/a is a run" in shown(found) and "two runs" in shown(found)
        assert "names its layers" not in shown(found)
    elsewhere = Side("runs/b", {"net.0": run.layers["0"]}, {}, "run")
    told = shown(Comparison(weights, elsewhere))
    assert "no layer of the same name" in told and "names its layers as the tracked model does" in told
    assert "holds weights only" not in shown(Comparison(run, elsewhere)) + shown(Comparison(weights, weights))


def of_numbers(**numbers: tuple[tuple[float, float], ...]) -> Comparison:
    """Two networks with layers "0", "1", … of these numbers; of correlations, intervals of ± 0.05."""
    unknown = {name: Estimate() for name in COMPARED}
    layers = [
        {
            str(place): unknown
            | {
                name: Estimate(of[place][which], of[place][which] - 0.05, of[place][which] + 0.05)
                if name == "nc"
                else Estimate(of[place][which])
                for name, of in numbers.items()
            }
            for place in range(len(next(iter(numbers.values()))))
        }
        for which in (0, 1)
    ]
    return Comparison(*(Side(name, of, {}) for name, of in zip("ab", layers, strict=True)))


def test_the_headline_is_the_largest_change_beyond_its_uncertainty():
    found = of_numbers(nc=((0.1, 0.15), (0.5, 0.2), (0.2, 0.4)))
    assert headline(found) == "Units fire together less in 1: 0.500 → 0.200."
    assert remark(found) == (
        "The largest real change is −0.300 (−0.37 to −0.23); correlation is higher in 1 and lower in 1 of 3 layers."
    )
    assert [pair.layer for pair in found.by_effect("nc")] == ["1", "2", "0"]


def test_a_larger_difference_that_may_be_chance_is_no_headline():
    sides = of_numbers(nc=((0.1, 0.2), (0.2, 0.35)))
    unsure = Estimate(0.9, 0.1, 1.0)
    found = Comparison(sides.a, Side("b", {**sides.b.layers, "0": {**sides.b.layers["0"], "nc": unsure}}, {}))
    assert [pair.layer for pair in found.by_effect("nc")] == ["0", "1"]
    assert headline(found) == "Units fire together more in 1: 0.200 → 0.350."


@pytest.mark.parametrize(("n_layers", "sure"), [(1, True), (60, False)])
def test_the_largest_of_many_differences_has_to_stand_out_from_all(n_layers, sure):
    found = of_numbers(nc=((0.1, 0.18), *((0.2, 0.2),) * (n_layers - 1)))
    assert found.pairs[0].real("nc")
    assert (headline(found) == "Units fire together more in 0: 0.100 → 0.180.") == sure
    assert ("chance alone gives differences as large" in remark(found)) != sure


def test_where_correlation_stays_the_headline_tells_what_changed_else():
    found = of_numbers(nc=((0.1, 0.1), (0.2, 0.21)), constant=((3, 3), (1, 15)), wc=((0.1, 0.9), (0.1, 0.1)))
    assert headline(found) == "More units are constant in 1: 1 → 15."
    assert remark(found) == "The largest difference in correlation is +0.010 (−0.06 to 0.08), within its uncertainty."
    assert headline(of_numbers(nc=((0.1, 0.1),), units=((8, 5),))) == "0 has fewer units: 8 → 5."


def test_weights_count_only_where_they_differ_by_something():
    found = of_numbers(wc=((0.1, 0.11), (0.3, 0.3)))
    assert headline(found) == "No layer's weight correlation differs clearly."
    assert headline(of_numbers(wc=((0.1, 0.125),))) == "Weight vectors are more alike in 0: 0.100 → 0.125."


def test_the_figure_has_all_layers_the_largest_change_first(tmp_path):
    found = of_numbers(nc=tuple((0.3, 0.3 + 0.01 * place) for place in range(60)))
    page = write_comparison(found, tmp_path / "page.html").read_text()
    drawn = [re.findall(r"<title>(\d+): ", svg) for svg in re.findall(r'<svg class="chart dumbbells".*?</svg>', page)]
    assert drawn == [[str(place) for place in range(59, 59 - n, -1)] for n in (40, 40, 60, 60)]  # wide and narrow
    (numbers,) = re.findall(r'class="numbers">(.*?)</script>', page)
    rows = json.loads(numbers)["rows"]
    assert len(rows) == 60 and rows[0][0] == "59" and rows[0][1:4] == pytest.approx([0.3, 0.25, 0.35])
    assert rows[0][-1] is True and rows[-1][-1] is False


@pytest.mark.parametrize("values", [((0.0, 0.0),), ((0.5, 0.5),), ((-0.02, 0.01),), ((0.4, 0.41), (0.42, 0.4))])
def test_every_figure_lies_within_its_frame(values):
    figure = dumbbells(of_numbers(nc=values), "nc")
    low, high = figure.ends
    assert low < high and low <= min(min(pair) for pair in values) - 0.05 and high >= max(map(max, values)) + 0.05
    assert "nan" not in draw(figure) and "nan" not in draw(figure, width=400)


def test_the_page_saves_its_figure_and_fits_a_phone(browser, tmp_path):
    evil = '=HYPERLINK("http://x")' + "_with_a_long_name" * 9
    sides = of_numbers(nc=((0.1, 0.5), (0.4, 0.2)))
    sides = [Side(evil, {evil: one.layers["0"], "1": one.layers["1"]}, {evil: evil}) for one in (sides.a, sides.b)]
    page = write_comparison(Comparison(*sides), tmp_path / "page.html")
    tab = browser.new_page(viewport={"width": 360, "height": 700})
    told: list[str] = []
    tab.on("console", lambda message: told.append(message.text))
    tab.goto(page.as_uri() + "?theme=dark")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    saved = {}
    for words in ("SVG", "CSV"):
        with tab.expect_download() as download:
            tab.get_by_role("button", name=f"Save comparison-nc as {words}").press("Enter")
        saved[words] = Path(download.value.path()).read_text()
        assert download.value.suggested_filename == f"comparison-nc.{words.lower()}"
    tab.close()
    rows = list(csv.DictReader(StringIO(saved["CSV"])))
    assert [row["layer"] for row in rows] == [f"'{evil}", "1"]  # no spreadsheet takes it for a formula
    assert float(rows[1]["difference"]) == pytest.approx(-0.2) and rows[1]["real"] == "true"
    svg = ElementTree.fromstring(saved["SVG"])
    circles = [one for one in svg.iter() if one.tag.endswith("circle")]
    assert len(circles) == 4 and all(one.get("fill", "").startswith("rgb") for one in circles)
    assert not [one for one in svg.iter() if one.get("class")]
    assert told == []


def test_runs_are_compared_as_last_recorded(tmp_path):
    sides = []
    for name in ("plain", "alike"):
        net = network(alike=name == "alike")
        with (
            Run.open(tmp_path / name, mode="write") as run,
            Tracker(net, [correlation(), weight_correlation(), width()], run=run, probe=inputs()) as tracker,
        ):
            tracker.step()
        with Run.open(tmp_path / name) as run:
            sides.append(Side.of_run(name, read(run)))
    found = Comparison(*sides)
    assert [pair.layer for pair in found.pairs] == ["0", "2"]
    difference = found.pairs[0].difference("nc")
    assert difference.clear and difference.has_interval
    assert found.pairs[0].difference("wc").value > 0.1
    inspected = Comparison(*(side(name, network(alike=name == "alike")) for name in ("plain", "alike")))
    for ours, theirs in zip(found.pairs, inspected.pairs, strict=True):
        for quantity in ("rank", "width"):
            for one, other in ((ours.a, theirs.a), (ours.b, theirs.b)):
                assert vars(one[quantity]) == pytest.approx(vars(other[quantity]), rel=1e-6, nan_ok=True)
    assert {"rank", "width"} <= set(found.quantities)


def test_runs_without_a_width_have_an_effective_rank_still(tmp_path):
    with (
        Run.open(tmp_path / "run", mode="write") as run,
        Tracker(network(), [correlation()], run=run, probe=inputs()) as tracker,
    ):
        tracker.step()
    with Run.open(tmp_path / "run") as run:
        one = Side.of_run("run", read(run))
    found = Comparison(one, one)
    assert "width" not in found.quantities and 1 < found.pairs[0].a["rank"].value < 30


HOSTILE = "<script>alert(1)</script>[bold]x\x1b[2J"


def test_names_are_text_in_the_page_and_in_the_terminal(tmp_path):
    one = side("a", network())
    layers = {HOSTILE: one.layers["0"], "2": one.layers["2"]}
    more = {**layers, HOSTILE + "2": layers["2"]}
    found = Comparison(Side(HOSTILE, layers, {HOSTILE: HOSTILE}), Side("b", more, {}))
    page = write_comparison(found, tmp_path / "page.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "default-src 'none'" in page
    text = shown(found)
    assert "\x1b" not in text
    assert "[bold]x" in text


def test_the_page_has_every_layer_and_quantity(tmp_path):
    found = Comparison(side("first.pt", network()), side("second.pt", network(alike=True)))
    page = write_comparison(found, tmp_path / "page.html").read_text()
    for name in found.quantities:
        assert COMPARED[name].title in page
    assert found.pairs[0].difference("nc").text("nc", signed=True) in page
    assert "first.pt" in page and "normal" in page


def test_a_narrow_terminal_keeps_the_difference():
    found = Comparison(side("a", network()), side("b", network(alike=True)))
    wide, narrow = shown(found, 160), shown(found, 60)
    assert all(title in wide for title in ("Constant", "WC", "Rank", "Width", "Difference"))
    assert "Difference" in narrow and "Rank" not in narrow.split("\n●")[0].split("\n○")[0]
    assert max(map(len, narrow.splitlines())) <= 60
    assert "…" not in narrow.splitlines()[3]


def test_json_has_no_nan_and_says_what_is_clear():
    found = Comparison(side("a", network()), side("b", network(alike=True)))
    layer = json.loads(json.dumps(as_plain(found), allow_nan=False))["layers"][0]
    assert layer["layer"] == "0"
    assert layer["nc"]["clear"] is True
    assert layer["nc"]["difference"]["value"] == pytest.approx(layer["nc"]["b"]["value"] - layer["nc"]["a"]["value"])
    assert layer["units"]["a"] == {"value": 30, "low": None, "high": None}
    assert layer["units"]["clear"] is False
    assert layer["rank"]["difference"]["value"] != 0 and layer["rank"]["clear"] is False  # its chance is not known


def test_many_layers_are_summed_up():
    one = {"units": Estimate(4), **{name: Estimate() for name in COMPARED if name != "units"}}
    names = [f"layer{index}" for index in range(9)]
    other = {**one, "units": Estimate(5)}
    sides = [Side(name, dict(zip(names, [layer] * 9, strict=True)), {}) for name, layer in (("a", one), ("b", other))]
    found = Comparison(*sides)
    [finding] = findings(found)
    assert finding.headline == "The number of units differs in 9 layers"
    assert finding.points[-1] == ("…", "3 more layers")
