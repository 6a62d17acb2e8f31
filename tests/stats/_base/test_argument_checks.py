"""Arguments that Python would let pass are refused, with what was got and what was expected."""

import math

import numpy as np
import pytest
import torch

from cofire.stats._base.argument_checks import (
    as_number,
    check_choice,
    check_count,
    check_flag,
    check_number,
    check_seed,
)

NO_NUMBERS = [True, np.True_, torch.tensor(True), None, "3", 1j, [1], torch.ones(2), torch.tensor(1.0, device="meta")]


@pytest.mark.parametrize("given", [3, np.int16(3), np.uint64(3)])
def test_whole_numbers(given) -> None:
    found = check_count(given, "k")
    assert found == 3 and type(found) is int


@pytest.mark.parametrize("given", [*NO_NUMBERS, 0, -1, 2.0, math.nan, math.inf, torch.tensor(3.5)])
def test_no_whole_numbers(given) -> None:
    with pytest.raises(ValueError, match="k must be a whole number of at least 1, got "):
        check_count(given, "k")


def test_too_large_a_number_names_the_limit() -> None:
    with pytest.raises(ValueError, match="at most 1,000, got 1001"):
        check_count(1001, "k", most=1000)
    assert check_seed(2**64 - 1) == 2**64 - 1
    for wrong in (-1, 2**64, 1.0):
        with pytest.raises(ValueError, match="seed must be a whole number of at least 0"):
            check_seed(wrong)


@pytest.mark.parametrize("given", [0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5)])
def test_numbers(given) -> None:
    assert check_number(given, "level", above=0, below=1) == 0.5


@pytest.mark.parametrize("given", [*NO_NUMBERS, 0, 1, math.nan, math.inf, -math.inf, 10**400, -(10**400)])
def test_no_numbers_in_range(given) -> None:
    with pytest.raises(ValueError, match="level must be above 0 and below 1, got "):
        check_number(given, "level", above=0, below=1)


def test_bounds_may_belong_to_the_range() -> None:
    assert check_number(1, "beta", least=0, most=1) == 1
    with pytest.raises(ValueError, match="beta must be at least 0 and at most 1, got 2"):
        check_number(2, "beta", least=0, most=1)
    assert as_number(10**400) == math.inf and as_number(-(10**400)) == -math.inf


def test_names_and_flags() -> None:
    assert check_choice("gram", "features", ("eigen", "gram")) == "gram"
    for wrong in ("x", None, torch.ones(2), ["gram"]):
        with pytest.raises(ValueError, match="features must be one of eigen, gram, got "):
            check_choice(wrong, "features", ("eigen", "gram"))
    assert check_flag(np.True_, "whiten") is True
    for wrong in ("no", 1, None, torch.tensor(True)):
        with pytest.raises(ValueError, match="whiten must be True or False, got "):
            check_flag(wrong, "whiten")


def test_messages_stay_short() -> None:
    with pytest.raises(ValueError, match=r"got a tensor of shape \(1000,\)$"):
        check_number(torch.ones(1000), "level")
    with pytest.raises(ValueError) as told:
        check_choice("x" * 10_000, "features", ("eigen",))
    assert len(str(told.value)) < 150
