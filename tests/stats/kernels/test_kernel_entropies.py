"""Kernel entropies of outliers, far clusters and extreme widths, against a twin in log space."""

from math import inf, log, pi

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cofire.stats import entropy_embedded, entropy_kde, gram_matrix, kernel_alignment, kernel_width_scan

WIDTHS = [1e-150, 1e-8, 1e-3, 0.03, 1.0, 30.0, 1e5, 1e300]


def normal(n_samples: int, n_units: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(n_samples, n_units, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def exponents(x: Tensor, width: float, kernel: str = "gaussian") -> Tensor:
    differences = (x[:, None] - x) / width
    return -differences.abs().sum(2) if kernel == "laplacian" else -differences.square().sum(2) / 2


def naive_leave_one_out(x: Tensor, width: float, kernel: str = "gaussian") -> float:
    n, d = x.shape
    logs = exponents(x, width, kernel).fill_diagonal_(-inf).logsumexp(1)
    log_volume = d * (log(2 * width) if kernel == "laplacian" else log(2 * pi) / 2 + log(width))
    return (log_volume + log(n - 1) - logs.mean()).item()


def naive_bound(x: Tensor, variance: float, factor: float) -> float:
    n, d = x.shape
    logs = exponents(x, (factor * variance) ** 0.5).logsumexp(1)
    return (d / 2 * (1 + log(2 * pi * variance)) + log(n) - logs.mean()).item()


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
@pytest.mark.parametrize("n_units", [1, 4])
@pytest.mark.parametrize("outlier", [0.0, 8.0, 1e3, 1e7])
def test_leave_one_out_is_finite_wherever_its_formula_is(kernel, n_units, outlier):
    x = normal(600, n_units)
    x[5] += outlier
    scan = kernel_width_scan(x, WIDTHS, kernel=kernel)
    for width, found in zip(WIDTHS, scan.leave_one_out.tolist(), strict=True):
        assert found == pytest.approx(naive_leave_one_out(x, width, kernel), rel=1e-9)


def test_an_outlier_leaves_the_embedded_entropy_finite():
    x = normal(200)
    x[0] = 8
    assert 5 < entropy_embedded(x).item() < 7
    assert entropy_embedded(x, bandwidth=0.1).item() == pytest.approx(naive_leave_one_out(x, 0.1), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    n_samples=st.integers(5, 40),
    n_units=st.integers(1, 4),
    exponents_of_outliers=st.lists(st.floats(-6, 6), max_size=5),
    width=st.floats(-6, 6),
    kernel=st.sampled_from(["gaussian", "laplacian"]),
    seed=st.integers(0, 2**16),
)
def test_any_outliers_and_widths(n_samples, n_units, exponents_of_outliers, width, kernel, seed):
    x = normal(n_samples, n_units, seed)
    for at, exponent in enumerate(exponents_of_outliers):
        x[at] *= 10.0**exponent
    found = kernel_width_scan(x, [10.0**width], kernel=kernel)
    assert found.leave_one_out.item() == pytest.approx(naive_leave_one_out(x, 10.0**width, kernel), rel=1e-9, abs=1e-9)
    if kernel == "gaussian":
        variance = 100.0**width
        assert entropy_kde(x, variance).item() == pytest.approx(naive_bound(x, variance, 1), rel=1e-9, abs=1e-9)
        assert entropy_kde(x, variance, "lower").item() == pytest.approx(
            naive_bound(x, variance, 4), rel=1e-9, abs=1e-9
        )


@pytest.mark.parametrize("separation", [1e2, 1e4, 1e6, 1e8])
def test_the_upper_bound_counts_far_clusters(separation):
    x = normal(300, 2)
    x[1::2] += separation
    assert entropy_kde(x, 0.1).item() == pytest.approx(naive_bound(x, 0.1, 1), rel=1e-9)
    parts = [entropy_kde(half, 0.1).item() for half in (x[::2], x[1::2])]
    assert entropy_kde(x, 0.1).item() == pytest.approx(sum(parts) / 2 + log(2), rel=1e-9)


@pytest.mark.parametrize("separation", [1e2, 1e4, 1e6])
def test_the_width_follows_far_clusters(separation):
    x = normal(300, 2)
    x[1::2, 0] += separation
    alone = sum(entropy_kde(half, bound="leave_one_out").item() for half in (x[::2], x[1::2])) / 2
    assert entropy_kde(x, bound="leave_one_out").item() == pytest.approx(alone + log(2), abs=0.02)


def test_the_width_follows_an_outlier_beyond_the_grid():
    x = normal(50)
    x[0] = 1e9
    widths = [10.0 ** (step / 8) for step in range(-16, 96)]
    best = min(naive_leave_one_out(x, width) for width in widths)
    assert entropy_kde(x, bound="leave_one_out").item() == pytest.approx(best, abs=0.02)


def test_very_wide_kernels_and_very_large_matrices():
    x = normal(20, 3)
    assert torch.equal(gram_matrix(x, 1e300), torch.ones(20, 20, dtype=torch.float64))
    gram = gram_matrix(x, 1.0)
    assert kernel_alignment(gram * 1e200, gram * 1e200).item() == pytest.approx(1.0)
