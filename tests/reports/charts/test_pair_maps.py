from base64 import b64decode
from itertools import pairwise
from math import inf, nan
from zlib import decompress

import numpy as np
import pytest

from cofire.reports.charts import pair_maps
from cofire.reports.charts.pair_maps import Detail, Pairs, pack_levels, pack_pairs, pairs_of_layers
from cofire.reports.data.run_view import Layer, Series


def bytes_of(packed: str) -> np.ndarray:
    return np.frombuffer(decompress(b64decode(packed)), np.uint8).astype(int)


def unpacked(packed: str) -> np.ndarray:
    """As the page's script reads a map."""
    level = bytes_of(packed)
    return np.where(level == 0, nan, np.sin((level - 128) / 127 * np.pi / 2))


def square(*upper: float) -> np.ndarray:
    """A symmetric matrix of three units from its pairs (0, 1), (0, 2), (1, 2)."""
    matrix = np.full((3, 3), nan)
    matrix[np.triu_indices(3, 1)] = upper
    return np.where(np.isnan(matrix), matrix.T, matrix).astype(np.float16)


def layer_of(history: dict[str, dict[int, np.ndarray]], n_units: float = 12) -> Layer:
    arrays = {name: of_steps[max(of_steps)] for name, of_steps in history.items()}
    return Layer("fc", {"n_units": Series((0,), (n_units,))}, arrays, history)


def pairs_of(history: dict[str, dict[int, np.ndarray]]) -> Pairs:
    (found,) = pairs_of_layers([layer_of(history), Layer("without")])
    return found


def values(pairs: Pairs, kind: str, step: int) -> dict[tuple[int, int], float]:
    """What is drawn, by the layer's own unit numbers."""
    drawn = pairs.maps[kind]
    upper = zip(*np.triu_indices(len(drawn.units), 1), unpacked(drawn.packed[step]), strict=True)
    return {tuple(sorted((drawn.units[i], drawn.units[j]))): float(value) for i, j, value in upper}


COMPARED = {
    "correlation": {0: square(0, 0, 0), 5: square(0.1, 0.9, 0.2)},
    "correlation_units": {0: np.array([0, 4, 8]), 5: np.array([0, 4, 8])},
    "dependence": {5: square(0.42, inf, -0.01)},
    "dependence_correlation": {5: square(0.1, 0.9, 0.2)},
    "dependence_difference": {5: square(0.65, 0, nan)},
    "dependence_units": {5: np.array([0, 4, 8])},
    "dependence_chance": {5: np.array([0.0, 0.02])},
}


@pytest.mark.parametrize("n_units", [2, 9])
def test_packing_is_within_a_step_and_finest_near_one(n_units: int) -> None:
    generator = np.random.default_rng(0)
    rho = generator.uniform(-1, 1, (n_units, n_units))
    upper = rho[np.triu_indices(n_units, 1)]
    assert np.abs(unpacked(pack_pairs(rho)) - upper).max() < 0.0063
    near = np.array([[1, 0.985], [0.985, 1]])
    assert unpacked(pack_pairs(near))[0] == pytest.approx(0.985, abs=0.0011)


def test_the_ends_and_nothing_are_exact() -> None:
    found = unpacked(pack_pairs(square(1.0, -1.0, 0.0).astype(float)))
    assert found.tolist() == [1, -1, 0]
    assert bytes_of(pack_pairs(square(nan, 1.0002, 0).astype(float))).tolist() == [0, 255, 128]


def test_levels_are_held_unit_by_unit() -> None:
    assert bytes_of(pack_levels(np.array([[0.0, 1.0], [0.5, nan], [1.0, 0.0]]))).tolist() == [1, 128, 255, 255, 0, 1]


def test_all_kinds_of_maps_have_the_layers_units_in_one_order() -> None:
    pairs = pairs_of(COMPARED)
    assert len({drawn.units for drawn in pairs.maps.values()}) == 1
    assert {kind: list(drawn.packed) for kind, drawn in pairs.maps.items()} == {
        "correlation": [0, 5],
        "information": [5],
        "difference": [5],
    }
    assert values(pairs, "correlation", 5) == pytest.approx({(0, 4): 0.1, (0, 8): 0.9, (4, 8): 0.2}, abs=0.007)
    assert values(pairs, "difference", 5) == pytest.approx(
        {(0, 4): 0.65, (0, 8): 0, (4, 8): nan}, abs=0.007, nan_ok=True
    )
    assert pairs.chance[5] == pytest.approx(0.198, abs=1e-3)  # √(1 − exp(−.04))


def test_only_infinite_information_is_one() -> None:
    information = values(pairs_of(COMPARED | {"dependence": {5: square(12, inf, -0.01)}}), "information", 5)
    assert information[0, 8] == 1 and 0.99 < information[0, 4] < 1
    assert information[4, 8] == pytest.approx(-0.14, abs=0.007)


def test_dependence_alone_brings_its_own_correlation() -> None:
    pairs = pairs_of({name: found for name, found in COMPARED.items() if not name.startswith("correlation")})
    assert list(pairs.maps["correlation"].packed) == [5]
    assert values(pairs, "correlation", 5)[0, 8] == pytest.approx(0.9, abs=0.007)


def test_units_that_an_earlier_recording_lacks_are_undefined_there() -> None:
    history = {
        "correlation": {0: square(0.3, 0.4, 0.5)[:2, :2], 5: square(0.1, 0.9, 0.2)},
        "correlation_units": {0: np.array([8, 0]), 5: np.array([0, 4, 8])},
    }
    found = values(pairs_of(history), "correlation", 0)
    assert found[0, 8] == pytest.approx(0.3, abs=0.007) and np.isnan(found[0, 4]) and np.isnan(found[4, 8])


def test_a_sample_keeps_its_range_by_step() -> None:
    sample = {0: np.array([[0, 1], [1, 0]], np.float16), 5: np.array([[0.5, 1], [1, 0]], np.float16)}
    ranges = {0: np.array([[0, -1], [2, 1]]), 5: np.array([[0.0, -3.0], [4.0, 3.0]])}
    pairs = pairs_of(COMPARED | {"sample": sample, "sample_range": ranges, "sample_units": {5: np.array([0, 8])}})
    assert pairs.sample is not None
    assert (pairs.sample.units, list(pairs.sample.packed)) == ((0, 8), [0, 5])
    assert pairs.sample.high == {0: (2.0, 1.0), 5: (4.0, 3.0)}
    assert bytes_of(pairs.sample.packed[5]).tolist() == [128, 255, 255, 1]


def test_a_page_holds_as_much_detail_as_it_can_bear(monkeypatch: pytest.MonkeyPatch) -> None:
    rho = np.corrcoef(np.random.default_rng(0).standard_normal((200, 300)))
    history = {
        "correlation": dict.fromkeys(range(10), rho),
        "correlation_units": dict.fromkeys(range(10), np.arange(200)),
    }
    assert len(pairs_of(history).maps["correlation"].units) == 200
    for most, units, steps in ((150_000, 128, 10), (7_500, 64, 3), (0, 32, 1)):
        monkeypatch.setattr(pair_maps, "MOST_OF_MAPS", most)
        drawn = pairs_of(history).maps["correlation"]
        assert (len(drawn.units), len(drawn.packed)) == (units, steps) and max(drawn.packed) == 9
        assert most == 0 or sum(map(len, drawn.packed.values())) <= most


def test_several_runs_share_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    rho = np.corrcoef(np.random.default_rng(0).standard_normal((256, 300)))
    layer = layer_of({"correlation": {0: rho}, "correlation_units": {0: np.arange(256)}})
    monkeypatch.setattr(pair_maps, "MOST_OF_MAPS", 50_000)
    shown = [len(pairs_of_layers([layer], n_runs=n)[0].maps["correlation"].units) for n in (1, 2, 8)]
    assert shown == [256, 192, 96]


def test_details_only_ever_get_smaller() -> None:
    for details in (pair_maps.MAP_DETAILS, pair_maps.SAMPLE_DETAILS):
        assert all(a.units >= b.units and a.steps >= b.steps for a, b in pairwise(details))
    assert Detail(64, 4).chosen_steps(list(range(100)))[-1] == 99
