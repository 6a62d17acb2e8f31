from pathlib import Path

import pytest
import torch
from torch import nn

import cofire
from cofire.record import Run, correlation
from cofire.reports.data.run_view import Layer, Series, View, read
from cofire.reports.findings.run_findings import findings, headline

from ..layers import kinds, layer

OUT = frozenset(["out"])


def test_a_layer_is_redundant_only_when_its_whole_interval_is_above_the_threshold() -> None:
    assert kinds(layer(nc=[0.25])) == {"redundant": "watch"}
    assert kinds(layer(nc=[0.45])) == {"redundant": "act"}
    assert kinds(layer(nc=[0.25], width=0.1)) == {}


def test_a_layer_is_uncorrelated_only_when_its_whole_interval_is_near_zero() -> None:
    assert kinds(layer(nc=[0.01])) == {"independent": "note"}
    assert kinds(layer(nc=[0.04], width=0.02)) == {}


def test_left_out_layers_are_told() -> None:
    assert kinds(left_out={"drop": "no units"}) == {"left out": "note"}
    (told,) = findings(View("run", left_out={"a": "pooling", "b": "dropout", "c": "pooling"}))
    assert told.headline == "3 layers were left out" and dict(told.points) == {"pooling": "a and c", "dropout": "b"}


def test_layers_with_assumed_units_are_told_with_the_reason() -> None:
    view = View("run", assumed={"fc1": "assumed: it raised an error", "fc2": "assumed: it raised an error"})
    (told,) = findings(view)
    assert (told.kind, told.level) == ("assumed", "note")
    assert told.headline == "Units of 2 layers were assumed from the module's type"
    assert told.points == (("it raised an error", "fc1 and fc2"),)


def test_what_asks_for_action_comes_first() -> None:
    levels = [finding.level for finding in findings(View("run", (layer(nc=[0.1, 0.5], constant=1),)))]
    assert levels == ["act", "watch", "note"]


def test_many_layers_are_counted_and_the_first_few_named() -> None:
    found = findings(View("run", tuple(layer(f"layer.{index}") for index in range(60))))
    assert found[0].headline == "Units fire together in 60 layers"
    assert len(found[0].points) == 5 and found[0].points[-1] == ("…", "56 more layers")


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View("run"), "Nothing has been recorded yet."),
        (View("run", (Layer("fc", {"wc": Series((0,), (0.1,))}),)), "No activations were measured"),
        (View("run", (layer(nc=[0.1]),)), "No layer has units that clearly fire together."),
        (View("run", (layer(),)), "The units of the only layer"),
        (View("run", (layer(), layer("b", nc=[0.1]))), "In 1 of 2 layers"),
        (View("run", (layer(), layer("b"), layer("out", nc=[0.1])), outputs=OUT), "The units of every hidden layer"),
        (View("run", (layer("out"),), outputs=OUT), "The units of the only layer"),
        (View("run", (layer(), layer("b")), outputs=OUT), "The units of every layer"),
    ],
)
def test_the_headline_fits_the_run(view: View, expected: str) -> None:
    assert headline(view).startswith(expected)


def test_a_network_that_diverged_is_told_of_before_all_else(tmp_path: Path) -> None:
    """From a real run, whose first layer turns to NaN at its third step."""
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    with cofire.Tracker(model, [correlation()], every=1, run=tmp_path / "run") as tracker:
        for step in range(1, 5):
            if step == 3:
                model[0].weight.data[:2] = torch.nan  # pyright: ignore
            model(torch.randn(300, 8))
            tracker.step()
    with Run.open(tmp_path / "run") as run:
        view = read(run)
    assert headline(view) == "NaN or infinity found in 0 and 2: training has probably diverged."
    first, *others = findings(view)
    assert (first.kind, first.level) == ("not finite", "act") and "undefined" not in {one.kind for one in others}
    assert dict(first.points) == {"0": "2 of 6 units, since step 3", "2": "3 of 3 units, since step 3"}
