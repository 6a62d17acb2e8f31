"""What moments say of redundancy, against regressions, constructions of known rank, and independent units."""

import math

import numpy as np
import pytest
import torch

from cofire.stats.correlation.moments import Moments
from cofire.stats.redundancy.activation_redundancy import recommended_width, redundancy


def found_in(x: torch.Tensor, **options: float):
    return redundancy(Moments().update(x), **options)


def of_rank(rank: int, n_units: int, n_samples: int = 2000, noise: float = 0.0) -> torch.Tensor:
    """Units that are combinations of a few signals, and noise of a given standard deviation."""
    signals = torch.randn(n_samples, rank, dtype=torch.float64)
    mixed = signals @ torch.linalg.qr(torch.randn(n_units, rank, dtype=torch.float64)).Q.T
    return mixed + noise * torch.randn(n_samples, n_units, dtype=torch.float64)


def test_explained_is_the_r2_of_a_regression_on_the_others():
    x = of_rank(3, 6, noise=0.3).numpy()
    wanted = []
    for unit in range(6):
        others = np.column_stack([np.delete(x, unit, axis=1), np.ones(len(x))])
        rest = x[:, unit] - others @ np.linalg.lstsq(others, x[:, unit], rcond=None)[0]
        wanted.append(1 - rest.var() / x[:, unit].var())
    found = found_in(torch.from_numpy(x))
    np.testing.assert_allclose(found.explained_in_sample.numpy(), wanted, atol=1e-9)
    adjusted = 1 - (1 - np.array(wanted)) * (len(x) - 1) / (len(x) - 6)
    np.testing.assert_allclose(found.explained.numpy(), adjusted, atol=1e-9)


def test_explained_where_the_correlations_are_singular():
    x = of_rank(2, 2)
    x = torch.cat([x, x.sum(1, keepdim=True), torch.randn(len(x), 1, dtype=torch.float64)], dim=1)
    explained = found_in(x).explained_in_sample
    torch.testing.assert_close(explained[:3], torch.ones(3, dtype=torch.float64), atol=1e-6, rtol=0)
    assert explained[3] < 0.01
    lone = torch.stack([torch.randn(50), torch.ones(50)], 1)
    assert found_in(lone).explained_in_sample[0] == 0 and found_in(lone).explained_in_sample[1].isnan()
    assert found_in(lone[:, 1:]).explained_in_sample.isnan().all()


def test_independent_units_explain_nothing_on_average():
    found = [found_in(torch.randn(60, 20, dtype=torch.float64)) for _ in range(20)]
    assert abs(torch.stack([one.explained for one in found]).mean()) < 0.05
    assert torch.stack([one.explained_in_sample for one in found]).mean() > 0.2  # what the adjustment takes off
    assert not any(one.duplicates for one in found)


@pytest.mark.parametrize("rank", [1, 4, 9])
def test_the_width_of_units_of_known_rank(rank):
    found = found_in(of_rank(rank, 12), unexplained=1e-6)
    assert found.width.units == rank and found.width.enough_samples and len(set(found.width.chosen)) == rank
    assert found.width.interval[0] <= rank <= found.width.interval[1]
    assert found.superfluous_share == pytest.approx(1 - rank / 12)


def test_the_chosen_units_explain_the_others():
    x = of_rank(4, 10, noise=0.05)
    found = found_in(x)
    z = (x - x.mean(0)) / x.std(0)
    chosen = z[:, list(found.width.chosen)]
    rest = z - chosen @ torch.linalg.lstsq(chosen, z).solution
    assert rest.square().mean() <= 0.05
    fewer = chosen[:, :-1]
    assert (z - fewer @ torch.linalg.lstsq(fewer, z).solution).square().mean() > 0.05


def test_independent_units_need_nearly_all_of_themselves():
    width = found_in(torch.randn(4000, 20, dtype=torch.float64)).width
    assert width.units >= 19 and width.interval[1] == 20


def test_the_interval_holds_the_width_of_many_samples():
    torch.manual_seed(3)
    mixing = torch.randn(6, 12, dtype=torch.float64)

    def draw(n_samples):
        noise = 0.4 * torch.randn(n_samples, 12, dtype=torch.float64)
        return torch.randn(n_samples, 6, dtype=torch.float64) @ mixing + noise

    wanted = found_in(draw(200_000)).width.units
    intervals = [found_in(draw(300)).width.interval for _ in range(20)]
    assert sum(low <= wanted <= high for low, high in intervals) >= 18


def test_constant_and_nonfinite_units_take_no_part():
    x = torch.randn(500, 5, dtype=torch.float64)
    x[:, 1], x[3, 2] = 7.0, math.nan
    found = found_in(x)
    assert found.constant_units == (1,) and found.nonfinite_units == (2,)
    assert found.explained[[1, 2]].isnan().all() and len(found.eigenvalues) == 3
    assert set(found.width.chosen) <= {0, 3, 4}


def test_effective_ranks_are_those_of_the_correlations():
    x = of_rank(5, 5, noise=0.1) + torch.randn(2000, 1)
    found = found_in(x)
    rho = np.corrcoef(x.numpy().T)
    shares = np.linalg.eigvalsh(rho) / 5
    assert found.effective_rank_entropy == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)
    assert found.effective_rank_participation == pytest.approx(1 / (shares**2).sum(), rel=1e-6)


def test_the_debiased_rank_of_few_samples_is_that_of_many():
    few = [found_in(torch.randn(40, 30, dtype=torch.float64)) for _ in range(10)]
    assert np.mean([one.effective_rank_participation for one in few]) < 20
    assert np.mean([one.effective_rank_debiased for one in few]) == pytest.approx(30, abs=1.5)


@pytest.mark.parametrize("n_samples", [1, 2, 5])
def test_with_few_samples_no_width_is_told(n_samples):
    found = found_in(torch.randn(n_samples, 8, dtype=torch.float64))
    assert not found.width.enough_samples and found.width.units == 8 and found.superfluous_share == 0


def test_scale_and_type_do_not_matter():
    x = of_rank(4, 9, noise=0.2)
    wanted, scaled = found_in(x), found_in(x * torch.logspace(-6, 6, 9, dtype=torch.float64) - 3)
    assert scaled.width.units == wanted.width.units
    torch.testing.assert_close(scaled.explained, wanted.explained, rtol=1e-6, atol=1e-6)
    assert found_in(x.float()).width == wanted.width


def test_what_is_out_of_range_is_named():
    with pytest.raises(ValueError, match="hold no samples"):
        redundancy(Moments())
    for options, says in (({"threshold": 0}, "threshold"), ({"significance": 2}, "significance")):
        with pytest.raises(ValueError, match=says):
            found_in(torch.randn(50, 3), **options)
    with pytest.raises(ValueError, match="unexplained must be above 0"):
        recommended_width(torch.eye(2).double(), n_samples=50, rows=torch.randn(5, 2), unexplained=0)
