"""`cofire.compare` and `cofire.report`: every kind of what may be compared, and a page on each result."""

import pytest
import torch
from torch import nn

import cofire
from cofire.record import Run
from cofire.reports import Comparison


def net(width: int = 8) -> nn.Module:
    torch.manual_seed(width)
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 2))


def tracked(directory, model: nn.Module):
    with cofire.Tracker(model, run=directory, every=1) as tracker:
        for _ in range(2):
            model(torch.randn(100, 6))
            tracker.step()
    return directory


@pytest.fixture
def given(tmp_path):
    """Each kind of network that has the layers "0" and "2"."""
    model = net()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    run = tracked(tmp_path / "runs" / "a", model)
    return {
        "model": model,
        "state dict": model.state_dict(),
        "file": tmp_path / "model.pt",
        "inspection": cofire.inspect(model, torch.randn(100, 6)),
        "run": run,
        "open run": Run.open(run),
    }


@pytest.mark.parametrize("kind", ["model", "state dict", "file", "inspection", "run", "open run"])
def test_every_kind_can_be_compared(given, kind):
    found = cofire.compare(given[kind], net(5))
    assert [pair.layer for pair in found.pairs] == ["0", "2"]
    assert found.pairs[0].difference("units").value == -3
    assert cofire.compare(given[kind], given[kind]).pairs[0].difference("wc").value == 0
    assert "8 → 5" in str(found) and "2 layers in both" in repr(found)


def test_models_are_compared_on_data(given):
    x = torch.randn(100, 6)
    found = cofire.compare(given["model"], net(5), x)
    expected = [cofire.inspect(one, x).layers[0].activations.correlation.debiased for one in (given["model"], net(5))]
    pair = found.pairs[0]
    assert [pair.a["nc"].value, pair.b["nc"].value] == expected


def test_few_inputs_are_no_basis_for_a_comparison(given):
    with pytest.raises(ValueError, match="20 inputs are too few to compare by"):
        cofire.compare(given["model"], net(5), torch.randn(20, 6))


@pytest.mark.parametrize("kind", ["inspection", "run", "open run"])
def test_data_go_with_models_only(given, kind):
    with pytest.raises(ValueError, match="leave out data, or give two models"):
        cofire.compare(given["model"], given[kind], torch.randn(100, 6))


@pytest.mark.parametrize("kind", ["inspection", "run", "open run", "runs", "comparison"])
def test_every_result_has_a_page(given, kind, tmp_path):
    results = {**given, "runs": [given["run"], given["run"]], "comparison": cofire.compare(given["model"], net(5))}
    path = cofire.report(results[kind], tmp_path / "page.html")
    assert path == tmp_path / "page.html"
    assert path.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(("wrong", "said"), [(3, "got int"), ([], "at least one run"), (net(), "got Sequential")])
def test_what_has_no_page_is_said(wrong, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        cofire.report(wrong, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_comparison_is_small_in_a_console_and_a_table_in_a_notebook():
    found = cofire.compare(net(), net(5))
    assert isinstance(found, Comparison) and len(repr(found)) < 80
    assert "8 → 5" in found._repr_html_()
