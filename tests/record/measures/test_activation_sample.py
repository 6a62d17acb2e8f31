import numpy as np
import pytest
import torch

from cofire.record import correlation, dependence
from cofire.record.measures.activation_sample import (
    SAMPLE_ROWS,
    SAMPLE_UNITS,
    chosen_rows,
    evenly_spaced,
    sample_arrays,
)


def test_a_sample_with_its_range_gives_the_activations_back() -> None:
    x = torch.randn(1000, 300, generator=torch.Generator().manual_seed(0)) * 50 + 1e6
    kept = sample_arrays(x)
    assert kept["sample"].shape == (SAMPLE_ROWS, SAMPLE_UNITS) and kept["sample"].dtype == torch.float16
    low, high = kept["sample_range"]
    again = kept["sample"].double() * (high - low) + low
    expected = x[chosen_rows(1000, SAMPLE_ROWS)][:, kept["sample_units"]].double()
    assert (again - expected).abs().max() < 1e-3 * (high - low).max()


@pytest.mark.parametrize("n_samples", [0, 1, 7])
def test_few_rows_and_units_are_all_kept(n_samples: int) -> None:
    kept = sample_arrays(torch.randn(n_samples, 3))
    assert kept["sample"].shape == (n_samples, 3) and kept["sample_units"].tolist() == [0, 1, 2]


def test_zeros_of_a_relu_stay_zeros_and_constant_units_are_flat() -> None:
    x = torch.relu(torch.randn(100, 2, generator=torch.Generator().manual_seed(0)))
    kept = sample_arrays(torch.cat([x, torch.full((100, 1), 5.0)], 1))
    assert torch.equal(kept["sample"][:, :2] == 0, x == 0)
    assert not kept["sample"][:, 2].any() and kept["sample_range"][:, 2].tolist() == [5.0, 5.0]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_unit_that_is_not_finite_does_not_touch_others(bad: float) -> None:
    x = torch.rand(50, 2, dtype=torch.float16)
    x[3, 0] = bad
    kept = sample_arrays(x)
    assert not torch.isfinite(kept["sample"][3, 0]) and torch.isfinite(kept["sample"][:, 1]).all()


def test_the_same_rows_are_kept_whenever_there_are_as_many() -> None:
    assert torch.equal(chosen_rows(1000, 256), chosen_rows(1000, 256)) and chosen_rows(5, 9).tolist() == list(range(5))
    state = torch.get_rng_state()
    chosen_rows(1000, 256)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("n_units", [100, 129, 200, 1000, 4097])
def test_units_of_a_smaller_choice_are_among_those_of_a_larger(n_units: int) -> None:
    assert set(evenly_spaced(n_units, 128).tolist()) <= set(evenly_spaced(n_units, 256).tolist())


def test_correlation_keeps_a_sample_of_the_units_that_dependence_maps() -> None:
    x = torch.randn(300, 200, generator=torch.Generator().manual_seed(0))
    arrays = correlation().array_values((x,))
    assert np.isfinite(arrays["sample"]).all()
    assert set(dependence(map_units=16).array_values((x,))["dependence_units"]) <= set(arrays["correlation_units"])
    assert len(arrays["sample_units"]) == SAMPLE_UNITS
