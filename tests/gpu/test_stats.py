"""Every statistic on the device of its samples: the CPU's numbers, and no copy to the host but for pairs of units."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cofire import stats
from cofire.stats import Moments

pytestmark = pytest.mark.filterwarnings("ignore::cofire.stats.HighDimensionWarning")

SINGLE = torch.float32


def samples(n_samples: int = 700, n_units: int = 30, seed: int = 0) -> Tensor:
    """Correlated, some of them nonlinearly, at offsets and scales of their own; float32."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(n_samples, 3, generator=generator)
    mixed = shared @ torch.randn(3, n_units, generator=generator) + torch.randn(n_samples, n_units, generator=generator)
    mixed[:, 1::5] = mixed[:, 0:1].square() + 0.1 * mixed[:, 1::5]
    return mixed * torch.logspace(-2, 2, n_units) + torch.linspace(-50, 50, n_units)


def smooth() -> Tensor:
    """Without the ties that offsets leave in float32: by those, counts of neighbors hang on the last digit."""
    x = samples().double()
    return torch.tanh((x - x.mean(0)) / x.std(0)) + 1e-6 * torch.randn(
        x.shape, generator=torch.Generator().manual_seed(9)
    )


def rectified() -> Tensor:
    """After a ReLU: zeros, a unit that never fires, and one that is another's copy."""
    x = smooth()
    x = (x - x.median(0).values).relu()
    x[:, 4], x[:, 6] = 0.0, x[:, 5]
    return x


def moments(x: Tensor, **options: Any) -> Moments:
    state = Moments(**options)
    for batch in x.split(100):
        state = state.update(batch)
    return state


OF_MOMENTS: dict[str, Callable[[Moments], Any]] = {
    "mean": Moments.mean,
    "variance": Moments.variance,
    "covariance": Moments.covariance,
    "correlation": Moments.correlation,
    "summary": Moments.summary,
    "quartiles": Moments.quartiles,
    "histogram": Moments.histogram,
    "strongest_partner": Moments.strongest_partner,
    "constant_units": lambda m: m.constant_units().int(),
    "merged": lambda m: (m + m).covariance(),
}


@pytest.mark.parametrize("name", OF_MOMENTS)
@pytest.mark.parametrize("make", [samples, rectified])
def test_moments(name: str, make: Callable[[], Tensor], same_on_both: Callable[..., None]) -> None:
    same_on_both(lambda x: OF_MOMENTS[name](moments(x)), make())


@pytest.mark.parametrize("n_units", [1, 30, 1500, 2600])
def test_moments_of_layers_over_several_blocks(n_units: int, same_on_both: Callable[..., None]) -> None:
    x = samples(200, n_units)
    same_on_both(lambda x: moments(x).summary(), x)
    same_on_both(lambda x: moments(x, compute_dtype=SINGLE).summary(), x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.bool])
def test_moments_of_any_type(dtype: torch.dtype, same_on_both: Callable[..., None]) -> None:
    same_on_both(lambda x: moments(x).covariance(), samples().to(dtype))


def test_moments_with_values_that_are_not_finite(same_on_both: Callable[..., None]) -> None:
    x = samples()
    x[3, 2], x[5, 7] = torch.nan, torch.inf
    same_on_both(lambda x: moments(x).correlation(), x)
    same_on_both(lambda x: stats.neuronal_correlation(x), x)


def test_states_of_both_sides_merge() -> None:
    x = samples()
    both = moments(x[:300].cuda()) + moments(x[300:])
    assert both.mean().is_cuda
    torch.testing.assert_close(both.correlation().cpu(), moments(x).correlation(), rtol=1e-10, atol=1e-12)


def test_tf32_and_autocast_are_set_aside() -> None:
    x = samples(4000, 64)
    expected = moments(x).correlation()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cuda", torch.bfloat16):
            found = moments(x.cuda(), compute_dtype=SINGLE).correlation()
    finally:
        torch.set_float32_matmul_precision("highest")
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=3e-7)


OF_SAMPLES: dict[str, Callable[[Tensor], Any]] = {
    "neuronal_correlation": stats.neuronal_correlation,
    "neuronal_correlation, float32": lambda x: stats.neuronal_correlation(x, compute_dtype=SINGLE).mean_abs,
    "entropy_knn": lambda x: stats.entropy_knn(x[:, :5]),
    "entropy_knn, one unit": lambda x: stats.entropy_knn(x[:, 0]),
    "entropy_knn, whitened": lambda x: stats.entropy_knn(x, whiten=True),
    "entropy_kde, upper": stats.entropy_kde,
    "entropy_kde, lower": lambda x: stats.entropy_kde(x, 0.3, bound="lower"),
    "entropy_kde, leave one out": lambda x: stats.entropy_kde(x[:, :3], bound="leave_one_out"),
    "entropy_binned": lambda x: stats.entropy_binned(x[:, :4]),
    "entropy_gaussian": stats.entropy_gaussian,
    "entropy_independence_bound": stats.entropy_independence_bound,
    "total_correlation": lambda x: stats.total_correlation(x[:, :6]),
    "gram_matrix": lambda x: stats.gram_matrix(x, 3.0),
    "gram_matrix, Laplacian": lambda x: stats.gram_matrix(x, 10.0, kernel="laplacian"),
    "choose_bandwidth": lambda x: stats.choose_bandwidth(x),
    "entropy_embedded": lambda x: stats.entropy_embedded(x[:300], bandwidth=3.0),
    "entropy_embedded, knn": lambda x: stats.entropy_embedded(x[:300], bandwidth=3.0, estimator="knn"),
    "eigenvalue_bounds": lambda x: stats.eigenvalue_bounds(stats.gram_matrix(x, 3.0)),
    "kernel_alignment": lambda x: stats.kernel_alignment(stats.gram_matrix(x, 3.0), stats.gram_matrix(x, 8.0)),
    "mutual_information": lambda x: stats.mutual_information(x[:, 0], x[:, 1]),
    "mutual_information_gaussian": lambda x: stats.mutual_information_gaussian(x[:, 0], x[:, 1]),
    "mutual_information_ksg": lambda x: stats.mutual_information_ksg(x[:, 0], x[:, 1]),
    "mutual_information_3h": lambda x: stats.mutual_information_3h(x[:, 0], x[:, 1]),
    "nonlinear_excess": lambda x: stats.nonlinear_excess(x[:, 0], x[:, 1]),
}


@pytest.mark.parametrize("name", OF_SAMPLES)
def test_statistics_of_samples(name: str, same_on_both: Callable[..., None]) -> None:
    same_on_both(OF_SAMPLES[name], smooth(), rtol=1e-5, atol=1e-5)


def test_width_scan(same_on_both: Callable[..., None]) -> None:
    labels = torch.arange(700) % 7
    widths = [0.5, 3.0, 20.0]
    same_on_both(lambda x, y: stats.kernel_width_scan(x, widths, y), smooth(), labels, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_width_scan_of_outliers_and_far_clusters(kernel: str, same_on_both: Callable[..., None]) -> None:
    x = smooth()[:, :3].clone()
    x[::2] += 1e6
    x[5] = -1e7
    same_on_both(lambda x: stats.kernel_width_scan(x, [1e-3, 0.5, 1e5], kernel=kernel), x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["3h", "ksg", "default"])
@pytest.mark.parametrize("max_pairs", [None, 40])
def test_pairs_are_searched_on_the_host_and_return_to_the_device(method: str, max_pairs: int | None) -> None:
    here, there = (stats.dependence_score(x, method=method, max_pairs=max_pairs) for x in (smooth(), smooth().cuda()))
    assert there.matrix.is_cuda and there.mean.is_cuda and there.standard_error.is_cuda
    torch.testing.assert_close(there.matrix.cpu(), here.matrix, rtol=0, atol=1e-12, equal_nan=True)


def test_dependence_after_a_relu() -> None:
    here, there = (stats.dependence_score(x, method="default") for x in (rectified(), rectified().cuda()))
    torch.testing.assert_close(there.matrix.cpu(), here.matrix, rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("method", ["3h", "ksg", "default"])
def test_thresholds_tell_dependence_from_chance(method: str) -> None:
    """Shuffles are the device's own, so that the numbers are not the CPU's."""
    x = smooth().cuda()[:, :8]
    with torch.no_grad():
        threshold = stats.permutation_threshold(x, method=method, n_permutations=20)
        assert threshold.mean < stats.dependence_score(x, method=method).finite().mean
    found = stats.disagreement(x, method=method)
    assert found.information.is_cuda
    assert found.chance_of_one > found.chance


OF_WEIGHTS: dict[str, Callable[[Tensor], Any]] = {
    "signed": lambda w: stats.weight_correlation(w, absolute=False),
    "absolute": stats.weight_correlation,
    "other axis": lambda w: stats.weight_correlation(w, unit_axis=1),
    "quartiles": stats.weight_correlation_quartiles,
    "summary": stats.weight_correlation_summary,
    "split_units": lambda w: stats.split_units(w, "lstm"),
    "pre-activations": lambda w: stats.preactivation_correlation(w, torch.eye(w[0].numel(), device=w.device)),
}


@pytest.mark.parametrize("shape", [(40, 25), (1500, 800), (32, 3, 5, 5)])
@pytest.mark.parametrize("name", OF_WEIGHTS)
def test_statistics_of_weights(name: str, shape: tuple[int, ...], same_on_both: Callable[..., None]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    if name == "pre-activations" and weight[0].numel() < len(weight):
        pytest.skip("more units than inputs: nothing new")
    same_on_both(OF_WEIGHTS[name], weight, rtol=1e-5, atol=1e-7)


def test_the_watch_sees_a_copy(same_on_both: Callable[..., None]) -> None:
    with pytest.raises(AssertionError, match="to the host"):
        same_on_both(lambda x: x.cpu().sum(), samples())
