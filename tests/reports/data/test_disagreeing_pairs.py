import numpy as np

from cofire.reports.data.disagreeing_pairs import Pair, pairs_of
from cofire.reports.data.run_view import Layer

NAN = np.nan


def test_pairs_carry_the_layers_own_unit_numbers_and_skip_what_is_undefined() -> None:
    arrays = {
        "dependence": np.array([[NAN, 0.5, NAN], [0.5, NAN, -0.01], [NAN, -0.01, NAN]]),
        "dependence_correlation": np.array([[1, 0.25, 0.5], [0.25, 1, 0.125], [0.5, 0.125, 1]]),
        "dependence_difference": np.array([[NAN, 0.5, 0], [0.5, NAN, NAN], [0, NAN, NAN]]),
        "dependence_units": np.array([0, 7, 9]),
    }
    assert pairs_of(Layer("fc", arrays=arrays)) == [Pair(0, 7, 0.25, 0.5, 0.5), Pair(7, 9, 0.125, -0.01, 0.0)]


def test_without_dependence_there_are_none() -> None:
    assert pairs_of(Layer("fc", arrays={"correlation": np.eye(3)})) == []


def test_an_estimate_below_zero_reads_as_no_correlation() -> None:
    assert Pair(1, 2, 0.0, -0.013, 0.0).sentence == "1 and 2: ρ 0.00, information −0.01 nats (as |ρ| 0.00)"
