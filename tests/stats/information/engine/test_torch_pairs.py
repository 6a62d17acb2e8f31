"""The measures in operations on tensors, which run where there is no compiled search, against that search."""

from math import inf

import numpy as np
import pytest
import torch

from cofire.stats import dependence_score, mutual_information
from cofire.stats.information.dependence import _pairs
from cofire.stats.information.engine.pair_search import information_of_pairs, three_entropies_of_pairs
from cofire.stats.information.engine.tie_breakers import tie_breakers
from cofire.stats.information.engine.torch_neighbors import count_nearer, nearest
from cofire.stats.information.engine.torch_pairs import information_by_tiles, kraskov_by_tiles, three_entropies_by_tiles
from cofire.stats.information.engine.torch_units import atoms
from cofire.stats.information.engine.torch_units import scored_units as scored_tensors
from cofire.stats.information.engine.unit_scores import atoms as atoms_of_arrays
from cofire.stats.information.engine.unit_scores import scored_units, standardized_units
from cofire.stats.truth import MultivariateNormal, RectifiedNormal, pairs


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


def compiled(x, k, suspicious=0.25):
    return information_of_pairs(scored_units(x.T.contiguous().numpy()), _pairs(x.shape[1], None, 0), k, suspicious)


class TestAgainstTheCompiledSearch:
    @pytest.mark.parametrize("n", [4, 19, 25, 300, 1000])
    @pytest.mark.parametrize("name", layers(4))
    def test_whatever_they_are(self, name, n):
        x = layers(n)[name]
        found = information_by_tiles(x, _pairs(x.shape[1], None, 0), 3, 0.25)
        np.testing.assert_allclose(found.numpy(), compiled(x, 3), atol=1e-9, rtol=0)

    @pytest.mark.slow  # another k is compiled anew
    @pytest.mark.parametrize("k", [1, 2, 5])
    @pytest.mark.parametrize("n", [6, 25, 300])
    def test_any_number_of_neighbors(self, n, k):
        for name, x in layers(n, k).items():
            found = information_by_tiles(x, _pairs(x.shape[1], None, 0), k, 0.25)
            np.testing.assert_allclose(found.numpy(), compiled(x, k), atol=1e-9, rtol=0, err_msg=name)

    @pytest.mark.parametrize("n", [4, 25, 300])
    @pytest.mark.parametrize(
        ("by_tiles", "on_cpu"),
        [(kraskov_by_tiles, information_of_pairs), (three_entropies_by_tiles, three_entropies_of_pairs)],
    )
    def test_densities(self, by_tiles, on_cpu, n):
        samples = _plain(n, torch.Generator().manual_seed(n))
        samples["copies"] = torch.cat([samples["normal"], -samples["normal"][:, :1].exp()], dim=1)
        for name, x in samples.items():
            some = _pairs(x.shape[1], None, 0)
            expected = on_cpu(standardized_units(x.T.contiguous().numpy()), some, 3)
            np.testing.assert_allclose(by_tiles(x, some, 3).numpy(), expected, atol=1e-6, rtol=0, err_msg=name)
            assert (name == "copies" and n >= 20) == bool((expected == inf).any())

    @pytest.mark.parametrize("elements", [20_000, 100])
    def test_tiles_of_any_size(self, elements, monkeypatch):
        monkeypatch.setattr("cofire.stats.information.engine.torch_neighbors.TILE_ELEMENTS", elements)
        monkeypatch.setattr("cofire.stats.information.engine.torch_pairs.SAMPLE_ELEMENTS", elements)
        monkeypatch.setattr("cofire.stats.information.engine.torch_units.UNIT_ELEMENTS", elements)
        for name in ("normal", "heavy", "mixed", "curves"):
            x = layers(60)[name]
            found = information_by_tiles(x, _pairs(x.shape[1], None, 0), 3, 0.25)
            np.testing.assert_allclose(found.numpy(), compiled(x, 3), atol=1e-9, rtol=0)

    def test_default_dtype_does_not_matter(self):
        x = layers(300)["mixed"]
        torch.set_default_dtype(torch.float16)
        try:
            found = information_by_tiles(x, _pairs(5, None, 0), 3, 0.25)
        finally:
            torch.set_default_dtype(torch.float32)
        np.testing.assert_allclose(found.numpy(), compiled(x, 3), atol=1e-9, rtol=0)

    def test_pairs_stand_in_the_order_asked_for(self):
        x = layers(100)["mixed"]
        some = np.array([(4, 0), (2, 1), (0, 3), (1, 4), (0, 4)])
        whole = dependence_score(x, method="default").matrix
        found = information_by_tiles(x, some, 3, 0.25)
        torch.testing.assert_close(found, whole[some[:, 0], some[:, 1]], atol=1e-9, rtol=0)


class TestAgainstClosedForms:
    @pytest.mark.parametrize("rho", [0.0, 0.6, -0.6])
    @pytest.mark.parametrize("kind", [MultivariateNormal.pair, RectifiedNormal])
    def test_averages(self, kind, rho):
        samples = [kind(rho).sample(1000, torch.Generator().manual_seed(seed)) for seed in range(40)]
        found = information_by_tiles(torch.cat(samples, dim=1), np.arange(80).reshape(40, 2), 3, 0.25)
        assert abs(found.mean().item() - kind(rho).mutual_information) < 0.015

    @pytest.mark.parametrize("name", pairs())
    def test_of_every_distribution_as_the_search_finds_it(self, name):
        x = pairs()[name].sample(1000, torch.Generator().manual_seed(0)).double()
        found = information_by_tiles(x, np.array([[0, 1]]), 3, 0.25)[0]
        assert found.item() == pytest.approx(mutual_information(*x.T).item(), abs=1e-9)


class TestUnits:
    @pytest.mark.parametrize("n", [4, 19, 300])
    def test_are_those_of_arrays(self, n):
        for x in layers(n).values():
            expected, found = scored_units(x.T.contiguous().numpy()), scored_tensors(x.T.contiguous())
            for field in ("label", "n_labels", "n_continuous", "smooth"):
                assert np.array_equal(getattr(found, field).numpy(), getattr(expected, field))
            continuous = expected.label == 0
            assert np.array_equal(found.score.numpy()[continuous], expected.score[continuous])
            np.testing.assert_allclose(found.value.numpy(), expected.value, atol=1e-5)

    def test_atoms_of_random_counts(self):
        rng = np.random.default_rng(0)
        for n_levels in (2, 3, 8, 21, 40, 90):
            counts = rng.integers(1, 3, (200, n_levels)) + rng.integers(0, 60, (200, n_levels)) * (
                rng.random((200, n_levels)) < 0.1
            )
            for row in counts:
                padded = torch.zeros(1, row.sum(), dtype=torch.int64)
                padded[0, :n_levels] = torch.from_numpy(row)
                assert np.array_equal(atoms(padded)[0, :n_levels].numpy(), atoms_of_arrays(row))

    def test_a_unit_does_not_depend_on_the_others(self):
        x = layers(300)["bfloat16"].T.contiguous()
        assert torch.equal(scored_tensors(x[1:2]).score[0], scored_tensors(x).score[1])


class TestTieBreakers:
    def test_the_same_for_arrays_and_tensors(self):
        level = np.random.default_rng(0).integers(0, 500, (3, 1000))
        place = np.arange(1000)
        each = np.stack([tie_breakers(row, place) for row in level])
        assert np.array_equal(tie_breakers(torch.from_numpy(level), torch.from_numpy(place)).numpy(), each)

    def test_as_if_at_random(self):
        level = np.sort(np.random.default_rng(0).integers(0, 50, (200, 1000)))
        order = tie_breakers(level, np.arange(1000)).argsort(axis=1)
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
        place = np.arange(1000)
        first, second = (tie_breakers(row, place).argsort().argsort() for row in (level, other))
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


class TestNearest:
    @pytest.mark.parametrize("kind", ["normal", "heavy", "clumped"])
    @pytest.mark.parametrize("reach", [0.05, 1.25])
    def test_distances_and_places(self, kind, reach, monkeypatch):
        monkeypatch.setattr("cofire.stats.information.engine.torch_neighbors.REACH", reach)
        generator = torch.Generator().manual_seed(0)
        x, y = torch.randn(2, 7, 200, generator=generator)
        if kind == "heavy":
            x, y = x / torch.randn(7, 200, generator=generator), y.exp() ** 3
        if kind == "clumped":
            x, y = (x > 0) + 1e-3 * x, (y > 0) + 1e-3 * y
        x = x.sort(dim=1).values
        x[3, 50:], y[3, 50:] = inf, 0.0
        x[4, 2:], y[4, 2:] = inf, 0.0
        near = nearest(x, y, 3)
        distance = torch.maximum((x[:, :, None] - x[:, None]).abs(), (y[:, :, None] - y[:, None]).abs())
        distance.diagonal(dim1=1, dim2=2).fill_(inf)
        exact = distance.nan_to_num(inf, posinf=inf).sort(dim=1).values[:, :3]
        held = x.isfinite()[:, None].expand_as(exact)
        assert torch.equal(near.distance[held], exact[held])
        at_place = distance.gather(1, near.place.clamp(0, 199))
        found = held & near.distance.isfinite()
        assert torch.equal(at_place[found], near.distance[found])

    def test_those_as_near_as_the_last_are_found_too(self):
        grid = torch.arange(50.0)[None]
        near = nearest(grid, torch.zeros(1, 50), 1, 1)
        assert (near.distance[0, :, 1:-1] == 1).all()

    def test_counts_by_rounded_differences(self):
        generator = torch.Generator().manual_seed(0)
        values = torch.special.ndtri((torch.arange(300) + 0.5) / 300).float().expand(4, 300).contiguous()
        centers = values[:, torch.randperm(300, generator=generator)]
        # radii that are distances, so that many are met exactly
        radius = (centers - values[:, torch.randperm(300, generator=generator)]).abs()
        radius[0, :9] = 0
        naive = ((centers[:, :, None] - values[:, None]).abs() < radius[:, :, None]).sum(2)
        assert torch.equal(count_nearer(values, centers, radius).clamp(min=0), naive)
