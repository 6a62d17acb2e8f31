import numpy as np
import pytest

from cofire.reports.charts.histograms import expected_shares, histograms
from cofire.reports.data.run_view import Layer


@pytest.mark.parametrize("n_samples", [3, 5, 50, 1000])
def test_expected_shares_are_those_of_independent_units(n_samples: int) -> None:
    shares = np.array(expected_shares(n_samples, 50))
    generator = np.random.default_rng(0)
    x = generator.standard_normal((n_samples, 400))
    rho = np.abs(np.corrcoef(x.T)[np.triu_indices(400, 1)])
    seen = np.histogram(rho, bins=50, range=(0, 1))[0] / len(rho)
    assert shares.sum() == pytest.approx(1)
    assert np.abs(np.cumsum(seen) - np.cumsum(shares)).max() < 0.01


def test_two_samples_have_no_expectation() -> None:
    assert expected_shares(2, 50) == () and expected_shares(None, 50) == ()


def test_layers_without_pairs_have_no_histogram() -> None:
    layers = [
        Layer("a", arrays={"histogram": np.zeros(50, int)}),
        Layer("b"),
        Layer("c", arrays={"histogram": np.ones(50, int)}),
    ]
    drawn = histograms(layers)
    assert [histogram.layer for histogram in drawn] == ["c"]
    assert drawn[0].n_pairs == 50 and "50 %" in drawn[0].alternative


def test_a_histogram_keeps_the_counts_of_all_steps_and_their_highest_share() -> None:
    counts = {0: np.array([9, 1]), 5: np.array([5, 5])}
    (drawn,) = histograms([Layer("a", {}, {"histogram": counts[5]}, {"histogram": counts})])
    assert drawn.shares == (0.5, 0.5) and drawn.top == 0.9
    assert drawn.counts == {0: (9, 1), 5: (5, 5)}
