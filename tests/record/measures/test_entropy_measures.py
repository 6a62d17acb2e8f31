"""Entropies as measures: each method is its function, high dimensions are told of once a site, refusals are gaps."""

import math
import warnings

import pytest
import torch
from torch import nn

from cofire import stats
from cofire.record import NotMeasured, Tracker, entropy, total_correlation
from cofire.record.measures.entropy_measures import METHODS
from cofire.stats import HighDimensionWarning

X = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).double()

EXPECTED = {
    "gaussian": lambda: stats.entropy_gaussian(X),
    "knn": lambda: stats.entropy_knn(X),
    "knn_whitened": lambda: stats.entropy_knn(X, whiten=True),
    "kde_upper": lambda: stats.entropy_kde(X),
    "kde_lower": lambda: stats.entropy_kde(X, bound="lower"),
    "kde_leave_one_out": lambda: stats.entropy_kde(X, bound="leave_one_out"),
    "binned": lambda: stats.entropy_binned(X),
    "independence_bound": lambda: stats.entropy_independence_bound(X),
    "embedded": lambda: stats.entropy_embedded(X),
}


def test_every_method_is_held_to_its_function():
    assert EXPECTED.keys() == METHODS.keys()


@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_its_function(method):
    assert entropy(method).values((X,)) == {f"entropy_{method}": EXPECTED[method]().item()}


def test_total_correlation_is_its_function():
    found = total_correlation(n_neighbors=5, whiten=False).values((X,))
    assert found == {"total_correlation": stats.total_correlation(X, 5, whiten=False).item()}


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        ("knn", {"n_neighbors": 5}, lambda: stats.entropy_knn(X, 5)),
        ("kde_lower", {"variance": 0.5}, lambda: stats.entropy_kde(X, 0.5, "lower")),
        ("binned", {"bins": 4}, lambda: stats.entropy_binned(X, 4)),
        ("embedded", {"estimator": "spectral"}, lambda: stats.entropy_embedded(X, estimator="spectral")),
    ],
)
def test_options_reach_the_function_and_stand_in_the_rows(method, options, expected):
    measure = entropy(method, **options, max_samples=None)
    assert measure.values((X,)) == {f"entropy_{method}": expected().item()}
    assert measure.parameters_for(X.shape[1]) == options


def test_where_ties_matter_it_is_taken_before_the_activation():
    stages = {method: entropy(method).stage for method in METHODS}
    assert {method for method, stage in stages.items() if stage == "post"} == {"kde_upper", "kde_lower", "binned"}
    assert entropy("knn", stage="post").stage == "post" and total_correlation().stage == "pre"


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("guess", {}, "must be one of gaussian"),
        ("gaussian", {"bins": 3}, "takes no option, got bins"),
        ("kde_upper", {"n_neighbors": 3}, "takes variance, got n_neighbors"),
        ("binned", {"bins": 0}, "bins must be a whole number of at least 1"),
        ("kde_upper", {"variance": -1.0}, "variance must be above 0"),
        ("embedded", {"estimator": "guess"}, "estimator must be one of"),
        ("knn", {"n_neighbors": 0}, "n_neighbors"),
    ],
)
def test_what_no_samples_could_mend_is_refused_at_once(method, options, said):
    with pytest.raises(ValueError, match=said):
        entropy(method, **options)


@pytest.mark.parametrize(
    "measure",
    [
        lambda: entropy("knn"),
        lambda: entropy("knn_whitened"),
        total_correlation,
        lambda: entropy("embedded", estimator="knn"),
    ],
    ids=["knn", "whitened", "total correlation", "embedded"],
)
def test_high_dimensions_are_recorded_and_warned_of_once(measure):
    model = nn.Sequential(nn.Linear(4, 24), nn.Linear(24, 24))
    rows = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Tracker(model, [measure()], every=1, sink=rows.extend) as tracker:
            for _ in range(3):
                for layer in model:
                    nn.init.normal_(layer.bias)
                model(torch.randn(60, 4) @ torch.eye(4) + torch.randn(60, 1))
                tracker.step()
    assert len(rows) == 6
    assert [one.category for one in caught] == [HighDimensionWarning] * 2
    assert {str(one.message).split(":")[0].split(" at ")[1] for one in caught} == {"0", "1"}


def test_outside_a_measure_the_function_still_warns_each_time():
    entropy("knn").values((X,))
    with pytest.warns(HighDimensionWarning):
        stats.entropy_knn(torch.randn(50, 12))


@pytest.mark.parametrize(
    ("measure", "x", "why"),
    [
        (entropy("gaussian"), torch.randn(20, 30), "more than 30 samples"),
        (entropy("knn"), torch.full((50, 2), torch.inf), "NaN or infinite"),
        (total_correlation(), torch.relu(torch.randn(100, 3)), "atom"),
        (entropy("embedded"), torch.randn(4, 2), "at least 5 samples"),
    ],
    ids=["too few samples", "not finite", "atoms", "almost none"],
)
def test_samples_that_are_refused_leave_a_gap(measure, x, why):
    with pytest.warns(NotMeasured, match=why):
        values = measure.values((x,), site="fc")
    assert [math.isnan(value) for value in values.values()] == [True]


def test_after_a_relu_the_entropy_is_minus_infinity():
    assert entropy("knn", stage="post").values((torch.relu(X),)) == {"entropy_knn": -math.inf}


def test_the_work_is_bounded_by_default():
    assert {entropy(method).max_samples for method in METHODS} == {2000} == {total_correlation().max_samples}
