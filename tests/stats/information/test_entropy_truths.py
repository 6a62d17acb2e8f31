"""Entropies against closed forms of every kind, and the direction and size of each estimator's bias."""

from math import lgamma, log

import pytest
import torch

from cofire.stats import (
    entropy_binned,
    entropy_embedded,
    entropy_gaussian,
    entropy_independence_bound,
    entropy_kde,
    entropy_knn,
    mutual_information_3h,
    mutual_information_ksg,
    total_correlation,
)
from cofire.stats.truth import (
    Affine,
    Exponential,
    MultivariateNormal,
    MultivariateStudentT,
    Uniform,
    UniformNoise,
    pairs,
)

LAWS = {
    "uniform": Uniform(),
    "three uniform": Uniform(3),
    "exponential": Exponential(),
    "two exponential": Exponential(2),
    "student-t": MultivariateStudentT(3, torch.eye(1)),
    "student-t pair": MultivariateStudentT.pair(5, 0.6),
    "additive noise": MultivariateNormal.additive_noise(0.5),
    "uniform noise": UniformNoise(1.0),
    "equicorrelated": MultivariateNormal.equicorrelated(3, 0.5),
    "stretched": Affine(MultivariateNormal.pair(0.3), torch.tensor([[3.0, 0.0], [1.0, 0.5]])),
    "gamma-exponential": pairs()["gamma-exponential 3"],
}


def mean(estimate, law, n: int, n_seeds: int) -> float:
    samples = (law.sample(n, torch.Generator().manual_seed(seed)) for seed in range(n_seeds))
    return float(torch.stack([estimate(x) for x in samples]).mean())


def independent(n_units: int) -> MultivariateNormal:
    return MultivariateNormal(torch.eye(n_units))


@pytest.mark.parametrize("name", LAWS)
def test_nearest_neighbors_find_the_entropy(name):
    bias = 0.13 if name == "three uniform" else 0.0  # sharp edges of the support, more of them in more dimensions
    assert mean(entropy_knn, LAWS[name], 2000, 5) - bias == pytest.approx(LAWS[name].entropy, abs=0.08)


@pytest.mark.parametrize(("variance", "truth"), [(0.3, 4.0848), (0.7, 6.2030), (1.0, 7.0947)])
def test_reference_numbers_of_the_truth(variance, truth):
    assert MultivariateNormal(variance * torch.eye(5)).entropy == pytest.approx(truth, abs=5e-5)


@pytest.mark.parametrize(("n_units", "bias"), [(2, -0.02), (5, -0.06), (20, 1.9)])
@pytest.mark.filterwarnings("ignore::cofire.stats.HighDimensionWarning")
def test_bias_of_nearest_neighbors(n_units, bias):
    law = independent(n_units)
    assert mean(entropy_knn, law, 1000, 8) - law.entropy == pytest.approx(bias, abs=0.025 + 0.1 * abs(bias))


@pytest.mark.filterwarnings("ignore::cofire.stats.HighDimensionWarning")
def test_whitening_takes_away_what_correlation_costs():
    law = MultivariateNormal.equicorrelated(10, 0.9)
    plain, white = (mean(estimate, law, 1000, 5) - law.entropy for estimate in (entropy_knn, _whitened))
    assert plain == pytest.approx(0.6, abs=0.15) and white == pytest.approx(0.1, abs=0.1)


def _whitened(x):
    return entropy_knn(x, whiten=True)


def test_a_normal_fit_is_biased_downwards_as_the_closed_form_says():
    n, d = 100, 10
    exact = sum(_log_chi_square(n - 1 - i) for i in range(d)) / 2 + d / 2 * log(2 / (n - 1))
    measured = mean(entropy_gaussian, independent(d), n, 40) - independent(d).entropy
    assert measured == pytest.approx(exact, abs=0.12) and exact == pytest.approx(-d * (d + 1) / (4 * n), rel=0.1)


def _log_chi_square(freedom: int) -> float:
    """E log(χ²/2), the digamma function, by a difference of log Γ."""
    return (lgamma(freedom / 2 + 1e-5) - lgamma(freedom / 2 - 1e-5)) / 2e-5


@pytest.mark.parametrize(
    "estimate", [lambda x: entropy_kde(x, bound="leave_one_out"), entropy_embedded], ids=["leave-one-out", "embedded"]
)
def test_kernel_densities_are_biased_upwards(estimate):
    law = independent(3)
    assert 0 < mean(estimate, law, 300, 4) - law.entropy < 0.6


def test_the_kernel_bounds_hold_the_mixture_between_them():
    law, noise = independent(2), 0.1
    truth = MultivariateNormal((1 + noise) * torch.eye(2)).entropy
    lower = mean(lambda x: entropy_kde(x, noise, "lower"), law, 1000, 3)
    upper = mean(lambda x: entropy_kde(x, noise, "upper"), law, 1000, 3)
    assert lower < truth < upper


def test_bins_are_biased_downwards_by_the_cells_that_are_occupied():
    truth = log(64)
    measured = mean(lambda x: entropy_binned(x, 8), Uniform(2), 1000, 10) - truth
    assert measured == pytest.approx(-63 / 2000, rel=0.3)


def test_the_independence_bound_overshoots_by_the_total_correlation():
    law = MultivariateNormal.equicorrelated(4, 0.6)
    gap = mean(entropy_independence_bound, law, 2000, 4) - law.entropy
    assert gap == pytest.approx(law.total_correlation, abs=0.05)


@pytest.mark.filterwarnings("ignore::cofire.stats.HighDimensionWarning")
@pytest.mark.parametrize(("n_units", "bias"), [(5, 0.06), (20, -1.1)])
def test_bias_of_total_correlation(n_units, bias):
    assert mean(total_correlation, independent(n_units), 1000, 5) == pytest.approx(bias, abs=0.06 + 0.1 * abs(bias))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimate", "expected", "deviation"),
    [(mutual_information_3h, 0.0119, 0.0425), (mutual_information_ksg, 0.0018, 0.0237)],
)
def test_a_thousand_trials_of_independent_units(estimate, expected, deviation):
    law = MultivariateNormal.pair(0.0)
    values = torch.stack([estimate(*law.sample(1000, torch.Generator().manual_seed(s)).T) for s in range(1000)])
    assert values.mean().item() == pytest.approx(expected, abs=0.004)
    assert values.std().item() == pytest.approx(deviation, rel=0.08)


@pytest.mark.slow
def test_eq_6_falls_without_bound_at_2000_samples():
    x = MultivariateNormal(0.3 * torch.eye(5)).sample(2000, torch.Generator().manual_seed(0))
    found = entropy_embedded(x, bandwidth=1.0, estimator="per_dimension").item()
    assert found == pytest.approx(-15685, rel=0.06)  # ours is some 5 % above: where rounding ends the spectrum
