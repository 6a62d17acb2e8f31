"""What chance alone gives, held to laws whose tails are known."""

import math

import pytest
import torch

from cofire.stats.information.chance_level import largest_of_many, mean_of_many, shuffled


def draws(kind: str, n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(n, generator=generator, dtype=torch.float64)
    return {"normal": normal, "chi-square": normal.square(), "exponential": -torch.special.ndtr(normal).log()}[kind]


class TestShuffled:
    def test_each_unit_keeps_its_values_and_loses_its_partners(self):
        x = torch.arange(500.0)[:, None] + torch.tensor([0.0, 1000.0])
        found = shuffled(x, torch.Generator().manual_seed(0))
        assert torch.equal(found.sort(0).values, x)
        assert torch.corrcoef(found.T)[0, 1].abs() < 0.2

    def test_the_input_and_the_global_generator_are_left_alone(self):
        x, state = torch.randn(20, 3), torch.get_rng_state()
        before = x.clone()
        shuffled(x, torch.Generator())
        assert torch.equal(x, before) and torch.equal(state, torch.get_rng_state())


class TestMean:
    def test_closed_form(self):
        null = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(5000)
        assert mean_of_many(null, 100) == pytest.approx(1.645 * 0.1005, abs=1e-3)

    @pytest.mark.parametrize("kind", ["normal", "chi-square"])
    def test_exceeded_as_often_as_said(self, kind):
        over = sum(draws(kind, 50, s).mean() > mean_of_many(draws(kind, 200, 10_000 + s), 50) for s in range(2000))
        assert 0.035 < over / 2000 < 0.075

    @pytest.mark.parametrize(("n_null", "n"), [(0, 5), (1, 5), (10, 0)])
    def test_of_nothing(self, n_null, n):
        assert math.isnan(mean_of_many(torch.zeros(n_null, dtype=torch.float64), n))


class TestLargest:
    @pytest.mark.parametrize(("kind", "least"), [("exponential", 0.02), ("chi-square", 0.02), ("normal", 0.0)])
    def test_exceeded_as_often_as_said_far_out_of_the_nulls_reach(self, kind, least):
        over = sum(
            draws(kind, 20_000, s).max() > largest_of_many(draws(kind, 2000, 10_000 + s), 20_000) for s in range(300)
        )
        assert least <= over / 300 <= 0.1

    def test_within_the_null_it_is_a_quantile(self):
        null = torch.arange(1001, dtype=torch.float64)
        assert largest_of_many(null, 1, level=0.8) == pytest.approx(800)
        assert largest_of_many(null, 1, level=0.5) == pytest.approx(500)

    @pytest.mark.parametrize(("kind", "truth"), [("exponential", 12.88), ("chi-square", 22.1)])
    def test_continued_as_the_law_itself(self, kind, truth):
        assert largest_of_many(draws(kind, 200_000, 0), 20_000) == pytest.approx(truth, rel=0.04)

    def test_a_null_without_a_tail(self):
        assert largest_of_many(torch.zeros(50, dtype=torch.float64), 1000) == 0

    def test_more_values_reach_further(self):
        null = draws("normal", 500, 0)
        reached = [largest_of_many(null, n) for n in (1, 10, 100, 10_000)]
        assert reached == sorted(reached) and len(set(reached)) == 4

    def test_too_few_values_are_refused(self):
        with pytest.raises(ValueError, match="at least 20 values"):
            largest_of_many(torch.zeros(19, dtype=torch.float64), 5)
