from math import inf, nan

import numpy as np
import pytest

from cofire.reports.data.run_view import Layer, Series, View
from cofire.reports.findings.run_findings import findings, headline


def layer(name: str = "fc", **last: float) -> Layer:
    return Layer(name, {measure: Series((0, 100), (0.5, value), 1000) for measure, value in last.items()})


def compared(name: str, difference: float, rho: float = 0.05, information: float = 0.4, n_units: int = 4) -> Layer:
    """A layer in which the pair of units 0 and 1 differs by so much, and the others agree."""
    matrix = np.zeros((n_units, n_units))
    np.fill_diagonal(matrix, nan)
    alone = np.zeros_like(matrix)
    alone[0, 1] = alone[1, 0] = 1
    arrays = {
        "dependence": matrix + alone * information,
        "dependence_correlation": matrix + alone * rho,
        "dependence_difference": matrix + alone * difference,
        "dependence_units": np.arange(n_units),
    }
    return Layer(name, layer(name, dependence=0.1).series, arrays)


def found(*layers: Layer) -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    return {finding.kind: (finding.headline, finding.points) for finding in findings(View("run", layers))}


def test_pairs_that_correlation_misses_are_named_by_their_numbers() -> None:
    told = found(compared("a", 0.6), compared("b", 0.0), compared("c", 0.7, n_units=3))
    assert told == {
        "hidden dependence": (
            "Correlation misses dependence in c and a",  # one of three pairs before one of six
            (
                ("c", "1 of 3 pairs; largest difference: units 0 and 1: ρ 0.05, information 0.40 nats (as |ρ| 0.74)"),
                ("a", "1 of 6 pairs; largest difference: units 0 and 1: ρ 0.05, information 0.40 nats (as |ρ| 0.74)"),
            ),
        )
    }


def test_pairs_whose_correlation_says_too_much_are_another_finding() -> None:
    assert list(found(compared("a", -0.4, rho=0.5, information=0.01))) == ["overstated"]


def test_pairs_that_agree_are_not_a_finding() -> None:
    assert found(compared("a", 0.0), compared("b", nan)) == {}


def test_both_directions_may_be_found_in_one_layer() -> None:
    both = compared("a", 0.6)
    both.arrays["dependence_difference"][2, 3] = both.arrays["dependence_difference"][3, 2] = -0.3
    assert set(found(both)) == {"hidden dependence", "overstated"}


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"entropy_knn": -inf}, "Entropy by nearest neighbors −∞"),
        ({"entropy_gaussian": nan}, "Entropy, as if normal –"),
        ({"dependence": nan}, "Dependence score, ι –"),
        ({"total_correlation": nan, "entropy_binned": 2.0}, "Total correlation –"),
    ],
)
def test_what_is_not_defined_is_told(measured: dict[str, float], said: str) -> None:
    (headline, points) = found(layer(**measured))["without density"]
    assert headline.endswith("is not defined in fc") and points == (("fc", said),)


def test_what_is_infinite_upwards_or_finite_is_defined() -> None:
    assert found(layer(total_correlation=inf, entropy_gaussian=-3.0, dependence=0.0)) == {}


@pytest.mark.parametrize(
    ("measure", "n_units", "named"),
    [
        ("entropy_knn", 9, False),
        ("entropy_knn", 10, True),
        ("total_correlation", 19, False),
        ("entropy_kde_upper", 99, False),
    ],
)
def test_layers_too_wide_for_nearest_neighbors_are_named(measure: str, n_units: int, named: bool) -> None:
    after, before = layer(n_units=n_units), layer("fc:pre", **{measure: 1.0})
    assert ("too wide" in found(after, before)) == named


def test_uncorrelated_layers_are_read_beside_their_dependence() -> None:
    steady = {"nc": 0.01, "nc_debiased": 0.01, "nc_low": 0.0, "nc_high": 0.02}
    quiet = Layer("fc", {name: Series((0,), (value,), 1000) for name, value in steady.items()}).series
    dependent = layer(dependence=0.05, dependence_threshold=0.004).series
    (without,) = findings(View("run", (Layer("fc", quiet),)))
    (with_it,) = findings(View("run", (Layer("fc", {**quiet, **dependent}),)))
    assert "nonlinearly" in without.advice and with_it.advice == ""
    assert with_it.points[0][1].endswith("ι 0.050 (independent units below 0.004)")


def test_a_run_without_correlation_is_not_said_to_be_of_weights_only() -> None:
    assert headline(View("run", (layer(dependence=0.1),))) == "Neuronal correlation was not recorded."


def test_a_correlation_that_was_recorded_and_is_defined_nowhere_is_told_from_one_that_was_not() -> None:
    assert "No layer has a defined" in headline(View("run", (Layer("fc", {"nc": Series((0,), (float("nan"),), 10)}),)))
