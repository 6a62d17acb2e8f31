from base64 import b64decode
from math import inf, nan

import numpy as np
import pytest

from cofire.report.maps import SCALE, UNDEFINED, HeatMap, cluster_order, comparisons, heat_maps, pack
from cofire.report.view import Layer, Series


def test_clustering_puts_shuffled_blocks_together_again() -> None:
    group = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], 10))
    correlation = np.where(group[:, None] == group, 0.8, 0.05)
    np.fill_diagonal(correlation, 1)
    ordered = group[cluster_order(correlation)]
    assert (np.diff(ordered) != 0).sum() == 2


@pytest.mark.parametrize("n_defined", [0, 2, 5])
def test_undefined_units_come_last(n_defined: int) -> None:
    correlation = np.full((6, 6), nan)
    correlation[:n_defined, :n_defined] = 0.5
    np.fill_diagonal(correlation, 1)
    order = cluster_order(correlation)
    assert sorted(order) == list(range(6)) and sorted(order[:n_defined]) == list(range(n_defined))


def test_packing_keeps_four_digits_and_marks_the_undefined() -> None:
    correlation = np.array([[1, -0.12344, nan], [-0.12344, 1, 1.0002], [nan, 1.0002, 1]])
    assert np.frombuffer(b64decode(pack(correlation)), "<i2").tolist() == [-1234, UNDEFINED, 10000]


def test_a_map_names_the_strongest_pair_by_the_layers_own_numbers() -> None:
    correlation = np.array([[1, 0.1, nan, -0.9], [0.1, 1, nan, 0.2], [nan] * 4, [-0.9, 0.2, nan, 1]])
    layer = Layer(
        "fc",
        {"n_units": Series((0,), (40.0,))},
        {"correlation": correlation.astype(np.float16), "correlation_units": np.array([0, 10, 20, 30])},
    )
    (drawn,) = heat_maps([layer])
    assert drawn.told == "Strongest: 0 and 30, ρ −0.900"
    assert drawn.units[-1] == 20 and drawn.note.startswith("4 of 40 units are shown, 1 blank one")


def test_a_map_without_any_pair_says_so() -> None:
    (drawn,) = heat_maps([Layer("fc", arrays={"correlation": np.full((3, 3), nan)})])
    assert "No pair has a correlation" in drawn.alternative


def square(*upper: float) -> np.ndarray:
    """A symmetric matrix of three units from its pairs (0, 1), (0, 2), (1, 2)."""
    matrix = np.full((3, 3), nan)
    matrix[np.triu_indices(3, 1)] = upper
    return np.where(np.isnan(matrix), matrix.T, matrix).astype(np.float16)


def compared(rho: np.ndarray, information: np.ndarray, difference: np.ndarray) -> tuple[HeatMap, HeatMap, HeatMap]:
    arrays = {
        "dependence_correlation": rho,
        "dependence": information,
        "dependence_difference": difference,
        "dependence_units": np.array([0, 4, 8]),
        "dependence_chance": np.array([0.0, 0.02]),
    }
    (drawn,) = comparisons([Layer("fc", {"n_units": Series((0,), (12.0,))}, arrays), Layer("without")])
    return drawn


def values(drawn: HeatMap) -> dict[tuple[int, int], float]:
    """What is drawn, by the layer's own unit numbers."""
    packed = np.frombuffer(b64decode(drawn.packed), "<i2")
    upper = zip(*np.triu_indices(len(drawn.units), 1), packed.tolist(), strict=True)
    return {tuple(sorted((drawn.units[i], drawn.units[j]))): value / SCALE for i, j, value in upper}


def test_a_comparison_has_three_maps_in_one_order_of_units() -> None:
    correlation, dependence, difference = compared(square(0.1, 0.9, 0.2), square(0.42, 0.83, -0.01), square(0.65, 0, 0))
    assert correlation.units == dependence.units == difference.units
    assert values(correlation) == pytest.approx({(0, 4): 0.1, (0, 8): 0.9, (4, 8): 0.2}, abs=1e-3)
    assert values(dependence) == pytest.approx({(0, 4): 0.754, (0, 8): 0.9, (4, 8): -0.141}, abs=1e-3)
    assert values(difference) == pytest.approx({(0, 4): 0.65, (0, 8): 0, (4, 8): 0}, abs=1e-3)
    assert difference.told == "Largest: 0 and 4: ρ 0.10, information 0.42 nats (as |ρ| 0.75)"
    assert "up to 0.20" in dependence.note  # √(1 − exp(−.04))
    assert correlation.note == "3 of 12 units are shown."


def test_only_infinite_information_is_drawn_as_determined() -> None:
    _, dependence, difference = compared(square(0, 1, 0.5), square(inf, 12, 0.1), square(0, 0, 0))
    assert values(dependence)[0, 4] == 1 and values(dependence)[0, 8] == 1 - 1 / SCALE
    assert "one determines the other" in dependence.told and difference.told == "No pair disagrees beyond chance"


def test_units_that_are_not_judged_are_counted() -> None:
    _, _, difference = compared(square(0.1, 0.2, 0.3), square(0.1, 0.1, 0.1), square(0, nan, nan))
    assert difference.note.endswith("Not judged: 1 unit that hardly varies.")


def test_a_comparison_without_any_pair_says_so() -> None:
    nothing = np.full((3, 3), nan)
    assert [drawn.told for drawn in compared(nothing, nothing, nothing)] == [
        "No pair has a correlation",
        "No pair has a dependence",
        "No pair disagrees beyond chance",
    ]
