"""What a page and the terminal say of a network's redundancy; names in it are anyone's."""

import math
import re

import pytest
import torch
from rich.console import Console
from torch import nn

from cofire.nets.redundancy import redundancy_report, weight_redundancy_report
from cofire.reports.data.formatting import shorten_all
from cofire.reports.page.inspection_page import Inspection, write_inspection
from cofire.reports.terminal.inspection_table import GATES, inspection_summary

EVIL = "<script>alert(1)</script>\x1b[31m/../[bold]"


@pytest.fixture
def model() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3))
    with torch.no_grad():
        net[0].weight[7], net[0].bias[7] = -net[0].weight[2], -net[0].bias[2]
        net[2].weight[0], net[2].bias[0] = 0.0, -1.0
    return net


@pytest.fixture
def inspections(model) -> dict[str, Inspection]:
    return {
        "data": Inspection("net.pt", redundancy_report(model, torch.randn(2000, 4)), {"target": "net.pt"}),
        "weights": Inspection("net.pt", weight_redundancy_report(model), {"target": "net.pt"}),
    }


def shown(inspection: Inspection, width: int = 80) -> str:
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(inspection_summary(inspection, width=width))
    return captured.get()


def kinds(inspection: Inspection) -> dict[str, str]:
    return {finding.kind: finding.headline for finding in inspection.findings}


def test_findings_on_data(inspections):
    found = inspections["data"]
    assert kinds(found)["copies"] == "Units copy others in 0"
    assert "2 = −7" in dict(next(f for f in found.findings if f.kind == "copies").points)["0"]
    assert kinds(found)["narrower"].startswith("Fewer units would suffice in")
    assert "constant" in kinds(found) and "zero weights" in kinds(found) and "left out" in kinds(found)
    assert found.headline == "Fewer units would suffice in 2 of 2 hidden layers."


def test_findings_by_weights(inspections):
    found = inspections["weights"]
    assert kinds(found)["copies"] == "Units have the same weights, up to a factor, in 0"
    assert found.headline == "1 of 3 layers have units with the same weights."
    assert "narrower" not in kinds(found)


def test_independent_units_are_not_called_redundant():
    net = nn.Sequential(nn.Linear(40, 10, bias=False), nn.Linear(10, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.linalg.qr(torch.randn(40, 10)).Q.T)
    found = Inspection("net", redundancy_report(net, torch.randn(3000, 40)), {})
    assert found.headline == "No layer is clearly wider than these data require."
    assert not {"narrower", "copies", "redundant"} & set(kinds(found))


def test_weights_that_are_not_finite_ask_for_action(model):
    with torch.no_grad():
        model[2].weight[3, 1] = torch.nan
    first = Inspection("net", weight_redundancy_report(model), {}).findings[0]
    assert first.kind == "not finite" and first.level == "act"


def test_nothing_can_go_from_a_layer_that_puts_out_nan(model):
    report = redundancy_report(model, torch.full((300, 4), torch.nan))
    found = Inspection("net", report, {})
    assert found.headline == "These data are not enough to say how many units the layers need."
    assert found.findings[0].kind == "not finite" and "narrower" not in kinds(found)
    assert math.isnan(report.layers[0].superfluous_share) and found.rows[0].cells["width"] == "–"


def test_two_samples_are_no_sign_that_units_fire_together(model):
    assert "redundant" not in kinds(Inspection("net", redundancy_report(model, torch.randn(2, 4)), {}))


def test_few_samples_are_said_to_be_few(model):
    found = Inspection("net", redundancy_report(model, torch.randn(60, 4)), {})
    assert "few samples" in kinds(found) and "few inputs" not in kinds(found)
    wide = Inspection("net", redundancy_report(nn.Linear(200, 100), torch.randn(60, 200)), {})
    assert "too few samples" in kinds(wide) and "narrower" not in kinds(wide)


def test_positions_of_few_images_carry_no_verdict(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8 * 144, 2))
    with torch.no_grad():  # copies, a dead unit and others that fire together: what would be told of many images
        net[0].weight.copy_(net[0].weight[:1] + 0.01 * torch.randn(8, 1, 3, 3)), net[0].bias.zero_()
        net[0].weight[5], net[0].bias[5] = 0.0, -1.0
    images = torch.randn(60, 1, 16, 16)
    few = Inspection("net", redundancy_report(net, images[:2]), {})
    verdicts = {"redundant", "constant", "independent", "narrower", "copies", "too few samples", "few samples"}
    assert not verdicts & set(kinds(few)) and all(finding.level != "act" for finding in few.findings)
    assert few.headline == "Too few inputs were run to judge how redundant the layers are."
    (finding,) = [one for one in few.findings if one.kind == "few inputs"]
    assert finding.headline == "Too few inputs were run to judge 0, 2 and 4"
    assert finding.points[0] == ("0", "392 samples from 2 inputs") and finding.points[2] == ("4", "2 inputs")
    assert all(row.cells["width"] == "–" for row in few.rows)
    assert "Too few inputs were run to judge" in write_inspection(few, tmp_path / "page.html").read_text()
    many = Inspection("net", redundancy_report(net, images), {})
    assert {"redundant", "constant", "copies", "narrower"} <= set(kinds(many))
    assert {one.kind: one.level for one in many.findings}["positions"] == "watch"


@pytest.mark.parametrize("kind", ["data", "weights"])
def test_the_table_fits_a_terminal(kind, inspections):
    text = shown(inspections[kind])
    assert max(map(len, text.splitlines())) <= 80
    assert "Debiased" in text if kind == "data" else "By entropy" in text


def test_a_narrow_table_leaves_out_columns_but_cuts_no_number():
    net = nn.Sequential()
    for index, (inputs, units) in enumerate(((1200, 1200), (1200, 3))):
        net.add_module(f"a_block_with_a_long_name_{index}_projection", nn.Linear(inputs, units))
    nn.init.eye_(net[0].weight)  # independent units: nearly all of them are needed
    found = Inspection("net", redundancy_report(net, torch.randn(6000, 1200)), {})
    table = shown(found).split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= 80
    headings, first = table[0].split(), table[1].split()
    assert headings == ["Layer", "Units", "Constant", "Copies", "Debiased", "Interval", "Width"]
    row = found.rows[0]
    assert len(row.cells["width"]) == len("1,000 (1,000–1,000)")
    assert " ".join(first[1:]) == " ".join(
        row.cells[key] for key in ("units", "constant", "copies", "nc_debiased", "interval", "width")
    )
    assert row.cells["wc"] in shown(found, width=120) and "WC" in shown(found, width=120)


def test_copies_among_the_outputs_are_told_without_advice_to_fold_them():
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    with torch.no_grad():
        net[2].weight[2], net[2].bias[2] = 3 * net[2].weight[0], 1.0
    found = Inspection("net", redundancy_report(net, torch.randn(2000, 4)), {})
    (copies,) = [one for one in found.findings if one.kind == "copies"]
    assert copies.headline == "Outputs copy others in 2" and copies.points == (("2", "1 unit redundant: 0 = 2"),)
    assert copies.level == "note" and "merge" not in copies.advice


def test_long_names_stay_apart():
    state = {f"encoder.layers.{i}.attention.output.dense.weight": torch.randn(4, 8) for i in (0, 1)}
    found = Inspection("net", weight_redundancy_report(state), {})
    text = shown(found)
    assert max(map(len, text.splitlines())) <= 80
    names = [line.split("  ")[0] for line in text.split("\n\n")[1].splitlines()[1:]]
    assert len(set(names)) == 2 and all(
        name.startswith("…") and name.endswith("dense") for name in map(str.strip, names)
    )


def test_names_break_behind_dots_and_underscores_alone():
    parts = ("feed_forward_network.intermediate_projection", "feed_forward_network.output_projection")
    long = [f"encoder.{i}.{part}" for i in (0, 1) for part in parts]
    told = shorten_all([*long, "a_name_without_dots_that_stays_apart", "head"], 16)
    for name, lines in zip(long, told, strict=False):
        assert lines.replace("\n", "") == name
        assert all(len(line) <= 16 for line in lines.split("\n"))
        assert all(line[-1] in "._" for line in lines.split("\n")[:-1])
    assert told[4:] == ["a_name…ays_apart", "head"]
    found = Inspection("net", weight_redundancy_report({f"{name}.weight": torch.randn(4, 8) for name in long}), {})
    assert "projection" in shown(found) and max(map(len, shown(found).splitlines())) <= 80


def test_gates_of_a_recurrent_weight_stand_in_one_row():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.LSTM(6, 8, num_layers=2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.recurrent(x)[0]

    net = Model()
    with torch.no_grad():
        net.recurrent.weight_ih_l0[0] = net.recurrent.weight_ih_l0[1]  # copies in the first gate
        net.recurrent.weight_ih_l0[8] = 0.0  # without weights in the second
    report = weight_redundancy_report(net)
    text = shown(Inspection("net", report, {}))
    rows = [line.split() for line in text.split("\n\n")[1].splitlines()[1:]]
    assert sorted(row[0] for row in rows) == [f"recurrent.{side}_l{layer}" for side in ("hh", "ih") for layer in (0, 1)]
    (first,) = [row for row in rows if row[0] == "recurrent.ih_l0"]
    gates = [layer.weights.mean_abs for layer in report.layers if layer.layer.startswith("recurrent.ih_l0.")]
    assert first[1:4] == ["8", "1", "1"] and len(gates) == 4
    assert float(first[4]) == pytest.approx(sum(gates) / 4, abs=6e-4)
    assert GATES in text and GATES not in shown(Inspection("net", weight_redundancy_report(nn.Linear(3, 4)), {}))
    with_data = shown(Inspection("net", redundancy_report(net, torch.randn(60, 5, 6)), {}))
    assert "recurrent.hh_l1" in with_data and "hh_l1.forget" not in with_data and GATES in with_data


def test_positions_are_told_from_inputs():
    net = nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten(), nn.Linear(32, 2))
    found = Inspection("net", redundancy_report(net, torch.randn(100, 1, 10)), {})
    (finding,) = [one for one in found.findings if one.kind == "positions"]
    assert finding.points == (("0", "800 samples from 100 inputs"),)


def test_a_layer_of_one_unit_is_not_called_undefined():
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    assert "undefined" not in kinds(Inspection("net", redundancy_report(net, torch.randn(300, 4)), {}))


def test_a_page_gives_reasons_in_full(tmp_path):
    net = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    found = Inspection("net", redundancy_report(net, torch.randn(9, 5, 4)), {})
    (finding,) = [one for one in found.findings if one.kind == "left out"]
    page = write_inspection(found, tmp_path / "page.html").read_text()
    assert max(len(reason) for reason, _ in finding.points) > 40
    assert all(f">{reason}</bdi>" in page for reason, _ in finding.points)


def test_names_are_text(tmp_path):
    state = {f"{EVIL}.weight": torch.randn(5, 8), "ok.weight": torch.randn(3, 8), f"{EVIL}.bias": torch.ones(5)}
    found = Inspection(EVIL, weight_redundancy_report(state), {"target": EVIL})
    page = write_inspection(found, tmp_path / "page.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "\x1b" not in shown(found, width=200) and "[bold]" in shown(found, width=200)


@pytest.mark.parametrize("kind", ["data", "weights"])
def test_the_page_shows_every_layer_and_requests_nothing(kind, inspections, tmp_path):
    page = write_inspection(inspections[kind], tmp_path / "page.html").read_text()
    assert "Content-Security-Policy" in page and not re.findall(r'(?:src|href)="https?://', page)
    assert page.count('<th scope="row">') >= 3
    assert ("Pairs of units" in page) == (kind == "data") == ('class="whisker' in page)


@pytest.mark.parametrize("kind", ["data", "weights"])
def test_the_page_speaks_of_a_network_not_of_a_run(kind, inspections, browser, tmp_path):
    tab = browser.new_page()
    tab.goto(write_inspection(inspections[kind], tmp_path / "page.html").as_uri())
    tab.wait_for_selector("html[data-drawn=all]", state="attached")
    words = tab.locator("body").inner_text()
    labels = tab.evaluate("[...document.querySelectorAll('[aria-label]')].map((node) => node.ariaLabel).join(' ')")
    tab.close()
    assert "Layers" in words and not re.findall(r"\b(?:run|runs|step|recorded|recording)\b", f"{words} {labels}")


@pytest.mark.parametrize("kind", ["data", "weights"])
def test_every_number_says_what_it_means_and_from_where_on_it_counts(kind, inspections, tmp_path):
    page = write_inspection(inspections[kind], tmp_path / "page.html").read_text()
    headings = re.findall(r'<th scope="col" class="num".*?>(.*?)</th>', page)
    assert len(headings) > 5 and all('<abbr title="' in one for one in headings)
    for words in (
        "0.99",
        "0.0001",
        "√(2/(π m))",
        *(("5 %", "0.2", "50 inputs", "exactly 0") if kind == "data" else ()),
    ):
        assert words in page


def test_the_layers_stand_by_redundancy_or_in_network_order_or_by_a_column(browser, tmp_path):
    net = nn.Sequential(nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    found = Inspection("net", redundancy_report(net, torch.randn(2000, 12)), {})
    tab = browser.new_page(viewport={"width": 1300, "height": 900})
    tab.goto(write_inspection(found, tmp_path / "page.html").as_uri())
    order = lambda: [row.inner_text().split()[0] for row in tab.locator("#inspected tbody th").all()]  # noqa: E731
    by_redundancy = [layer.layer for layer in found.report.by_redundancy]
    assert order() == by_redundancy != ["0", "2", "4"]
    tab.locator("#order-redundancy").focus()
    tab.keyboard.press("ArrowRight")
    assert order() == ["0", "2", "4"]
    tab.locator('th[data-key="parameters"] button').press("Enter")
    cells = tab.locator('#inspected td[data-key="parameters"]').all_inner_texts()
    assert order() == ["2", "0", "4"] and cells == ["80", "52", "51"]
    tab.locator("#order-redundancy").check()
    assert order() == by_redundancy and tab.locator('th[aria-sort="descending"]').count() == 0
    tab.close()


@pytest.mark.parametrize("names", [("a" * 150, "b" * 150), ("x.y" * 40, "=x" * 70), ("层" * 70, EVIL * 4)])
@pytest.mark.parametrize("width", [360, 1280])
def test_no_name_makes_the_page_wider_than_the_screen(names, width, browser, tmp_path):
    net = nn.Sequential()
    for place, name in enumerate(names):
        net.add_module(name.replace(".", "_"), nn.Linear(6, 6))
        net.add_module(f"act{place}", nn.ReLU())
    net.add_module("head" * 30, nn.Linear(6, 3))
    found = Inspection(
        names[0] * 2, redundancy_report(net, torch.randn(300, 6)), {"target": names[0] * 2, names[1]: "x"}
    )
    tab = browser.new_page(viewport={"width": width, "height": 800})
    tab.goto(write_inspection(found, tmp_path / "page.html").as_uri())
    tab.wait_for_selector("html[data-drawn=all]", state="attached")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()


def test_a_file_that_is_sorted_by_name_claims_no_network_order(tmp_path):
    state = {f"{name}.weight": torch.randn(6, 6) for name in ("a", "b", "c", "d", "e")}
    sure = Inspection("net", weight_redundancy_report(dict(reversed(state.items()))), {})
    unsure = Inspection("net", weight_redundancy_report(state), {})
    assert sure.report.in_order and not unsure.report.in_order
    for found, words in ((sure, "in network order"), (unsure, "in the order of the file")):
        assert words in write_inspection(found, tmp_path / "page.html").read_text()


def test_chromium_draws_it_without_errors(inspections, browser, tmp_path):
    tab, told = browser.new_page(), []
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.goto(write_inspection(inspections["data"], tmp_path / "page.html").as_uri())
    assert "Fewer units would suffice" in tab.content()
    tab.close()
    assert not told
