"""What `shrink` returns, as JSON and in a notebook."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from cofire.nets.shrinking import Shrunk, accuracy, shrink


@pytest.fixture(scope="module")
def found() -> Shrunk:
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module("<b>fc", nn.Linear(4, 16))
    net.add_module("act", nn.ReLU())
    net.add_module("out", nn.Linear(16, 3))
    return shrink(net, [(torch.randn(600, 4), torch.arange(600) % 3)], keep=0.5, score=accuracy)


def test_all_but_the_model_is_in_the_json(found):
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["version"] == 1 and plain["parameters"] == {"before": 131, "after": found.n_parameters[1]}
    (group,) = plain["groups"]
    (cut,) = found.cuts.values()
    assert (group["name"], group["layers"], group["units"]) == ("<b>fc", ["<b>fc"], 16)
    assert group["kept"] == list(cut.kept) and group["predicted_error"] == cut.predicted
    assert plain["measured_error"] == found.measured and plain["score"]["after"] == found.score[1]
    assert plain["samples"] == {"fit": 400, "check": 200} and plain["left"] == dict(found.left)
    assert [point["share"] for point in plain["curve"]] == [point.share for point in found.curve]
    assert {name for point in plain["curve"] for name in point} == {
        "share", "predicted_error", "measured_error", "score",
    }  # fmt: skip


def test_what_is_not_finite_is_null(found):
    odd = replace(found, predicted=float("nan"), measured=float("inf"), score=None).to_dict()
    assert odd["predicted_error"] is None and odd["measured_error"] is None and odd["score"] is None


def test_a_notebook_shows_names_as_text(found):
    shown = found._repr_html_()
    assert "&lt;b&gt;fc" in shown and "<b>" not in shown
    assert f"<td>16</td><td>{len(found.cuts['<b>fc'].kept)}</td>" in shown and "Score: " in shown
    assert "<table>" not in replace(found, cuts={}, predicted=None)._repr_html_()
