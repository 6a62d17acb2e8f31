"""The three policies for samples that are not finite, in every statistic that takes one."""

import inspect
import math

import pytest
import torch

from cofire import stats
from cofire.stats import Moments, dependence_score, disagreement, entropy_embedded, neuronal_correlation

OF_LAYERS = (
    "entropy_knn", "entropy_gaussian", "entropy_independence_bound", "entropy_binned", "entropy_kde",
    "entropy_embedded", "total_correlation",
)  # fmt: skip
OF_PAIRS = (
    "mutual_information", "mutual_information_ksg", "mutual_information_3h", "mutual_information_gaussian",
    "nonlinear_excess",
)  # fmt: skip
OTHERS = ("Moments", "neuronal_correlation", "dependence_score", "permutation_threshold", "disagreement")


def layer(poor: float = math.nan) -> torch.Tensor:
    """60 samples of 4 units, of which three samples hold a value that is not finite, in two units."""
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[3, 1] = x[20, 1] = x[41, 2] = poor
    return x


def complete(x: torch.Tensor) -> torch.Tensor:
    return x[x.isfinite().all(1)]


def test_these_are_all_that_take_a_policy() -> None:
    functions = {name: getattr(stats, name) for name in stats.__all__ if name != "truth"}
    taking = {name for name, one in functions.items() if callable(one) and "nan" in _parameters(one)}
    assert taking == {*OF_LAYERS, *OF_PAIRS, *OTHERS}


def _parameters(function) -> dict:
    try:
        return dict(inspect.signature(function).parameters)
    except ValueError:
        return {}


@pytest.mark.parametrize("poor", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", OF_LAYERS)
def test_of_layers(name: str, poor: float) -> None:
    function, x = getattr(stats, name), layer(poor)
    for options in ({}, {"nan": "raise"}):
        with pytest.raises(ValueError, match=r'x holds NaN or infinite values; .*nan="omit"'):
            function(x, **options)
    assert function(x, nan="propagate").isnan()
    assert function(x, nan="omit").equal(function(complete(x)))
    for policy in ("raise", "omit", "propagate"):
        assert function(complete(x), nan=policy).equal(function(complete(x)))


@pytest.mark.parametrize("name", OF_PAIRS)
def test_of_pairs(name: str) -> None:
    function, x = getattr(stats, name), layer()
    a, b = x[:, 1], x[:, 2]
    with pytest.raises(ValueError, match="y holds NaN"):
        function(x[:, 0], b)
    assert function(a, b, nan="propagate").isnan()
    assert function(a, b, nan="omit").equal(function(*complete(x[:, 1:3]).T))


@pytest.mark.parametrize("policy", ["drop", None, True, "OMIT"])
def test_unknown_policies_are_refused(policy) -> None:
    for function in (neuronal_correlation, stats.entropy_knn, dependence_score):
        with pytest.raises(ValueError, match="nan must be one of propagate, raise, omit, got "):
            function(layer(), nan=policy)
    with pytest.raises(ValueError, match="nan must be one of"):
        Moments(nan=policy)


def test_correlation() -> None:
    x = layer()
    assert neuronal_correlation(x) == neuronal_correlation(x, nan="propagate")
    assert neuronal_correlation(x).n_nonfinite == 2 and neuronal_correlation(x).n_pairs == 1
    assert neuronal_correlation(x, nan="omit") == neuronal_correlation(complete(x))
    with pytest.raises(ValueError, match="x holds NaN"):
        neuronal_correlation(x, nan="raise")


def test_moments() -> None:
    x = layer()
    found = Moments(nan="omit").update(x[:30]).update(x[30:])
    assert found.count == 57
    torch.testing.assert_close(found.covariance(), complete(x).T.cov(), rtol=1e-12, atol=1e-12)
    assert (found + found).nan == "omit" and (found + found).update(x).count == 3 * 57
    strict = Moments(nan="raise").update(x[:3])
    with pytest.raises(ValueError, match="x holds NaN"):
        strict.update(x)
    assert strict.count == 3 and strict.covariance().isfinite().all()
    assert Moments().update(x).mean().isnan().tolist() == [False, True, True, False]
    none = Moments(nan="omit").update(x[3:4])
    assert none.count == 0 and none.n_units == 4


def test_dependence_leaves_out_units_or_samples() -> None:
    x = layer()
    found = dependence_score(x, nan="propagate")
    finite = dependence_score(x[:, [0, 3]])
    assert found.mean.isnan() and found.finite().mean.equal(finite.mean) and found.n_pairs == 1
    assert found.matrix[0, 3].equal(finite.matrix[0, 1]) and found.matrix[1:3].isnan().all()
    assert dependence_score(x, nan="omit").mean.equal(dependence_score(complete(x)).mean)
    with pytest.raises(ValueError, match="x holds NaN"):
        dependence_score(x)
    threshold = stats.permutation_threshold(x, nan="propagate")
    assert threshold.mean.isnan() and threshold.pair.isnan()


def test_disagreement() -> None:
    x = layer()
    found, finite = disagreement(x, nan="propagate"), disagreement(x[:, [0, 3]])
    assert found.difference[0, 3].equal(finite.difference[0, 1]) and found.chance == finite.chance
    assert found.correlation[1:3].isnan().all()
    assert disagreement(x, nan="omit").chance == disagreement(complete(x)).chance


def test_labels_go_with_their_samples() -> None:
    x, labels = layer(), torch.arange(60) % 3
    kept = labels[layer().isfinite().all(1)]
    assert entropy_embedded(x, labels=labels, nan="omit").equal(entropy_embedded(complete(x), labels=kept))
