"""The pair search against loops over all samples, and where its results lie."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from naive_information import information_of_units

from cofire.stats import dependence_score
from cofire.stats.information.dependence import _pairs
from cofire.stats.information.engine.pair_search import information_of_pairs, pair_information
from cofire.stats.information.engine.unit_scores import scored_units, tie_breakers


def _plain(n, generator):
    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = 0.7 * normal(n, 1) + normal(n, 5)
    return {
        "normal": x,
        "strong": normal(n, 1) + 0.05 * normal(n, 4),
        "heavy": x / normal(n, 5),
        "lognormal": (3 * x).exp(),
        "half": x.half().double(),
    }


def _tied(n, generator):
    x = _plain(n, generator)["normal"]
    return {
        "relu": x.relu(),
        "sparse": (x - 1.5).relu(),
        "bfloat16": x.bfloat16().double(),
        "rounded relu": x.relu().bfloat16().double(),
        "grid": (20 * x).round(),
        "counts": torch.poisson(100 * (x / 3).exp(), generator=generator),
        "discrete": torch.cat([x[:, :2] > 0, (2 * x[:, 2:]).round().clamp(-3, 3)], dim=1).double(),
        "mixed": torch.stack(
            [x[:, 0].relu(), x[:, 1].clamp(-1, 0.5), (x[:, 2] > 0).double(), (x[:, 3] - 1.8).relu(), x[:, 4]], dim=1
        ),
        "constant": torch.stack([torch.zeros(n), x[:, 0], torch.ones(n), x[:, 1].relu()], dim=1),
    }


def _functions(n, generator):
    x, noise = _plain(n, generator)["normal"][:, :2].T
    some = torch.rand(n, generator=generator) < 0.3
    few = (x - x.sort().values[max(0, n - 16)]).relu()
    levels = (torch.arange(n) % 60).double()
    return {
        "copies": torch.stack([x, -x, x.relu(), 2 * x + 1, x.exp(), (-x).relu(), x.bfloat16().double()], dim=1),
        "curves": torch.stack([x, x * x, x.abs(), (3 * x).sin(), x * x + 0.3 * noise], dim=1),
        "partly": torch.stack([x, torch.where(some, x * x, noise), x.relu()], dim=1),
        "levels": torch.stack([levels, -levels, (torch.arange(n) % 25).double(), levels.square()], dim=1),
        "few in common": torch.stack([few, 2 * few, (noise - noise.median()).relu(), few + noise.relu()], dim=1),
    }


def layers(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {**_plain(n, generator), **_tied(n, generator), **_functions(n, generator)}


class TestAgainstLoops:
    @pytest.mark.parametrize("n", [4, 19, 25, 120])
    @pytest.mark.parametrize("name", layers(4))
    def test_any_units_and_neighbors(self, name, n):
        units = scored_units(layers(n)[name].T.contiguous().numpy())
        some = _pairs(len(units.score), None, 0)
        for k in (1, 2, 3, 5, 17, 50):  # from 17 on, the nearest lie in memory
            if k < n:
                found = information_of_pairs(units, some, k)
                expected = [information_of_units(units, i, j, k) for i, j in some]
                np.testing.assert_allclose(found, expected, atol=1e-9, rtol=0)

    def test_default_dtype_does_not_matter(self):
        x = layers(300)["mixed"]
        expected = pair_information(x, _pairs(5, None, 0), "default", 3)
        torch.set_default_dtype(torch.float16)
        try:
            found = pair_information(x, _pairs(5, None, 0), "default", 3)
        finally:
            torch.set_default_dtype(torch.float32)
        assert torch.equal(found, expected)

    def test_pairs_stand_in_the_order_asked_for(self):
        x = layers(100)["mixed"]
        some = np.array([(4, 0), (2, 1), (0, 3), (1, 4), (0, 4)])
        whole = dependence_score(x, method="default").matrix
        found = pair_information(x, some, "default", 3)
        torch.testing.assert_close(found, whole[some[:, 0], some[:, 1]], atol=1e-9, rtol=0)


@pytest.mark.parametrize("method", ["3h", "ksg", "default"])
def test_samples_elsewhere_are_copied_here_and_results_return(method):
    """A stand-in for samples on a GPU: it can be copied here and nothing else; what is sent to `meta` is gone."""
    x = layers(100)["normal"]
    elsewhere = SimpleNamespace(cpu=lambda: x, device=torch.device("meta"))
    some = _pairs(5, None, 0)
    assert pair_information(x, some, method, 3).device.type == "cpu"
    assert pair_information(elsewhere, some, method, 3).device.type == "meta"


class TestTieBreakers:
    def test_as_if_at_random(self):
        levels = np.sort(np.random.default_rng(0).integers(0, 50, (200, 1000)))
        order = np.stack([tie_breakers(level) for level in levels]).argsort(axis=1)
        shares = order.argsort(axis=1) / 999
        correlation = np.corrcoef(shares) - np.eye(200)
        assert abs(correlation.mean()) < 0.001
        assert correlation.std() == pytest.approx(1000**-0.5, rel=0.03)
        assert shares.mean(axis=0).std() == pytest.approx((12 * 200) ** -0.5, rel=0.1)
        assert abs(np.corrcoef(shares.mean(axis=0), np.arange(1000))[0, 1]) < 0.1

    def test_one_sample_moved_changes_all(self):
        level = np.arange(1000) // 4
        other = level.copy()
        other[[0, 999]] = other[[999, 0]]
        first, second = (tie_breakers(row).argsort().argsort() for row in (level, other))
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
