"""The sink for Trackio, against its documented interface, and against Trackio itself where it is installed."""

import importlib.util
import json
import sqlite3
import sys
from contextlib import closing
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from cofire import Tracker
from cofire.integrations.logged_numbers import SUMMARIES
from cofire.integrations.loggers.trackio import TrackioSink
from cofire.record import correlation

NAMES = {"cofire/0/nc_debiased", *(f"cofire/run/{one}" for one in SUMMARIES)}


class Image:
    """``trackio.Image(value, caption=None)``: a path, or an array of type uint8."""

    def __init__(self, value, caption=None):
        assert isinstance(value, np.ndarray) and value.dtype == np.uint8
        self.value = value


class Run:
    """``trackio.Run``: ``log(metrics: dict, step: int | None = None)``."""

    def __init__(self):
        self.logged = []

    def log(self, metrics: dict, step: int | None = None) -> None:
        self.logged.append((step, metrics))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Run:
    module, run = ModuleType("trackio"), Run()
    module.Image = Image
    module.context_vars = SimpleNamespace(current_run=SimpleNamespace(get=lambda: module.active))
    module.active = run
    monkeypatch.setitem(sys.modules, "trackio", module)
    return run


def train(sink: TrackioSink, steps: int = 3) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6))
    with Tracker(model, [correlation()], every=1, sink=sink) as tracker:
        for _ in range(steps):
            model(torch.randn(20, 4))
            tracker.step()


def test_numbers_and_images_go_to_the_active_run(fake):
    train(TrackioSink(images=True))
    numbers = [(step, values.keys()) for step, values in fake.logged if "cofire/0/correlation" not in values]
    assert numbers == [(step, NAMES) for step in (1, 2, 3)]
    images = [(step, values) for step, values in fake.logged if "cofire/0/correlation" in values]
    assert [step for step, _ in images] == [1, 2, 3]
    assert all(isinstance(values["cofire/0/correlation"], Image) for _, values in images)


def test_another_run_may_be_given(fake):
    run = Run()
    train(TrackioSink(run, quantities="nc"))
    assert [values.keys() for _, values in run.logged] == [{"cofire/0/nc"}] * 3 and not fake.logged


def test_no_active_run_is_an_error(fake):
    sys.modules["trackio"].active = None
    with pytest.raises(ValueError, match=r"no active Trackio run; call trackio\.init"):
        TrackioSink()


def test_without_trackio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(ImportError, match="pip install trackio"):
        TrackioSink()


@pytest.mark.skipif(importlib.util.find_spec("trackio") is None, reason="needs pip install trackio")
def test_trackio_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    import trackio

    trackio.init(project="test", name="one", embed=False)
    train(TrackioSink(images=True))
    trackio.finish()
    with closing(sqlite3.connect(next(tmp_path.glob("*.db")))) as connection:
        logged = [(step, json.loads(text)) for step, text in connection.execute("SELECT step, metrics FROM metrics")]
    assert [step for step, values in logged if values.keys() == NAMES] == [1, 2, 3]
    assert [step for step, values in logged if values.keys() == {"cofire/0/correlation"}] == [1, 2, 3]
