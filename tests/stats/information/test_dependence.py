import time
from math import inf, sqrt

import numpy as np
import pytest
import torch
from naive_information import kraskov, three_entropies
from naive_information import mutual_information as naive_mutual_information
from scipy.spatial import cKDTree

from cofire.stats import (
    dependence_score,
    disagreement,
    mutual_information,
    mutual_information_3h,
    mutual_information_ksg,
    permutation_threshold,
)
from cofire.stats._base.progress import progress
from cofire.stats.information.dependence import _pairs
from cofire.stats.information.engine.arrangement import empty_room
from cofire.stats.information.engine.continuous_pairs import joint_log_distances
from cofire.stats.information.engine.unit_scores import atoms, scored_units, standardized_units
from cofire.stats.truth import MultivariateNormal

METHODS = ["3h", "ksg", "default"]
SINGLE = {"3h": mutual_information_3h, "ksg": mutual_information_ksg, "default": mutual_information}


def layer(n=300, d=6, seed=0, shared=0.7):
    generator = torch.Generator().manual_seed(seed)
    return shared * torch.randn(n, 1, generator=generator) + torch.randn(n, d, generator=generator)


def upper(matrix):
    return matrix[tuple(torch.triu_indices(*matrix.shape, 1))]


class TestAgainstSinglePairs:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("n", [4, 30, 300, 2000])
    def test_matrix(self, method, n):
        x = layer(n)
        score = dependence_score(x, method=method)
        for i in range(6):
            for j in range(i + 1, 6):
                alone = SINGLE[method](x[:, i], x[:, j]).item()
                assert score.matrix[i, j].item() == pytest.approx(alone, abs=1e-4)
        assert torch.equal(score.matrix.nan_to_num(), score.matrix.T.nan_to_num())
        assert score.matrix.diagonal().isnan().all()

    def test_rectified_units_to_the_last_digit(self):
        x = layer().relu()
        score = dependence_score(x, method="default")
        assert score.matrix[1, 4].item() == pytest.approx(mutual_information(x[:, 1], x[:, 4]).item(), abs=1e-12)

    @pytest.mark.parametrize("k", [pytest.param(1, marks=pytest.mark.slow), 3, 50, 400, 1000])
    @pytest.mark.parametrize(("method", "twin"), [("3h", three_entropies), ("ksg", kraskov)])
    def test_loops(self, method, twin, k):
        x = layer(150 if k < 150 else k + 50, 3, seed=k)
        scaled = standardized_units(x.double().T.numpy()).score
        score = dependence_score(x, k, method)
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert score.matrix[i, j].item() == pytest.approx(twin(scaled[i], scaled[j], k), abs=1e-5)

    def test_loops_over_mixed_units(self):
        x = layer(200, 5)
        x[:, 0].relu_()
        x[:, 1].clamp_(-1, 0.5)
        x[:, 2] = (x[:, 2] > 0).float() + (x[:, 2] > 1)
        x[:, 3].sub_(1.8).relu_()
        score = dependence_score(x, method="default")
        columns = x.double().T.numpy()
        for i in range(5):
            for j in range(i + 1, 5):
                expected = naive_mutual_information(columns[i], columns[j])
                assert score.matrix[i, j].item() == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize("n", [4, 17, 100, 1000, 3000])
    @pytest.mark.parametrize("kind", ["normal", "heavy", "clumped"])
    def test_distances_equal_the_tree_of_scipy(self, n, kind):
        rng = np.random.default_rng(n)
        x = {
            "normal": rng.normal(size=(4, n)),
            "heavy": rng.standard_cauchy(size=(4, n)),
            "clumped": rng.integers(0, 3, size=(4, n)) + 1e-3 * rng.normal(size=(4, n)),
        }[kind]
        units = standardized_units(x)
        pairs = np.array([(0, 1), (2, 3), (3, 0)])
        out, room = np.empty(3), empty_room(n, 3)
        joint_log_distances(units, pairs, (np.float32(np.inf),) * 3, room, out)
        for (i, j), found in zip(pairs, out, strict=True):
            points = np.stack([units.score[i], units.score[j]], axis=1)
            exact = cKDTree(points).query(points, k=4, p=np.inf)[0][:, 3]
            assert found == pytest.approx(np.log(exact.astype(np.float32)).mean(dtype=np.float64), abs=1e-7)


class TestScore:
    @pytest.mark.parametrize(("method", "bias"), [("3h", 0.012), ("ksg", 0.0), ("default", 0.0)])
    @pytest.mark.parametrize("rho", [0.0, 0.5])
    def test_closed_form(self, method, bias, rho):
        truth = MultivariateNormal(torch.full((30, 30), rho).fill_diagonal_(1.0))
        score = dependence_score(truth.sample(1000, torch.Generator().manual_seed(0)), method=method)
        each = MultivariateNormal.pair(rho).mutual_information
        assert score.mean.item() == pytest.approx(each + bias, abs=0.006 + 0.015 * rho)

    @pytest.mark.parametrize("rectify", [False, True])
    def test_a_thousand_independent_pairs_average_to_zero(self, rectify):
        x = layer(1000, 46, shared=0.0)
        score = dependence_score(x.relu() if rectify else x, method="default")
        assert abs(score.mean.item()) < 0.004

    def test_fields(self):
        x = layer()
        score = dependence_score(x, method="ksg")
        values = upper(score.matrix)
        assert score.n_pairs == 15
        assert score.n_constant == 0
        assert score.mean.dtype == score.standard_error.dtype == score.matrix.dtype == torch.float64
        assert score.mean.item() == pytest.approx(values.mean().item(), abs=1e-12)

    def test_repr_and_table_name_the_unit(self):
        for found in (
            dependence_score(layer()),
            permutation_threshold(layer(), n_permutations=19),
            disagreement(layer()),
        ):
            assert "unit='nats'" in repr(found)
            assert "nats" in str(found)

    def test_standard_error_counts_pairs_that_share_a_unit(self):
        score = dependence_score(layer(100, 7), max_pairs=15)
        places = [(i, j) for i in range(7) for j in range(i + 1, 7) if not score.matrix[i, j].isnan()]
        residual = {place: (score.matrix[place] - score.mean).item() for place in places}
        products = [residual[p] * residual[q] for p in places for q in places if set(p) & set(q)]
        squares = [r * r for r in residual.values()]
        expected = sqrt(max(sum(products), sum(squares) * 15 / 14)) / 15
        assert score.standard_error.item() == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("method", METHODS)
    def test_standard_error_is_that_of_the_noise_between_independent_units(self, method):
        scores = [dependence_score(layer(100, 16, seed, 0.0), method=method) for seed in range(150)]
        means = torch.stack([score.mean for score in scores])
        claimed = torch.stack([score.standard_error for score in scores]).square().mean().sqrt()
        assert claimed.item() == pytest.approx(means.std().item(), rel=0.25)

    @pytest.mark.parametrize("method", METHODS)
    def test_constant_units_are_left_out_and_counted(self, method):
        x = layer()
        x[:, 2], x[:, 5] = 0.0, 3.0
        score = dependence_score(x, method=method)
        assert (score.n_pairs, score.n_constant) == (6, 2)
        others = dependence_score(x[:, [0, 1, 3, 4]], method=method)
        assert torch.equal(score.mean, others.mean)
        assert score.matrix[2].isnan().all()
        assert score.matrix[:, 5].isnan().all()

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("x", [layer(50, 1), torch.ones(50, 3), torch.cat([torch.ones(50, 2), layer(50, 1)], 1)])
    def test_no_pair(self, x, method):
        score = dependence_score(x, method=method)
        assert score.n_pairs == 0
        assert score.mean.isnan()
        assert score.standard_error.isnan()
        assert score.matrix.isnan().all()

    @pytest.mark.parametrize("method", METHODS)
    def test_copies_are_infinite(self, method):
        x = layer()
        x[:, 3] = 1 - 2 * x[:, 0]
        score = dependence_score(x, method=method)
        assert score.matrix[0, 3] == score.matrix[3, 0] == score.mean == inf
        assert score.matrix.isinf().sum() == 2

    @pytest.mark.parametrize("method", METHODS)
    def test_scale_and_offset_of_units(self, method):
        x = layer().double()
        moved = x * 10.0 ** torch.arange(-4, 8, 2) + 5.0
        torch.testing.assert_close(
            dependence_score(moved, method=method).mean, dependence_score(x, method=method).mean, atol=1e-5, rtol=0
        )

    @pytest.mark.parametrize("method", ["3h", "ksg"])
    def test_atoms_are_refused(self, method):
        x = layer()
        x[:, 1].relu_()
        with pytest.raises(ValueError, match=r'1 of 6 units of x has an atom.*method="default"'):
            dependence_score(x, method=method)

    @pytest.mark.parametrize("kind", [torch.Tensor.numpy, torch.Tensor.double, torch.Tensor.requires_grad_])
    def test_any_kind_gives_the_same(self, kind):
        assert torch.equal(dependence_score(kind(layer())).mean, dependence_score(layer()).mean)

    def test_threads_do_not_matter(self, monkeypatch):
        x = layer().relu()
        expected = dependence_score(x, method="default").matrix
        monkeypatch.setattr("cofire.stats.information.engine.pair_search.SAMPLES_A_PORTION", 1)
        assert torch.equal(dependence_score(x, method="default").matrix.nan_to_num(), expected.nan_to_num())

    @pytest.mark.parametrize(
        ("x", "options", "message"),
        [
            (layer() / 0, {}, "NaN or infinite"),
            (layer(3), {}, "less than the number of samples"),
            (layer(), {"method": "gcmi"}, "must be one of 3h, ksg, default, got 'gcmi'"),
            (layer(), {"max_pairs": 0}, "max_pairs must be a whole number of at least 1"),
            (layer(), {"n_neighbors": 0}, "at least 1"),
            (layer()[:, 0], {}, "n_samples, n_units"),
        ],
    )
    def test_refuses(self, x, options, message):
        with pytest.raises(ValueError, match=message):
            dependence_score(x, **options)


class TestSomePairs:
    @pytest.mark.parametrize("d", [2, 3, 7, 50])
    def test_every_pair_can_be_drawn_and_each_once(self, d):
        everything = _pairs(d, None, 0)
        assert {tuple(p) for p in everything} == {(i, j) for i in range(d) for j in range(i + 1, d)}
        seen = set()
        for seed in range(40):
            some = [tuple(p) for p in _pairs(d, max(1, len(everything) - 1), seed)]
            assert len(set(some)) == len(some) == max(1, len(everything) - 1)
            assert some == sorted(some)
            seen |= set(some)
        assert seen == {tuple(p) for p in everything}

    def test_of_very_many(self):
        some = _pairs(100_000, 1000, 0)
        assert (some[:, 0] < some[:, 1]).all()
        assert some.min() >= 0
        assert some.max() < 100_000

    def test_those_drawn_are_as_in_the_full_matrix(self):
        x = layer(100, 12)
        full, some = dependence_score(x), dependence_score(x, max_pairs=20)
        drawn = ~some.matrix.isnan()
        assert some.n_pairs == 20
        assert drawn.sum() == 40
        assert torch.equal(some.matrix[drawn], full.matrix[drawn])
        assert abs(some.mean - full.mean) < 4 * some.standard_error

    def test_seed(self):
        x = layer(100, 12)
        before = torch.get_rng_state()
        first, again, other = (dependence_score(x, max_pairs=9, seed=seed).matrix.nan_to_num() for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert torch.equal(before, torch.get_rng_state())


class TestPermutationThreshold:
    def test_independent_units_stay_below_as_often_as_said(self):
        below = []
        for seed in range(50):
            x = layer(60, 4, seed, 0.0)
            threshold = permutation_threshold(x, method="ksg", n_permutations=19, seed=seed)
            below.append(bool(dependence_score(x, method="ksg").mean <= threshold.mean))
        assert 0.88 <= np.mean(below) <= 1.0

    def test_dependent_units_exceed_it(self):
        x = layer()
        threshold = permutation_threshold(x)
        score = dependence_score(x)
        assert score.mean > threshold.mean
        assert threshold.pair > threshold.mean

    def test_seed_and_input_untouched(self):
        x = layer().relu()
        before, state = x.clone(), torch.get_rng_state()
        first, again = (permutation_threshold(x, method="default", n_permutations=19) for _ in range(2))
        assert torch.equal(first.mean, again.mean)
        assert torch.equal(first.pair, again.pair)
        assert torch.equal(x, before)
        assert torch.equal(state, torch.get_rng_state())

    def test_no_pair(self):
        threshold = permutation_threshold(layer(50, 1))
        assert threshold.mean.isnan()
        assert threshold.pair.isnan()

    @pytest.mark.parametrize("options", [{"n_permutations": 18}, {"level": 1.0}, {"level": 0.99}, {"level": 0.0}])
    def test_refuses(self, options):
        with pytest.raises(ValueError, match="level must be "):
            permutation_threshold(layer(), **options)


class TestAtoms:
    @pytest.mark.parametrize(
        ("counts", "expected"),
        [
            ([10], [True]),
            ([3, 2], [True, True]),
            ([500] + [1] * 500, [True] + [False] * 500),
            ([1] * 10 + [5] + [1] * 40, [False] * 10 + [True] + [False] * 40),
            ([1] * 10 + [4] + [1] * 40, [False] * 51),
            ([20] * 50, [False] * 50),
            ([50] * 20, [True] * 20),
            ([970] + [1] * 30, [True] + [False] * 30),
            ([970] + [2] * 15, [True] * 16),
            ([960] + [2] * 5 + [1] * 30, [True] + [False] * 35),
        ],
    )
    def test_which_levels_stand_out(self, counts, expected):
        assert atoms(np.array(counts)).tolist() == expected

    def test_scores_are_normal_and_ties_fall_at_random(self):
        x = np.repeat(np.arange(250.0), 4)[None]
        score = scored_units(np.concatenate([x, x**3, -x]))
        assert np.array_equal(score.score[0], score.score[1])
        assert not np.array_equal(score.score[0], -score.score[2])
        assert score.score.std(axis=1) == pytest.approx(1.0, abs=0.01)
        assert (np.diff(score.score[0]) < 0).any()
        assert not score.smooth.any()


class TestPatience:
    def test_a_bar_after_a_second_and_not_before(self, monkeypatch, capsys):
        monkeypatch.setenv("FORCE_COLOR", "1")
        with progress("pairs", 10) as advance:
            advance(1)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr("cofire.stats._base.progress.PATIENCE", -1)
        with progress("pairs", 10) as advance:
            advance(5)
            advance(5)
        assert "pairs" in capsys.readouterr().err

    def test_an_interrupt_ends_what_has_not_begun(self, monkeypatch):
        done = []

        def interrupted(units, pairs, infinities, room, out):
            done.append(len(pairs))
            time.sleep(0.01)  # so that it takes a minute where nothing ends it
            raise KeyboardInterrupt

        monkeypatch.setattr("cofire.stats.information.engine.pair_search.joint_log_distances", interrupted)
        monkeypatch.setattr("cofire.stats.information.engine.pair_search.SAMPLES_A_PORTION", 1)
        with pytest.raises(KeyboardInterrupt):
            dependence_score(layer(50, 150))
        assert len(done) < 5000
