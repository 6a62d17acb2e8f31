import math

import pytest
import torch

from cofire.stats.redundancy.effective_rank import effective_rank_entropy, effective_rank_participation
from cofire.stats.redundancy.weight_redundancy import weight_redundancy
from cofire.stats.weights.weight_correlation import weight_correlation


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (300, 20), (8, 3, 3, 3)])
def test_it_agrees_with_the_statistics_one_by_one(shape):
    weight = torch.randn(shape)
    found = weight_redundancy(weight)
    sigma = torch.linalg.svdvals(weight.flatten(1).double())
    assert found.mean_abs == pytest.approx(weight_correlation(weight).item(), abs=1e-6)
    assert found.mean == pytest.approx(weight_correlation(weight, absolute=False).item(), abs=1e-6)
    assert found.effective_rank_entropy == pytest.approx(effective_rank_entropy(sigma).item(), rel=1e-6)
    assert found.effective_rank_participation == pytest.approx(
        effective_rank_participation(sigma.square()).item(), rel=1e-5
    )
    assert found.effective_rank_error == 0 and found.fan_in == weight[0].numel()


def test_wide_weights_are_estimated_with_an_error():
    weight = torch.randn(300, 400)
    exact, estimate = weight_redundancy(weight), weight_redundancy(weight, exact_up_to=256)
    assert estimate.effective_rank_error > 0
    assert abs(estimate.effective_rank_entropy - exact.effective_rank_entropy) < 6 * estimate.effective_rank_error
    assert estimate.effective_rank_participation == exact.effective_rank_participation


def test_groups_share_no_input():
    weight = torch.randn(8, 3, 3)
    weight[7] = weight[0]
    assert [cluster.units for cluster in weight_redundancy(weight).duplicates] == [(0, 7)]
    grouped = weight_redundancy(weight, groups=2, exact_up_to=2)
    assert not grouped.duplicates and grouped.effective_rank_error == 0
    within = [weight_correlation(part).item() for part in weight.chunk(2)]
    assert grouped.mean_abs == pytest.approx(sum(within) / 2, abs=1e-6)
    signed = [weight_correlation(part, absolute=False).item() for part in weight.chunk(2)]
    assert grouped.mean == pytest.approx(sum(signed) / 2, abs=1e-6)


def test_copies_in_a_later_group_keep_their_places():
    weight = torch.randn(12, 40)
    weight[9] = -2 * weight[7]
    found = weight_redundancy(weight, groups=2)
    assert [(cluster.units, cluster.signs) for cluster in found.duplicates] == [((7, 9), (1, -1))]


def test_random_grouped_weights_lie_at_chance():
    found = weight_redundancy(torch.randn(64, 60), groups=16)
    assert found.mean_abs == pytest.approx(found.chance_level, rel=0.15)


def test_units_that_are_groups_of_their_own_form_no_pair():
    found = weight_redundancy(torch.randn(6, 1, 3, 3), groups=6)
    assert math.isnan(found.mean_abs) and math.isnan(found.mean) and not found.duplicates


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_units_nearly_zero_beside_the_others_are_dead(scale):
    weight = torch.randn(20, 30)
    weight[3] *= 1e-6
    weight[4] = weight[3]
    weight[5] *= 1e-2
    found = weight_redundancy(weight * scale)
    assert found.zero_units == (3, 4) and not found.duplicates
    alive = torch.cat([weight[:3], weight[5:]])
    assert found.mean_abs == pytest.approx(weight_correlation(alive).item(), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    weight = torch.randn(300, 270).to(dtype)
    weight[5] = -2 * weight[3]
    found = weight_redundancy(weight, exact_up_to=256)
    assert [(cluster.units, cluster.signs) for cluster in found.duplicates] == [((3, 5), (1, -1))]
    assert found.duplicates[0].p_value < 1e-12


def test_units_without_a_direction_are_told_apart():
    weight = torch.randn(6, 30)
    weight[1], weight[2, 3], weight[4, 0] = 0, math.nan, math.inf
    found = weight_redundancy(weight, exact_up_to=1)
    assert found.zero_units == (1,) and found.nonfinite_units == (2, 4)
    assert math.isfinite(found.mean_abs) and math.isfinite(found.effective_rank_entropy)


def test_a_lone_unit_has_no_pair():
    found = weight_redundancy(torch.randn(1, 30))
    assert math.isnan(found.mean_abs) and not found.duplicates and found.effective_rank_entropy == pytest.approx(1)


def test_nothing_but_zeros():
    found = weight_redundancy(torch.zeros(3, 30), exact_up_to=1)
    assert found.zero_units == (0, 1, 2) and math.isnan(found.mean_abs) and math.isnan(found.effective_rank_entropy)
