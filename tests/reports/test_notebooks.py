"""Every result that a user gets shows itself in a notebook as a table, with maps where there are some."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import cofire
from cofire.nets import capture, wire
from cofire.nets.dropout import dropout_report
from cofire.nets.shrinking import shrink
from cofire.record import Run, Tracker, correlation
from cofire.reports import read
from cofire.stats import dependence_score, neuronal_correlation

NAME = "<b>fc"
X = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module(NAME, nn.Linear(6, 12))
    net.add_module("act", nn.ReLU())
    net.add_module("drop", nn.Dropout(0.5))
    net.add_module("out", nn.Linear(12, 3))
    return net


def tracked(folder: Path) -> Tracker:
    net = network()
    with Tracker(net, [correlation()], run=folder / "run", every=1) as tracker:
        net(X)
        tracker.step()
    return tracker


def recorded(folder: Path) -> Run:
    tracked(folder)
    return Run.open(folder / "run")


RESULTS: dict[str, Callable[[Path], Any]] = {
    "inspect": lambda folder: cofire.inspect(network(), X),
    "inspect, weights": lambda folder: cofire.inspect(network()),
    "compare": lambda folder: cofire.compare(network(), network(), X),
    "shrink": lambda folder: shrink(network(), X, keep=0.7),
    "tracker": tracked,
    "run": recorded,
    "view": lambda folder: read(recorded(folder)),
    "wiring": lambda folder: wire(network(), X),
    "capture": lambda folder: captured(),
}
SCORES: dict[str, Callable[[], Any]] = {
    "correlation": lambda: neuronal_correlation(X),
    "dependence": lambda: dependence_score(X),
    "dropout": lambda: dropout_report(network(), [X]),
}


def captured() -> Any:
    net = network()
    with capture(net) as found:
        net(X)
    return found.activations if hasattr(found, "activations") else found


@pytest.mark.parametrize("kind", RESULTS)
def test_every_result_is_a_table_of_layers(kind, tmp_path):
    told = RESULTS[kind](tmp_path)._repr_html_()
    assert "<table>" in told and "&lt;b&gt;fc" in told and "<b>" not in told and "<pre>" not in told


@pytest.mark.parametrize("kind", SCORES)
def test_every_score_is_a_table_of_names_and_values(kind):
    told = SCORES[kind]()._repr_html_()
    assert told.startswith("<table>") and told.count("<tr>") > 1 and "<pre>" not in told


@pytest.mark.parametrize("kind", ["inspect", "view"])
def test_maps_come_with_those_that_have_some(kind, tmp_path):
    told = RESULTS[kind](tmp_path)._repr_html_()
    assert told.count("data:image/png;base64,") == 2 and "gray undefined" in told
    assert "data:image" not in RESULTS["inspect, weights"](tmp_path)._repr_html_()


def test_an_inspection_counts_parameters_and_says_what_its_columns_mean():
    told = cofire.inspect(network(), X)._repr_html_()
    assert "<td>84</td>" in told and '<th title="Mean |ρ| over pairs of units.' in told


def test_a_comparison_shows_the_largest_difference_first():
    net = network()
    with torch.no_grad():
        net.get_submodule("out").weight.add_(5.0)
    told = cofire.compare(network(), net, X)._repr_html_()
    assert told.index("out") < told.index("&lt;b&gt;fc") and "<td>yes</td>" in told


def test_a_tracker_without_rows_or_whose_run_is_gone_still_shows_itself(tmp_path):
    new = Tracker(network(), [correlation()], run=tmp_path / "new", every=5)
    assert "Nothing" in new._repr_html_() and "<table>" in new._repr_html_()
    new.close()
    assert "<table>" in Tracker(network(), [correlation()], sink=print)._repr_html_()
    old = tracked(tmp_path)
    (tmp_path / "run" / "rows.sqlite").unlink()
    assert "Nothing can be read yet" in old._repr_html_()
