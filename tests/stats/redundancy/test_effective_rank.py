import math

import numpy as np
import pytest
import torch

from cofire.stats.redundancy.effective_rank import effective_rank_entropy, effective_rank_participation

RANKS = [effective_rank_entropy, effective_rank_participation]


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("n", [1, 2, 7])
def test_equal_eigenvalues_count_fully_and_one_alone_as_one(rank, n):
    assert rank(torch.full((n,), 3.0)).item() == pytest.approx(n)
    assert rank(torch.cat([torch.tensor([5.0]), torch.zeros(n)])).item() == pytest.approx(1)


def test_both_are_renyi_entropies_of_the_shares_and_ordered():
    values = np.random.default_rng(0).exponential(size=(50, 9))
    shares = values / values.sum(1, keepdims=True)
    np.testing.assert_allclose(effective_rank_entropy(values).numpy(), np.exp(-(shares * np.log(shares)).sum(1)))
    np.testing.assert_allclose(effective_rank_participation(values).numpy(), 1 / (shares**2).sum(1))
    assert (effective_rank_participation(values) <= effective_rank_entropy(values) + 1e-9).all()


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scale_and_rounding_below_zero_do_not_matter(rank, scale):
    values = torch.tensor([3.0, 2.0, 1.0, -1e-17], dtype=torch.float64)
    assert rank(values * scale).item() == pytest.approx(rank(values[:3]).item())


@pytest.mark.parametrize("rank", RANKS)
def test_what_has_no_rank(rank):
    assert rank(torch.zeros(3)).isnan() and rank(torch.tensor([1.0, math.nan])).isnan()
    for empty in (torch.tensor(1.0), torch.empty(0), torch.empty(2, 0)):
        with pytest.raises(ValueError, match="with n at least 1"):
            rank(empty)
