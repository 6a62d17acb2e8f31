"""A sweep of calls of the public functions: each returns a number within its range, or raises an error of ours."""

import math
import re

import pytest
import torch
from calls import Call, calls, fault

from cofire import stats

SEED, N_CALLS = 20, 3000
NO_FUNCTIONS = {"truth", "HighDimensionWarning", "WhiteningWarning"}


def swept(first: int, n_calls: int) -> list[str]:
    """Return the faults of calls, one seed after the other."""
    found: list[str] = []
    seed, done = first, 0
    while done < n_calls:
        some = calls(seed)[: n_calls - done]
        found += [f"seed {seed}: {told}" for call in some if (told := fault(call))]
        seed, done = seed + 1, done + len(some)
    return found


def test_every_public_function_is_called():
    results = {name for name in stats.__all__ if isinstance(getattr(stats, name), type)} - {"Moments"}
    assert {call.name for call in calls(0)} == set(stats.__all__) - results - NO_FUNCTIONS


def test_some_calls():
    assert swept(SEED, 150) == []


@pytest.mark.slow
def test_many_calls():
    assert swept(SEED, N_CALLS) == []


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        (lambda x: torch.tensor(1.5), r"f\(3\) is tensor\(1.5000\)"),
        (lambda x: x.shape, "raised AttributeError"),
        (lambda x: torch.as_tensor("x"), "raised TypeError"),  # of torch
        (lambda x: math.log(-x), "raised ValueError"),  # of Python
        (lambda x: stats.noise_floor("x"), "^$"),  # of ours
        (stats.noise_floor, "^$"),
    ],
)
def test_a_planted_fault_is_found(planted, told):
    found = fault(Call("f", planted, (3,), {}, lambda value, **_: 0 <= float(value) <= 1))
    assert re.search(told, found)


@pytest.mark.parametrize(
    ("place", "planted", "told"),
    [
        ("cofire.stats.correlation.summary.interval", lambda *_: (0.3, 0.2), "neuronal_correlation"),
        ("cofire.stats.correlation.dropout_laws.check_number", lambda *_, **__: None, "dropout_correlation"),
    ],
)
def test_the_sweep_finds_a_fault_planted_in_the_library(place, planted, told, monkeypatch):
    monkeypatch.setattr(place, planted)
    assert any(told in one for one in swept(SEED, N_CALLS // 3))
