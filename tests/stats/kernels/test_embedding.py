"""The embedding of Jin et al.: its identities, its reference numbers, and what of its argument does not hold."""

from math import inf, log
from typing import Any, Literal

import pytest
import torch

from cofire.stats import (
    choose_bandwidth,
    eigenvalue_bounds,
    entropy_binned,
    entropy_embedded,
    entropy_kde,
    feature_matrix,
    gram_matrix,
)
from cofire.stats.truth import MultivariateNormal

ESTIMATORS = ("loo_kde", "kt", "knn", "binned", "per_dimension", "spectral")
pytestmark = pytest.mark.filterwarnings("ignore::cofire.stats.HighDimensionWarning")


def normal(n_samples: int, n_units: int = 5, variance: float = 1.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return variance**0.5 * torch.randn(n_samples, n_units, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_eigen_features_have_the_kernel_as_inner_products(kernel: str) -> None:
    gram = gram_matrix(normal(80), 1.5, kernel=kernel)
    features = feature_matrix(gram)
    torch.testing.assert_close(features @ features.T, gram, atol=1e-12, rtol=0)
    off = features.T @ features
    torch.testing.assert_close(off, torch.diag(off.diagonal()), atol=1e-10, rtol=0)


def test_mean_embedding_against_a_loop() -> None:
    x, width = normal(60, 3), 0.7
    terms = []
    for i in range(60):
        others = [torch.exp(-((x[i] - x[j]) ** 2).sum() / (2 * width**2)) for j in range(60) if j != i]
        terms.append(torch.stack(others).mean().log())
    expected = 3 / 2 * log(2 * torch.pi * width**2) - torch.stack(terms).mean()
    torch.testing.assert_close(entropy_embedded(x, bandwidth=width), expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(entropy_kde(x, width**2, "leave_one_out"), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("variance", [0.3, 0.7, 1.0])
def test_default_follows_the_truth_from_above(variance: float) -> None:
    truth = MultivariateNormal(variance * torch.eye(5)).entropy
    assert 0 < entropy_embedded(normal(1000, 5, variance)).item() - truth < 0.6


@pytest.mark.parametrize(("n_samples", "reference"), [(500, -2315), (1000, -6010)])
def test_eq_6_has_no_limit(n_samples: int, reference: float) -> None:
    found = entropy_embedded(normal(n_samples, 5, 0.3), bandwidth=1.0, estimator="per_dimension")
    assert found.item() == pytest.approx(reference, rel=0.03)


def test_eigen_features_are_uncorrelated_at_every_width_and_gram_features_are_not() -> None:
    x = normal(150)
    labels = x[:, 0] > 0
    eigen, gram = choose_bandwidth(x, labels, features="eigen"), choose_bandwidth(x, labels, features="gram")
    assert eigen.correlation.max() < 0.005
    assert gram.correlation[-1] > 0.3 and bool((gram.correlation.diff() > 0).all())


def test_beta_narrows_the_kernel_with_gram_features_only() -> None:
    x = normal(150)
    labels = x[:, 0] > 0

    def width(features: Literal["eigen", "gram"], beta: float) -> float:
        return choose_bandwidth(x, labels, beta=beta, features=features).bandwidth

    assert width("eigen", 0.0) == width("eigen", 1.0)
    assert width("gram", 1.0) < width("gram", 0.0)


@pytest.mark.parametrize("labeled", [False, True])
def test_the_width_scales_with_the_data_so_that_k_does_not_change(labeled: bool) -> None:
    x = normal(120)
    labels = x[:, 0] > 0 if labeled else None
    small, large = (entropy_embedded(scale * x, labels=labels, estimator="spectral") for scale in (1.0, 7.0))
    assert small.item() == pytest.approx(large.item(), abs=1e-6)
    shift = entropy_embedded(7 * x, labels=labels) - entropy_embedded(x, labels=labels)
    assert shift.item() == pytest.approx(5 * log(7), abs=1e-6)


@pytest.mark.parametrize("width", [0.05, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_gershgorin_bounds_are_sound(width: float, kernel: str) -> None:
    gram = gram_matrix(normal(60), width, kernel=kernel)
    bounds, eigenvalues = eigenvalue_bounds(gram), torch.linalg.eigvalsh(gram)
    assert bounds.lower <= eigenvalues[0] + 1e-12 and eigenvalues[-1] <= bounds.upper + 1e-12
    assert bounds.vacuous == (bounds.lower == 0)
    between, features = torch.cdist(gram, gram) ** 2, torch.cdist(feature_matrix(gram), feature_matrix(gram)) ** 2
    assert bool((between <= bounds.upper * features + 1e-9).all())
    assert bool((between >= bounds.lower * features - 1e-9).all())


def test_a_narrow_kernel_has_bounds_that_say_something_and_a_wide_one_has_not() -> None:
    assert not eigenvalue_bounds(gram_matrix(normal(60), 0.05)).vacuous
    assert eigenvalue_bounds(gram_matrix(normal(60), 5.0)).vacuous


def test_spectral_lies_between_0_and_log_n() -> None:
    x = normal(100)
    widths = [100.0, 1.0, 0.001]
    found = [entropy_embedded(x, bandwidth=width, estimator="spectral").item() for width in widths]
    assert found == sorted(found)
    assert found[0] == pytest.approx(0, abs=0.01) and found[-1] == pytest.approx(log(100))


def test_binned_features_tell_samples_apart_and_no_more() -> None:
    x = normal(200)
    assert entropy_embedded(x, bandwidth=1.0, estimator="binned").item() == pytest.approx(log(200))
    twice = torch.cat([x, x])
    assert entropy_embedded(twice, bandwidth=1.0, estimator="binned", features="gram") == pytest.approx(log(200))
    assert entropy_binned(twice).item() == pytest.approx(log(200))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int16])
def test_every_type_gives_the_same_and_nothing_is_changed(estimator: Any, dtype: torch.dtype) -> None:
    given = (normal(60, 3) * 50).to(dtype)
    before, state = given.clone(), torch.random.get_rng_state()
    found = entropy_embedded(given, bandwidth=40.0, estimator=estimator)
    same = entropy_embedded(given.double().numpy(), bandwidth=40.0, estimator=estimator)
    assert torch.equal(found, same) and found.dtype == torch.float64 and found.ndim == 0
    assert torch.equal(given, before) and torch.equal(state, torch.random.get_rng_state())


def test_an_atom_has_no_density() -> None:
    x = torch.relu(normal(200, 2))
    assert entropy_embedded(x, bandwidth=0.5).item() == -inf
    assert entropy_embedded(x, bandwidth=0.5, estimator="spectral").isfinite()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"estimator": "best"}, "estimator must be one of loo_kde"),
        ({"features": "pixels"}, "features must be one of eigen, gram, got 'pixels'"),
        ({"kernel": "cosine"}, "kernel must be one of"),
        ({"bandwidth": 0.0}, "bandwidth must be above 0"),
        ({"beta": 2.0}, "beta must be at least 0 and at most 1, got 2.0"),
        ({"labels": torch.zeros(3)}, "expected one label for each of 50 samples"),
    ],
)
def test_wrong_arguments(arguments: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        entropy_embedded(normal(50), **arguments)


def test_wrong_samples() -> None:
    with pytest.raises(ValueError, match="most samples are equal"):
        entropy_embedded(torch.ones(50, 2))
    with pytest.raises(ValueError):
        entropy_embedded(normal(3))
    with pytest.raises(ValueError):
        entropy_embedded(torch.full((20, 2), torch.nan))
    with pytest.raises(ValueError, match="square, got shape"):
        eigenvalue_bounds(torch.ones(2, 3))
