"""cofire's own hooks do not keep a layer from being cut, and cutting does not disturb what they watch."""

import copy
import pickle

import pytest
import torch
from torch import nn

from cofire.nets.capturing.capture import Capture
from cofire.nets.penalties import CorrelationPenalty
from cofire.nets.shrinking import shrink
from cofire.record import Tracker, correlation

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


def tracked(model: nn.Module) -> Tracker:
    return Tracker(model, [correlation()], every=1, sink=list)


def captured(model: nn.Module) -> Capture:
    watching = Capture(model)
    watching.attach()
    return watching


WATCHERS = {"penalty": lambda model: CorrelationPenalty(model, "0"), "tracker": tracked, "capture": captured}


@pytest.mark.parametrize("watch", WATCHERS.values(), ids=WATCHERS)
def test_a_watched_model_is_cut_as_any_other(watch):
    model = network()
    watching = watch(model)  # held, as a variable of a notebook is
    model(X)
    smaller = shrink(model, X, keep={"0": 3})
    assert smaller.model[0].out_features == 3
    del watching
    expected = shrink(network(), X, keep={"0": 3}).model
    assert torch.equal(smaller.model(X), expected(X))


def test_a_penalty_sees_what_the_model_has_shown_also_after_a_cut():
    model = network()
    penalty = CorrelationPenalty(model, "0")
    model(X)
    before = penalty()
    shrink(model, X, keep={"0": 3})
    assert torch.equal(penalty(), before)
    model(2 * X)
    assert list(penalty.values) == ["0"] and not torch.equal(penalty(), before)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_what_stays_of_hooks_in_a_copy_is_ours_too(copied):
    model = network()
    penalty = CorrelationPenalty(model, "0")
    twin = copied(copied(model))
    assert list(shrink(twin, X, keep={"0": 3}).cuts) == ["0"]
    penalty.close()
