import math

import mpmath
import numpy as np
import pytest
import scipy.special
import torch
from naive import magnitudes

from cofire.stats import Moments, neuronal_correlation, noise_floor
from cofire.stats.correlation.noise_floor import _mean_under_noise
from cofire.stats.correlation.pair_tiles import FEW_PAIRS


def relu_layer(n: int, d: int) -> torch.Tensor:
    x = torch.relu(torch.randn(n, d) @ torch.randn(d, d) / d**0.5 - 0.5)
    x[:, d // 2] = 0.25
    return x


def equicorrelated(n: int, d: int, rho: float, generator: torch.Generator) -> torch.Tensor:
    common = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return rho**0.5 * common + (1 - rho) ** 0.5 * torch.randn(n, d, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("d", [2, 3, 20, 300, 700])
def test_stream_and_memory_agree_with_numpy(d: int) -> None:
    x = relu_layer(500, d).double()
    defined = x.std(0) > 0
    values = magnitudes(np.atleast_2d(np.corrcoef(x[:, defined].T)))
    for s in (Moments().update(x).summary(), neuronal_correlation(x)):
        assert (s.n_units, s.n_constant, s.n_pairs) == (d, int((~defined).sum()), len(values))
        if len(values):
            assert s.mean_abs == pytest.approx(values.mean(), abs=1e-12)
            assert s.mean_square == pytest.approx((values**2).mean(), abs=1e-12)
            assert s.rms == pytest.approx(math.sqrt((values**2).mean()), abs=1e-12)


def test_signed_mean_keeps_the_sign() -> None:
    x = torch.randn(400, 1)
    s = neuronal_correlation(torch.cat([x, -x, x], 1))
    assert s.mean == pytest.approx(-1 / 3) and s.mean_abs == pytest.approx(1)


@pytest.mark.parametrize("d", [4, 300])
def test_quartiles_histogram_and_partners_agree_with_numpy(d: int) -> None:
    x = relu_layer(300, d).double()
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.corrcoef(x.T)
    m, values = Moments().update(x), magnitudes(rho)
    np.testing.assert_allclose(m.quartiles(), np.quantile(values, [0.25, 0.5, 0.75]), atol=1e-12)
    assert m.histogram(20).sum() == len(values)
    np.testing.assert_allclose(m.histogram(20), np.histogram(values, 20, (0, 1))[0], atol=1)
    np.fill_diagonal(rho, np.nan)
    partner_rho, partner = m.strongest_partner()
    assert partner[d // 2] == -1 and partner_rho[d // 2].isnan()
    alive = np.delete(np.arange(d), d // 2)
    assert partner[alive].tolist() == np.nanargmax(np.abs(rho[alive]), 1).tolist()
    np.testing.assert_allclose(partner_rho[alive], rho[alive, partner[alive]], atol=1e-12)


def test_quartiles_of_many_pairs_by_histogram() -> None:
    x = torch.randn(60, 1500) + torch.randn(60, 1)
    assert FEW_PAIRS < 1500 * 1499 // 2
    values = magnitudes(np.corrcoef(x.double().T))
    np.testing.assert_allclose(Moments().update(x).quartiles(), np.quantile(values, [0.25, 0.5, 0.75]), atol=2e-6)


@pytest.mark.parametrize(("n", "expected"), [(50, 0.1146), (1000, 0.02525), (5000, 0.01129)])
def test_noise_floor_has_its_reference_values(n: int, expected: float) -> None:
    assert noise_floor(n) == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize("n", [2001, 2002, 10**4, 10**7, 10**15, 10**18])
def test_noise_floor_of_many_samples_keeps_its_digits(n: int) -> None:
    with mpmath.workdps(60):
        exact = mpmath.gammaprod([mpmath.mpf(n - 1) / 2], [mpmath.mpf(n) / 2]) / mpmath.sqrt(mpmath.pi)
    assert noise_floor(n) == pytest.approx(float(exact), rel=1e-12)


def test_noise_floor_is_what_independent_units_show() -> None:
    s = neuronal_correlation(torch.randn(100, 400))
    assert s.mean_abs == pytest.approx(s.noise_floor, rel=0.02)
    assert all(math.isnan(noise_floor(n)) for n in (1, -5, math.nan)) and noise_floor(2) == pytest.approx(1)


def test_noise_floor_of_a_truth_value_is_an_error() -> None:
    with pytest.raises(TypeError, match="n_samples must be a number of samples, got True"):
        noise_floor(True)


@pytest.mark.parametrize("n", [20, 100, 1000])
def test_debiased_is_near_zero_for_independent_units(n: int) -> None:
    found = [neuronal_correlation(torch.randn(n, 100)) for _ in range(10)]
    assert abs(np.mean([s.debiased for s in found])) < 0.06 * noise_floor(n)
    assert abs(np.mean([s.mean_square_debiased for s in found])) < 0.1 / n


def test_debiased_is_nearer_the_truth_where_few_pairs_are_strong() -> None:
    """Blocks of units correlated at 1/2 among independent ones: the raw mean is mostly noise, the debiased is not."""
    generator = torch.Generator().manual_seed(3)
    x = torch.cat([equicorrelated(50, 10, 0.5, generator) for _ in range(20)], 1)
    s, truth = neuronal_correlation(x), 0.5 * 9 / 199
    assert s.mean_abs > truth + 0.8 * s.noise_floor
    assert abs(s.debiased - truth) < 0.15 * s.noise_floor


@pytest.mark.parametrize("rho", [0.0, 0.02, 0.1, 0.4, 0.9])
@pytest.mark.parametrize(("n", "d"), [(60, 5), (200, 20)])
def test_interval_covers_the_truth(rho: float, n: int, d: int) -> None:
    """Over 300 simulations, whose share is itself known to within ±.025; conservative at small rho."""
    generator = torch.Generator().manual_seed(7)
    intervals = [neuronal_correlation(equicorrelated(n, d, rho, generator)).interval for _ in range(300)]
    covered = np.mean([low <= rho <= high for low, high in intervals])
    assert covered >= 0.9


def test_interval_covers_heavy_tails() -> None:
    """Rectified units: their influence on the mean is skewed, which normal theory would miss."""
    generator = torch.Generator().manual_seed(8)
    truth = Moments().update(torch.relu(equicorrelated(400_000, 8, 0.5, generator) - 0.5)).summary().mean_abs
    found = [
        neuronal_correlation(torch.relu(equicorrelated(400, 8, 0.5, generator) - 0.5)).interval for _ in range(300)
    ]
    assert np.mean([low <= truth <= high for low, high in found]) >= 0.9
    assert np.mean([high - low for low, high in found]) < 0.3


def test_interval_narrows_with_samples() -> None:
    generator = torch.Generator().manual_seed(9)
    widths = [np.diff(neuronal_correlation(equicorrelated(n, 10, 0.5, generator)).interval)[0] for n in (100, 10_000)]
    assert widths[1] < widths[0] / 5


def test_order_of_batches_leaves_the_sketch_fair() -> None:
    x = torch.randn(5000, 300)
    errors = [Moments().update(part).summary().standard_error for part in (x, x.flip(0))]
    assert errors[0] == pytest.approx(neuronal_correlation(x).standard_error, rel=0.3)
    assert errors[1] == pytest.approx(errors[0], rel=0.3)


def test_large_mean_costs_nothing_in_memory() -> None:
    x = torch.randn(9000, 30)
    shifted = neuronal_correlation(x.double() + 1e8)
    assert shifted.mean_abs == pytest.approx(neuronal_correlation(x).mean_abs, abs=1e-8)
    single = neuronal_correlation((x + 1e4), compute_dtype=torch.float32).mean_abs
    assert single == pytest.approx(neuronal_correlation(x + 1e4).mean_abs, abs=1e-7)


def test_few_samples_give_nan() -> None:
    for n in (0, 1):
        s = neuronal_correlation(torch.ones(n, 3))
        assert math.isnan(s.mean_abs) and s.n_pairs == 0 and s.n_constant == 0
    two = neuronal_correlation(torch.randn(2, 4))
    assert two.mean_abs == pytest.approx(1)


def test_wrong_bins() -> None:
    with pytest.raises(ValueError, match="bins must be a whole number of at least 1, got 0"):
        Moments().update(torch.randn(5, 2)).histogram(0)


@pytest.mark.parametrize("scale", [1e-310, 1e-170, 1e170, 1e300])
def test_extreme_scales_are_neither_constant_nor_infinite(scale: float) -> None:
    x = torch.randn(100, 6, dtype=torch.float64)
    x[:, 5] = 2.0
    expected = neuronal_correlation(x)
    x[:, :3] *= scale
    for s in (neuronal_correlation(x), Moments().update(x).summary()):
        assert (s.n_constant, s.n_nonfinite, s.n_pairs) == (1, 0, 10)
        assert s.mean_abs == pytest.approx(expected.mean_abs, abs=1e-9)


def test_denormal_float32_in_float32() -> None:
    x = torch.randn(100, 6)
    expected = neuronal_correlation(x)
    found = neuronal_correlation(x * 1e-40, compute_dtype=torch.float32)
    assert found.mean_abs == pytest.approx(expected.mean_abs, abs=1e-4)  # a denormal number has few digits


def test_two_samples_leave_nothing_to_judge_by() -> None:
    s = neuronal_correlation(torch.randn(2, 5))
    assert s.mean_abs == s.noise_floor == 1
    assert all(map(math.isnan, (s.debiased, s.mean_square_debiased, s.standard_error, *s.interval)))


@pytest.mark.parametrize("n", [3, 4, 6, 10])
def test_few_samples_of_one_signal_stay_in_range(n: int) -> None:
    x = torch.randn(n, 1) * torch.randn(1, 8)
    s = neuronal_correlation(x)
    assert 0.95 < s.debiased <= 1 and 0 <= s.interval[0] <= s.interval[1] <= 1


def test_default_device_is_of_no_concern() -> None:
    x = torch.randn(50, 3)
    expected = neuronal_correlation(x), Moments().update(x).summary()
    with torch.device("meta"):
        assert (neuronal_correlation(x), Moments().update(x).summary()) == expected


@pytest.mark.parametrize("n", [3, 4, 5, 12])
def test_debiased_is_exact_for_few_samples_of_independent_units(n: int) -> None:
    """The law of r, not its normal limit: over 300 layers the mean stays within its own noise of 0."""
    generator = torch.Generator().manual_seed(n)
    found = [neuronal_correlation(torch.randn(n, 30, generator=generator)).debiased for _ in range(300)]
    assert abs(np.mean(found)) < 4 * np.std(found) / len(found) ** 0.5


@pytest.mark.parametrize("decay", [0.5, 2.0])
@pytest.mark.parametrize("n", [3, 4, 7, 50, 10_000])
def test_mean_under_noise_against_scipy(n: int, decay: float) -> None:
    expected = scipy.special.hyp1f1(0.5, (n - 1) / 2, -decay * (n - 1))
    assert _mean_under_noise(n, decay * (n - 1)) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("n_units", [2, 5])
def test_whether_units_fire_is_a_sample_as_good_as_any(n_units: int) -> None:
    fires = torch.randn(300, n_units) > 0.3
    as_numbers = neuronal_correlation(fires.double())
    for given in (fires, fires.numpy()):
        assert neuronal_correlation(given).mean_abs == pytest.approx(as_numbers.mean_abs, abs=1e-12)
