from math import inf, log

import naive_information
import numpy as np
import pytest
import torch

from cofire.stats import (
    HighDimensionWarning,
    WhiteningWarning,
    entropy_binned,
    entropy_embedded,
    entropy_gaussian,
    entropy_independence_bound,
    entropy_kde,
    entropy_knn,
    gram_matrix,
    kernel_alignment,
    kernel_width_scan,
    total_correlation,
)
from cofire.stats.kernels.gram import label_kernel
from cofire.stats.truth import MultivariateNormal


def normal(n_samples, n_units, scale=1.0):
    return scale**0.5 * torch.randn(n_samples, n_units, dtype=torch.float64)


@pytest.mark.parametrize(("scale", "knn"), [(0.3, 4.02), (0.7, 6.10), (1.0, 7.03)])
def test_reference_numbers(scale, knn):
    x = normal(5000, 5, scale)
    truth = MultivariateNormal(scale * torch.eye(5)).entropy
    assert entropy_knn(x).item() == pytest.approx(knn, abs=0.12)
    assert entropy_gaussian(x).item() == pytest.approx(truth, abs=0.06)
    assert entropy_independence_bound(x).item() == pytest.approx(truth, abs=0.12)


def test_reference_numbers_of_the_kernel_bounds():
    x = normal(5000, 5)
    assert entropy_kde(x, 0.1, "upper").item() == pytest.approx(8.83, abs=0.1)
    assert entropy_kde(x, 0.1, "lower").item() == pytest.approx(6.19, abs=0.1)


def test_one_normal_unit_over_trials():
    values = torch.stack([entropy_knn(normal(1000, 1)) for _ in range(100)])
    assert values.mean().item() == pytest.approx(1.4175, abs=0.015)
    assert values.std().item() == pytest.approx(0.033, abs=0.01)


def test_whitened_follows_a_linear_map_to_rounding():
    x, matrix = normal(500, 4), normal(4, 4)
    gap = entropy_knn(x @ matrix + 1000, whiten=True) - entropy_knn(x, whiten=True)
    assert gap.item() == pytest.approx(torch.linalg.slogdet(matrix).logabsdet.item(), abs=1e-9)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("spoil", [torch.relu, torch.round, torch.ones_like, lambda x: x.bfloat16().double()])
def test_no_density_no_entropy(spoil, whiten):
    x = normal(3000, 1)
    assert entropy_knn(spoil(x), whiten=whiten).item() == -inf
    assert entropy_independence_bound(spoil(x)).item() == -inf
    assert entropy_kde(spoil(x), bound="leave_one_out").item() == -inf


def some_coinciding(n_units):
    """600 samples, of which two groups of five coincide."""
    x = normal(600, n_units)
    x[1:5], x[101:105] = x[0], x[100]
    return x


@pytest.mark.parametrize("n_units", [1, 2, 3])
def test_samples_that_coincide_have_as_many_neighbors_as_it_takes(n_units, monkeypatch):
    x = some_coinciding(n_units)
    found = entropy_knn(x)
    assert found.item() == pytest.approx(naive_information.entropy(x.numpy(), 3), abs=1e-12)
    monkeypatch.setattr("cofire.stats.information.neighbor_entropy.DISTANCES_AT_A_TIME", 2000)
    assert torch.equal(entropy_knn(x), found)


def test_whitened_samples_that_coincide():
    x, matrix = some_coinciding(3), normal(3, 3)
    gap = entropy_knn(x @ matrix, whiten=True) - entropy_knn(x, whiten=True)
    assert gap.item() == pytest.approx(torch.linalg.slogdet(matrix).logabsdet.item(), abs=1e-9)
    assert entropy_knn(x, whiten=True).item() == pytest.approx(entropy_knn(x).item(), abs=0.2)


def test_dependent_units_have_no_density():
    x = normal(500, 2)
    x = torch.cat([x, x.sum(1, keepdim=True)], 1)
    assert entropy_knn(x).item() == entropy_knn(x, whiten=True).item() == entropy_gaussian(x).item() == -inf
    assert total_correlation(x).item() == inf


def test_total_correlation():
    law = MultivariateNormal.equicorrelated(4, 0.7)
    x = law.sample(4000, torch.Generator().manual_seed(1))
    assert total_correlation(x).item() == pytest.approx(law.total_correlation, abs=0.1)
    with pytest.raises(ValueError, match="pre-activations"):
        total_correlation(x.relu())


def test_binned():
    assert entropy_binned(normal(200, 10)).item() == pytest.approx(log(200))
    assert entropy_binned(torch.ones(5, 2)).item() == 0.0


def test_many_units_are_warned_of():
    with pytest.warns(HighDimensionWarning, match="whiten"):
        entropy_knn(normal(50, 10))


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "int32", "bool"])
def test_types_and_numpy_agree(kind):
    x = (4 * normal(200, 3)).to(getattr(torch, kind))
    before = x.clone()
    for estimate in (entropy_knn, entropy_gaussian, entropy_kde, entropy_binned, entropy_independence_bound):
        value = estimate(x)
        assert value.dtype == torch.float64 and value.ndim == 0
        assert value.equal(estimate(x.double()))
        assert kind == "bfloat16" or value.equal(estimate(x.numpy()))
    assert x.equal(before)


@pytest.mark.parametrize("x", [torch.tensor([[1.0], [torch.nan], [2.0], [3.0]]), torch.zeros(0, 2), torch.zeros(4, 0)])
def test_bad_samples_are_refused(x):
    for estimate in (entropy_knn, entropy_gaussian, entropy_kde, entropy_binned, entropy_independence_bound):
        with pytest.raises(ValueError):
            estimate(x)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_width_scan_against_whole_matrices(kernel, offset):
    x, labels = normal(700, 3) + offset, torch.randint(0, 4, (700,))
    widths = [0.3, 1.0, 7.0]
    scan = kernel_width_scan(x, widths, labels, kernel=kernel)
    for at, width in enumerate(widths):
        gram = gram_matrix(x, width, kernel=kernel)
        assert scan.information[at].item() == pytest.approx(-gram.mean(1).log().mean().item(), abs=1e-9)
        assert scan.alignment[at].item() == pytest.approx(kernel_alignment(gram, label_kernel(labels)).item(), abs=1e-9)


@pytest.mark.parametrize("k", [0, -1, 10, 2.5, True, None])
def test_neighbors_are_counted_in_whole_numbers_below_the_samples(k) -> None:
    with pytest.raises(ValueError, match="n_neighbors must be a whole number"):
        entropy_knn(torch.randn(10, 2), n_neighbors=k)


def test_any_whole_number_counts_neighbors() -> None:
    x = torch.randn(50, 2)
    assert entropy_knn(x, n_neighbors=np.int64(3)) == entropy_knn(x)


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1.7e308])
@pytest.mark.parametrize("entropy", [entropy_knn, entropy_kde, entropy_gaussian, entropy_embedded])
def test_a_spread_whose_square_leaves_float64_is_refused(entropy, scale) -> None:
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    with pytest.raises(ValueError, match=r"2 of 2 units of x spread over some .*divide x by a constant"):
        entropy(x * scale)
    assert entropy(x * 1e100).isfinite()


def clusters(distance: float, *units: int) -> torch.Tensor:
    """Return 1000 samples of 5 independent normal units, some of which have two clusters in common."""
    x = normal(1000, 5)
    x[:, list(units)] += distance * (torch.rand(1000, 1) < 0.5)
    return x


@pytest.mark.parametrize("x", [clusters(20, 0), clusters(100, 2), clusters(50, 0, 1, 2, 3, 4)])
def test_whitening_that_hurts_is_warned_of(x: torch.Tensor) -> None:
    with pytest.warns(WhiteningWarning, match=r"raised the entropy by \d\.\d nats.*use whiten=False"):
        entropy_knn(x, whiten=True)
    with pytest.warns(WhiteningWarning):
        total_correlation(x)
    assert total_correlation(x, whiten=False).isfinite()  # and warns of nothing


@pytest.mark.parametrize("x", [normal(1000, 5), normal(1000, 5).exp(), torch.rand(1000, 5), clusters(4, 0)])
def test_whitening_that_does_not_hurt_is_not(x: torch.Tensor) -> None:
    total_correlation(x + x[:, :1])  # a warning is an error


def test_documented_bias_of_whitening() -> None:
    bias = {s: np.mean([total_correlation_warned(clusters(s, 0)) for _ in range(5)]) for s in (10, 20, 100)}
    assert bias == pytest.approx({10: -0.25, 20: -0.65, 100: -2.3}, abs=0.2)


def total_correlation_warned(x: torch.Tensor) -> float:
    with pytest.warns(WhiteningWarning):
        return total_correlation(x).item()


@pytest.mark.parametrize("share", [0.007, 0.01, 0.015])
@pytest.mark.parametrize("n_samples", [1000, 20_000])
def test_few_zeros_are_an_atom_if_they_stand_alone(share: float, n_samples: int) -> None:
    x = normal(n_samples, 1)
    x = torch.relu(x - torch.quantile(x, share))
    assert entropy_knn(x).item() == entropy_independence_bound(x).item() == -inf


@pytest.mark.parametrize("digits", [3, 4])
def test_rounding_is_no_atom(digits: int) -> None:
    for n_samples in (1000, 20_000):
        rounded = normal(n_samples, 1).mul(10**digits).round() / 10**digits
        tied = (entropy_knn(rounded) - entropy_knn(rounded + 1e-9 * normal(n_samples, 1))).abs()
        assert entropy_knn(rounded).item() == -inf or tied < 0.1
    float16 = normal(1000, 1).half()
    assert entropy_knn(float16).isfinite()
