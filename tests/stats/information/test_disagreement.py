"""Where correlation and dependence disagree: closed cases, a loop as twin, and how often chance is taken for it."""

import math

import pytest
import torch

from cofire.stats import disagreement, mutual_information
from cofire.stats.information.dependence import dependence_score
from cofire.stats.information.disagreement import pairs_by_chance, pairs_measured


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_matrices_are_those_of_the_statistics():
    x = torch.relu(normal(200, 4, 0) + normal(200, 1, 1))
    found = disagreement(x, method="default")
    expected = [[mutual_information(a, b).item() if a is not b else math.nan for b in x.T] for a in x.T]
    for i in range(4):
        assert math.isnan(found.information[i, i]) and math.isnan(found.correlation[i, i])
        for j in range(i):
            assert found.information[i, j].item() == pytest.approx(expected[i][j], abs=1e-12)
    off = ~torch.eye(4, dtype=torch.bool)
    torch.testing.assert_close(found.correlation[off], torch.corrcoef(x.T)[off])


def test_a_dependence_without_correlation_is_found():
    x, noise = normal(500, 1, 0), normal(500, 2, 1)
    found = disagreement(torch.cat([x, x.square() + 0.2 * noise[:, :1], noise[:, 1:]], 1))
    assert found.difference[0, 1] == found.difference[1, 0] > 0.7
    assert found.difference[0, 2] == found.difference[1, 2] == 0


def test_units_that_never_fire_together_are_found_by_the_default_method():
    x = normal(1000, 1, 0)
    wave = torch.sin(40 * x)
    exclusive = torch.cat([torch.relu(x * wave), torch.relu(-x * wave), torch.relu(normal(1000, 2, 1))], 1)
    found = disagreement(exclusive, method="default")
    assert found.difference[0, 1] > 0.2 and (found.difference[2:, 2:].nan_to_num() == 0).all()


def test_a_correlation_by_one_sample_is_found():
    x = normal(500, 3, 0)
    x[7, :2] = 1e3
    found = disagreement(x, method="ksg")
    assert found.correlation[0, 1] > 0.99 and found.difference[0, 1] < -0.5
    assert found.difference[0, 2] == 0


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95])
def test_normal_pairs_do_not_disagree(rho):
    x = math.sqrt(rho) * normal(500, 1, 0) + math.sqrt(1 - rho) * normal(500, 12, 1)
    assert (disagreement(x, method="default").difference.nan_to_num() == 0).all()


@pytest.mark.parametrize(("one", "other"), [(lambda x: x, lambda x: x), (lambda x: x, lambda x: -2 * x)])
def test_copies_agree_and_functions_do_not(one, other):
    x = normal(300, 1, 0)
    assert disagreement(torch.cat([one(x), other(x), normal(300, 1, 1)], 1)).difference[0, 1] == 0
    bent = disagreement(torch.cat([x, x.exp().square(), normal(300, 1, 1)], 1), method="default")
    assert bent.information[0, 1].isinf() and bent.difference[0, 1] > 0.1


def test_units_that_hardly_vary_are_not_judged():
    x = torch.relu(normal(400, 4, 0))
    x[:, 0] = 0
    x[:19, 0] = 1
    x[:, 1] = 5
    found = disagreement(x, method="default")
    assert found.difference[:2].isnan().all() and not found.difference[2, 3].isnan()
    assert found.information[1].isnan().all() and not found.information[0, 2].isnan()


def test_without_two_units_that_vary_there_is_nothing_to_say():
    found = disagreement(torch.ones(50, 3), method="default")
    assert found.difference.isnan().all() and math.isnan(found.chance) and math.isnan(found.chance_of_one)
    alone = disagreement(normal(50, 1, 0))
    assert alone.difference.shape == (1, 1) and alone.difference.isnan().all()


def test_chance_is_what_shuffled_units_show():
    x = normal(1000, 8, 0)
    found = disagreement(torch.cat([x, x + 0.1 * normal(1000, 8, 1)], 1), method="ksg")
    assert abs(found.chance) < 0.003  # whatever the dependence
    assert 0.033 < found.chance_of_one < 0.046  # 1.645 deviations of .024 above it


def test_chance_has_the_pairs_of_the_score_and_so_the_errors_of_their_units():
    x = normal(100, 90, 0)
    score = dependence_score(x, 3, "3h", 200, 5)
    chance, _ = pairs_by_chance(x, 3, "3h", max_pairs=200, seed=5)
    measured, _ = pairs_measured(x, score)
    assert torch.corrcoef(torch.stack([measured, chance]))[0, 1] > 0.3


def test_pairs_measured_are_those_of_a_loop():
    x = torch.relu(normal(150, 5, 0) + normal(150, 1, 1))
    score = dependence_score(x, method="default", max_pairs=6)
    information, excess = pairs_measured(x, score)
    places = [(i, j) for i in range(5) for j in range(i + 1, 5) if not score.matrix[i, j].isnan()]
    rho = torch.corrcoef(x.T)
    for (i, j), nats, beyond in zip(places, information, excess, strict=True):
        assert nats == score.matrix[i, j]
        assert beyond.item() == pytest.approx(nats.item() + 0.5 * math.log(1 - rho[i, j].item() ** 2), abs=1e-12)


def test_a_layer_of_two_units_has_a_null_too():
    chance, excess = pairs_by_chance(normal(100, 2, 0), 3, "ksg", seed=0)
    assert len(chance) == len(excess) == 2016


@pytest.mark.slow
@pytest.mark.parametrize("rectify", [False, True])
def test_independent_units_are_said_to_share_more_in_one_of_twenty_layers(rectify):
    layers = (torch.relu(x) if rectify else x for x in (normal(200, 24, seed) for seed in range(200)))
    named = sum(bool((disagreement(x, method="default", seed=1).difference > 0).any()) for x in layers)
    assert named <= 18  # 10 expected


def test_same_bits_again_and_nothing_touched():
    x, state = normal(100, 5, 0), torch.get_rng_state()
    before = x.clone()
    first, second = disagreement(x), disagreement(x)
    assert (
        torch.equal(first.difference.nan_to_num(9), second.difference.nan_to_num(9)) and first.chance == second.chance
    )
    assert torch.equal(x, before) and torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("x", [torch.randn(3, 4), torch.full((20, 3), torch.nan), torch.relu(torch.randn(50, 4))])
def test_refuses_what_the_score_refuses(x):
    with pytest.raises(ValueError):
        disagreement(x, method="ksg")
