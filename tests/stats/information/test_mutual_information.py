from math import inf, log

import numpy as np
import pytest
import torch
from ennemi import estimate_entropy, estimate_mi
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_information import kraskov, three_entropies
from naive_information import mutual_information as naive_mutual_information
from sklearn.feature_selection import mutual_info_regression

from cofire.stats import (
    entropy_knn,
    mutual_information,
    mutual_information_3h,
    mutual_information_gaussian,
    mutual_information_ksg,
    nonlinear_excess,
)
from cofire.stats.truth import DiscreteTable, MultivariateNormal, RectifiedNormal, pairs

PLAIN = [mutual_information_3h, mutual_information_ksg]
ALL = [*PLAIN, mutual_information, mutual_information_gaussian, nonlinear_excess]


def draw(pair, n=1000, seed=0):
    return pair.sample(n, torch.Generator().manual_seed(seed)).T


def normal(rho, n=1000, seed=0):
    return draw(MultivariateNormal.pair(rho), n, seed)


def mean_over_seeds(estimate, pair, n=1000, n_seeds=40):
    return np.mean([estimate(*draw(pair, n, seed)).item() for seed in range(n_seeds)])


class TestAgainstLoops:
    @pytest.mark.parametrize("k", [1, 3])
    @pytest.mark.parametrize("n", [8, 100, 300])
    def test_three_entropies(self, n, k):
        x, y = normal(0.6, n)
        ours = mutual_information_3h(x, 100 * y + 3, k).item()
        assert ours == pytest.approx(three_entropies(x.numpy(), y.numpy(), k), abs=1e-10)

    @pytest.mark.parametrize("k", [1, 3])
    @pytest.mark.parametrize("n", [8, 100, 300])
    def test_kraskov(self, n, k):
        x, y = normal(0.6, n)
        ours = mutual_information_ksg(x, y, k).item()
        assert ours == pytest.approx(kraskov(x.numpy() / x.numpy().std(), y.numpy() / y.numpy().std(), k), abs=1e-10)

    def test_vectors(self):
        x = torch.randn(200, 3, dtype=torch.float64)
        y = x[:, :2] + torch.randn(200, 2, dtype=torch.float64)
        a, b = (v.numpy() / v.numpy().std(axis=0) for v in (x, y))
        assert mutual_information_3h(x, y).item() == pytest.approx(three_entropies(a, b), abs=1e-10)
        assert mutual_information_ksg(x, y).item() == pytest.approx(kraskov(a, b), abs=1e-10)

    @pytest.mark.parametrize("name", [n for n in pairs() if "poisson" not in n])
    def test_default(self, name):
        x, y = draw(pairs()[name], 300)
        assert mutual_information(x, y).item() == pytest.approx(
            naive_mutual_information(x.numpy(), y.numpy()), abs=1e-9
        )


class TestAgainstOthers:
    @pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
    def test_scikit_learn_on_normal_pairs(self, rho):
        x, y = normal(rho)
        theirs = mutual_info_regression(x.numpy()[:, None], y.numpy(), n_neighbors=3, random_state=0)[0]
        assert max(0, mutual_information_ksg(x, y).item()) == pytest.approx(theirs, abs=2e-3)

    def test_scikit_learn_on_classes_and_numbers(self):
        x, y = draw(pairs()["overlapping uniform"], 1000)
        theirs = mutual_info_regression(x.numpy()[:, None], y.numpy(), discrete_features=True, random_state=0)[0]
        assert mutual_information(x, y).item() == pytest.approx(theirs, abs=0.02)

    @pytest.mark.parametrize("k", [1, 3, 7])
    @pytest.mark.parametrize("rho", [0.0, 0.6, 0.99])
    def test_ennemi_on_normal_pairs(self, rho, k):
        x, y = normal(rho)
        theirs = estimate_mi(y.numpy(), x.numpy(), k=k).item()  # to which it adds noise of 1e-10
        assert mutual_information_ksg(x, y, k).item() == pytest.approx(theirs, abs=1e-5)

    @pytest.mark.parametrize("n_units", [1, 2, 4])
    def test_ennemi_on_entropy(self, n_units):
        x = torch.randn(800, n_units, dtype=torch.float64)
        theirs = float(estimate_entropy(x.numpy(), k=3, multidim=True))
        assert entropy_knn(x).item() == pytest.approx(theirs, abs=1e-5)

    def test_ennemi_on_classes_and_numbers(self):
        x, y = draw(pairs()["overlapping uniform"], 1000)
        theirs = estimate_mi(x.numpy(), y.numpy(), discrete_y=True).item()
        assert mutual_information(x, y).item() == pytest.approx(theirs, abs=0.02)

    def test_ennemi_on_classes(self):
        a = torch.randint(4, (1000,))
        b = (a + torch.randint(2, (1000,))) % 4
        theirs = estimate_mi(a.numpy(), b.numpy(), discrete_y=True, discrete_x=True).item()
        assert mutual_information(a, b).item() == pytest.approx(theirs, abs=0.01)  # ours corrects for the sample's size


class TestReferenceNumbers:
    """Of the papers: 1000 independent normal samples, k = 3."""

    @pytest.mark.parametrize(
        ("estimate", "mean", "deviation"),
        [(mutual_information_3h, 0.0119, 0.0425), (mutual_information_ksg, 0.0018, 0.0237)],
    )
    def test_independent_normal_units(self, estimate, mean, deviation):
        values = np.array([estimate(*normal(0.0, seed=seed)).item() for seed in range(64)])
        assert abs(values.mean() - mean) < 3.5 * deviation / 8
        assert values.std() == pytest.approx(deviation, rel=0.25)

    @pytest.mark.parametrize(
        ("rho", "expected"), [(0.0, 0.0133), (0.3, 0.0641), (0.6, 0.2405), (0.9, 0.853), (0.99, 1.978)]
    )
    def test_scale_of_the_figure(self, rho, expected):
        def on_its_scale(x, y, standardize):
            return mutual_information_3h(1e-4 * x, y, standardize=standardize)

        pair = MultivariateNormal.pair(rho)
        raw = mean_over_seeds(lambda x, y: on_its_scale(x, y, False), pair, n_seeds=5)
        scaled = mean_over_seeds(lambda x, y: on_its_scale(x, y, True), pair, n_seeds=20)
        assert raw == pytest.approx(-3.22, abs=0.05)
        assert scaled == pytest.approx(expected, abs=0.03)


class TestAgainstClosedForms:
    # what the kernels' smoothing and sharp edges of the support are known to cost at n = 1000
    BIAS = {"uniform noise": -0.045, "wide uniform noise": -0.015, "normal 0.9": 0.01, "monotone maps": 0.01}  # noqa: RUF012

    @pytest.mark.parametrize("name", pairs())
    def test_default(self, name):
        pair = pairs()[name]
        error = mean_over_seeds(mutual_information, pair) - pair.mutual_information - self.BIAS.get(name, 0)
        assert abs(error) < 0.02

    @pytest.mark.parametrize("name", ["normal 0.0", "normal 0.6", "normal -0.6", "independent uniform", "normal noise"])
    @pytest.mark.parametrize("estimate", PLAIN)
    def test_plain(self, estimate, name):
        pair = pairs()[name]
        assert abs(mean_over_seeds(estimate, pair, n_seeds=20) - pair.mutual_information) < 0.04

    @pytest.mark.parametrize("rho", [0.0, 0.6, 0.9, -0.6, -0.9])
    def test_rectified_pairs(self, rho):
        pair = RectifiedNormal(rho)
        assert abs(mean_over_seeds(mutual_information, pair) - pair.mutual_information) < 0.02

    @pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
    def test_gaussian(self, rho):
        x, y = normal(rho)
        r = np.corrcoef(x, y)[0, 1]
        assert mutual_information_gaussian(x, y).item() == pytest.approx(-0.5 * log(1 - r * r), abs=1e-12)

    def test_nonlinear_excess(self):
        x, y = normal(0.6)
        assert abs(nonlinear_excess(x, y).item()) < 0.1
        assert nonlinear_excess(x, x**2 + y).item() > 0.2

    def test_negative_estimates_stay(self):
        values = [mutual_information(*normal(0.0, seed=seed)).item() for seed in range(30)]
        assert 5 < sum(v < 0 for v in values) < 25


class TestAtoms:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_rounding_costs_the_default_nothing(self, dtype):
        pair = MultivariateNormal.pair(0.6)
        rounded = mean_over_seeds(lambda x, y: mutual_information(x.to(dtype), y.to(dtype)), pair)
        assert rounded == pytest.approx(pair.mutual_information, abs=0.02)

    def test_a_grid_is_not_dependence(self):
        pair = MultivariateNormal.pair(0.0)
        rounded = mean_over_seeds(lambda x, y: mutual_information((20 * x).round(), (20 * y).round()), pair)
        assert abs(rounded) < 0.01

    def test_counts_with_many_levels(self):
        rng = np.random.default_rng(0)
        values = [mutual_information(rng.poisson(100, 1000), rng.poisson(100, 1000)).item() for _ in range(30)]
        assert abs(np.mean(values)) < 0.015

    def test_discrete_units_agree_with_their_table(self):
        table = torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64)
        x, y = draw(DiscreteTable(table), 20000)
        assert mutual_information(x, y).item() == pytest.approx(DiscreteTable(table).mutual_information, abs=0.01)
        assert mutual_information(x.bool(), y.bool()) == mutual_information(x, y)

    def test_a_discrete_unit_tells_its_entropy_of_itself(self):
        x = torch.arange(1000) % 4
        assert mutual_information(x, 3 - x).item() == pytest.approx(log(4) + 3 / 2000, abs=1e-12)
        many = torch.arange(3000) % 60
        assert mutual_information(many, -many).item() == pytest.approx(log(60) + 59 / 6000, abs=1e-12)

    def test_a_constant_tells_nothing(self):
        x, _ = normal(0.0)
        for constant in (torch.zeros(1000), torch.full((1000,), 0.1)):
            assert mutual_information(x, constant) == mutual_information(constant, x) == 0
            assert mutual_information_gaussian(x, constant) == 0
        assert mutual_information(torch.ones(50), torch.ones(50)) == 0

    @pytest.mark.parametrize("estimate", PLAIN)
    @pytest.mark.parametrize(
        "spoil",
        [
            torch.relu,
            lambda x: x.bfloat16(),
            lambda x: (20 * x).round(),
            lambda x: x > 0,
            torch.zeros_like,
            lambda x: x.clamp(-1, 1),
        ],
        ids=["relu", "bfloat16", "grid", "bool", "constant", "clipped"],
    )
    def test_plain_estimators_refuse_what_they_would_get_wrong(self, estimate, spoil):
        x, y = normal(0.6)
        with pytest.raises(ValueError, match="use mutual_information"):
            estimate(spoil(x), y)
        with pytest.raises(ValueError, match="use mutual_information"):
            estimate(y, spoil(x))

    @pytest.mark.parametrize("estimate", PLAIN)
    def test_plain_estimators_bear_a_few_ties(self, estimate):
        x, y = normal(0.6)
        assert estimate(x.half(), y.half()).item() == pytest.approx(estimate(x, y).item(), abs=0.03)

    def test_three_entropies_refuse_one_repeated_value(self):
        x, y = normal(0.6)
        x[:5] = 0.123
        with pytest.raises(ValueError, match="shared by more than n_neighbors"):
            mutual_information_3h(x, y)
        x[3:5] = y[3:5]
        assert mutual_information_3h(x, y).isfinite()


class TestFunctions:
    @pytest.mark.parametrize("n", [5, 19, 20, 1000])
    @pytest.mark.parametrize("estimate", [*PLAIN, mutual_information, mutual_information_gaussian])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_a_unit_tells_everything_of_itself(self, estimate, n, dtype):
        x = normal(0.0, n)[0].to(dtype)
        for other in (x, -x, 2 * x + 1):
            assert estimate(x, other) == inf

    @pytest.mark.parametrize("estimate", [*PLAIN, mutual_information])
    def test_monotone_functions(self, estimate):
        x, _ = normal(0.0)
        assert estimate(x, x.exp()) == inf
        assert estimate(-(x**3), x) == inf

    @pytest.mark.parametrize("function", [torch.square, torch.abs, lambda x: (3 * x).sin()])
    def test_other_functions(self, function):
        x, _ = normal(0.0)
        assert mutual_information(x, function(x)) == inf
        assert mutual_information(function(x), x) == inf

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
    def test_before_against_after_a_relu(self, dtype):
        x = normal(0.0)[0].to(dtype)
        assert mutual_information(x, x.relu()) == mutual_information(x.relu(), x) == inf
        assert mutual_information(x.relu(), x.relu()) == inf

    def test_nothing_is_left_to_explain_of_a_linear_relation(self):
        x, _ = normal(0.0)
        assert nonlinear_excess(x, 1 - x) == 0
        assert nonlinear_excess(x, x.exp()) == inf

    def test_strong_dependence_is_not_mistaken_for_a_function(self):
        for rho in (0.99, 0.9999):
            assert all(mutual_information(*normal(rho, seed=seed)).isfinite() for seed in range(20))

    def test_few_samples_in_order_are_no_function(self):
        x, y = torch.tensor([0.0, 1.0, 3.0, 4.0, 7.0]), torch.tensor([0.0, 2.0, 3.0, 5.0, 7.0])
        assert all(estimate(x, y).isfinite() for estimate in ALL)

    def test_dependent_units_within_a_vector_are_refused(self):
        x, y = normal(0.0)
        with pytest.raises(ValueError, match="units of x are linearly dependent"):
            mutual_information_ksg(torch.stack([x, x], dim=1), y)
        assert mutual_information_ksg(torch.stack([x, y], dim=1), x - y) == inf


class TestLaws:
    @settings(max_examples=8, deadline=None)
    @given(st.integers(0, 2**32), st.floats(-0.95, 0.95), st.booleans())
    def test_symmetry(self, seed, rho, rectify):
        x, y = normal(rho, 200, seed)
        x = x.relu() if rectify else x
        for estimate in [mutual_information] if rectify else ALL:
            assert estimate(x, y).item() == pytest.approx(estimate(y, x).item(), abs=1e-9)

    @settings(max_examples=8, deadline=None)
    @given(st.integers(0, 2**32), st.floats(-0.95, 0.95))
    def test_order_of_the_samples(self, seed, rho):
        x, y = normal(rho, 200, seed)
        order = torch.randperm(200, generator=torch.Generator().manual_seed(seed))
        for estimate in ALL:
            assert estimate(x[order], y[order]).item() == pytest.approx(estimate(x, y).item(), abs=1e-9)

    @settings(max_examples=8, deadline=None)
    @given(st.integers(0, 2**32), st.sampled_from([1e-30, 1e-4, 1e6, -1e30]), st.sampled_from([0.0, 1e4]))
    def test_scale_and_offset(self, seed, scale, offset):
        x, y = normal(0.6, 200, seed)
        for estimate in ALL:
            assert estimate(scale * (x + offset), y).item() == pytest.approx(estimate(x, y).item(), abs=1e-7)

    @settings(max_examples=8, deadline=None)
    @given(st.integers(0, 2**32), st.booleans())
    def test_monotone_maps(self, seed, rectify):
        x, y = normal(0.6, 200, seed)
        x = x.relu() if rectify else x
        assert torch.equal(mutual_information(x.exp(), y**3), mutual_information(x, y))

    def test_extreme_magnitudes(self):
        x, y = normal(0.6)
        for estimate in ALL:
            for scale in (1e-300, 1e300):
                assert estimate(scale * x, y).item() == pytest.approx(estimate(x, y).item(), abs=1e-6)


class TestInput:
    @pytest.mark.parametrize("estimate", ALL)
    def test_any_kind_gives_the_same(self, estimate):
        x, y = (v.float() for v in normal(0.6))
        expected = estimate(x, y)
        assert expected.shape == ()
        assert expected.dtype == torch.float64
        for kind in (
            lambda v: v.numpy(),
            lambda v: v.double(),
            lambda v: v[:, None],
            lambda v: v.clone().requires_grad_(),
        ):
            assert torch.equal(estimate(kind(x), kind(y)), expected)

    def test_integers(self):
        x = torch.randint(0, 5, (500,))
        y = x + torch.randint(0, 3, (500,))
        expected = mutual_information(x.double(), y.double())
        for dtype in (torch.uint8, torch.int64, torch.float16):
            assert torch.equal(mutual_information(x.to(dtype), y.to(dtype)), expected)

    @pytest.mark.parametrize("estimate", ALL)
    def test_same_bits_again_and_nothing_touched(self, estimate):
        x, y = (v.half() for v in normal(0.6))
        before = x.clone(), y.clone(), torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        assert torch.equal(estimate(x, y), estimate(x, y))
        assert torch.equal(x, before[0])
        assert torch.equal(y, before[1])
        assert torch.equal(torch.get_rng_state(), before[2])
        assert np.array_equal(np.random.get_state()[1], before[3])  # noqa: NPY002

    @pytest.mark.parametrize("estimate", ALL)
    def test_default_dtype_does_not_matter(self, estimate):
        x, y = normal(0.6)
        expected = estimate(x, y)
        torch.set_default_dtype(torch.float16)
        try:
            assert torch.equal(estimate(x, y), expected)
        finally:
            torch.set_default_dtype(torch.float32)

    @pytest.mark.parametrize("estimate", ALL)
    def test_refuses(self, estimate):
        x, y = normal(0.6, 50)
        nan = torch.where(torch.arange(50) == 7, torch.nan, x)
        with pytest.raises(ValueError, match="same number of samples"):
            estimate(x, y[:-1])
        with pytest.raises(ValueError, match="x holds NaN"):
            estimate(nan, y)
        with pytest.raises(ValueError, match="y holds NaN"):
            estimate(x, nan / 0)
        with pytest.raises(ValueError, match="number of samples"):
            estimate(x[:2], y[:2])
        with pytest.raises(ValueError, match="shape"):
            estimate(x[:0, None, None], y[:0, None, None])

    @pytest.mark.parametrize("estimate", PLAIN)
    def test_refuses_as_many_neighbors_as_samples(self, estimate):
        x, y = normal(0.6, 5)
        with pytest.raises(ValueError, match="less than the number of samples"):
            estimate(x, y, n_neighbors=5)
        assert estimate(x, y, n_neighbors=4).isfinite()

    @pytest.mark.parametrize("estimate", [mutual_information, mutual_information_gaussian, nonlinear_excess])
    def test_single_units_only(self, estimate):
        with pytest.raises(ValueError, match="must be one unit"):
            estimate(torch.randn(50, 2), torch.randn(50))
