"""The table of quantities against what measures record and reports show."""

import math
import re

import pytest
import torch

from cofire.record import correlation, dependence, entropy, epsilon, total_correlation, weight_correlation, width
from cofire.record.measures.entropy_measures import METHODS
from cofire.stats._base.quantities import QUANTITIES, quantity

MEASURES = [correlation(), epsilon(), weight_correlation(), width(), dependence(), total_correlation()]
MEASURES += [entropy(method) for method in METHODS]


def samples(stage: str) -> tuple[torch.Tensor, ...]:
    x = torch.randn(300, 4) @ torch.randn(4, 5)
    return (x, x.relu()) if stage == "both" else (x,)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_every_recorded_number_is_in_the_table_and_in_range(measure):
    for name, value in measure.values(samples(measure.stage)).items():
        one = quantity(name)
        assert math.isnan(value) or one.low <= value <= one.top
        assert one.digits or value == round(value) or math.isnan(value)


def test_every_quantity_is_recorded_or_reported():
    recorded = {name for measure in MEASURES for name in measure.values(samples(measure.stage))}
    assert set(QUANTITIES) - recorded == {
        *("effective_rank", "copies", "constant", "superfluous"),
        *("n_units_seen", "nc_unit_error"),  # recorded only when units are left out
        "overhead",  # recorded only with a budget
    }


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_every_measure_has_one_main_quantity(measure):
    assert sum(quantity(name).main for name in measure.values(samples(measure.stage))) == 1


@pytest.mark.parametrize("one", QUANTITIES.values(), ids=lambda one: one.name)
def test_every_quantity_is_whole(one):
    assert one.name.isidentifier() and one.title and one.note.endswith(".") and one.low < one.top
    assert not one.high or re.fullmatch(r"[a-z].*[a-z]", one.high)
    assert {one.floor, *(one.interval or ())} - {""} <= set(QUANTITIES)
    assert one.unit in {"", "nats", "units", "pairs", "dimensions"}


def test_information_is_in_nats():
    in_nats = {name for name, one in QUANTITIES.items() if one.unit == "nats"}
    assert {
        name for name in QUANTITIES if re.match("entropy|total|nonlinear|dependence(?!_(pairs|det))", name)
    } == in_nats


@pytest.mark.parametrize(
    ("wrong", "hint"), [("nc_debaised", "did you mean 'nc_debiased'"), ("Loss!", "known are nc, ")]
)
def test_a_misspelled_quantity_is_an_error(wrong, hint):
    with pytest.raises(ValueError, match=f"unknown quantity '{wrong}'; {hint}"):
        quantity(wrong)


def test_a_quantity_that_makes_no_sense_here_is_an_error():
    with pytest.raises(ValueError, match="unknown quantity 'width'; known are nc, wc"):
        quantity("width", ["nc", "wc"])
