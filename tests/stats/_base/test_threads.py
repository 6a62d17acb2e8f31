"""Tasks on torch's threads and, where those cannot be had, on others."""

from functools import partial
from threading import Barrier

import pytest
import torch

from cofire.stats._base import threads as threads_module
from cofire.stats._base.threads import at_once


@pytest.fixture(params=["torch's threads", "others"])
def threads(request, monkeypatch):
    if request.param == "others":
        monkeypatch.setattr(threads_module, "_openmp", lambda: None)
    elif not threads_module._openmp():
        pytest.skip("torch does not run on GNU's OpenMP here")


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n_tasks", [0, 1, 2, 7])
def test_every_task_runs_once(threads, n_threads, n_tasks, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    done = []
    at_once(partial(done.append, place) for place in range(n_tasks))
    assert sorted(done) == list(range(n_tasks))


def test_tasks_run_at_the_same_time(threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    meeting = Barrier(2, timeout=60)
    at_once([meeting.wait, meeting.wait])
    assert not meeting.broken


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_is_raised_once_the_other_tasks_are_done(threads, n_threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    done = []
    with pytest.raises(ZeroDivisionError):
        at_once([lambda: 1 / 0, partial(done.append, 1), partial(done.append, 2)])
    assert sorted(done) == [1, 2]


def test_torch_goes_on_afterwards(threads):
    before = torch.get_num_threads()
    at_once([lambda: None] * 3)
    x = torch.ones(1000, 1000)
    assert torch.get_num_threads() == before
    assert (x @ x).sum() == 1e9
