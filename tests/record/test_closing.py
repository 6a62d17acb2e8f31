"""A closed tracker lets its model go."""

import gc
import weakref

import pytest
import torch
from torch import nn

from cofire.record import Tracker, correlation, dependence, epsilon, weight_correlation


@pytest.mark.parametrize("probe", [None, torch.randn(20, 4)])
def test_a_closed_tracker_does_not_hold_its_model(probe):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    gone = weakref.ref(model), weakref.ref(model[0]), weakref.ref(model[0].weight)
    measures = [correlation(), epsilon(), weight_correlation(), dependence()]
    tracker = Tracker(model, measures, probe=probe, sink=lambda rows: None)
    model(torch.randn(20, 4))
    tracker.step()
    tracker.close()
    del model
    gc.collect()
    assert [one() for one in gone] == [None] * 3
