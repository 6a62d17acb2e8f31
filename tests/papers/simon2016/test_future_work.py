"""The penalty on convolutions, and the rate that follows it."""

import pytest

from cofire.papers.framework.tasks import Task
from cofire.papers.simon2016.future_work import FOLLOWING, PENALIZED, PLAIN, run


def recorded(layers, kind, measure):
    settings = {"layers": layers, "kind": kind, "data": "digits", "n_train": 1000, "n_test": 200, "epochs": 6}
    rows = run(Task.of("simon2016.future", 2, settings, [0]))
    return [one.value for one in rows if one.measure == measure]


@pytest.mark.parametrize("layers", ["dense", "convolutions"])
def test_the_rate_falls_with_the_penalty_and_only_then(layers):
    """A rate that never moved would make a comparison of a network with itself."""
    assert recorded(layers, PENALIZED, "learning_rate") == pytest.approx([0.05] * 6)
    rates = recorded(layers, FOLLOWING, "learning_rate")
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.045


@pytest.mark.parametrize("layers", ["dense", "convolutions"])
def test_the_penalty_changes_what_is_learned(layers):
    assert recorded(layers, PENALIZED, "test_accuracy") != recorded(layers, PLAIN, "test_accuracy")
