import math

import naive_weights as naive
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cofire.stats.correlation import pair_tiles
from cofire.stats.correlation.pair_tiles import BLOCK
from cofire.stats.weights import cosine_sums, resultant
from cofire.stats.weights.weight_correlation import (
    weight_correlation,
    weight_correlation_quartiles,
    weight_correlation_summary,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("shape", [(2, 1), (2, 3), (7, 4), (40, 3), (30, 5, 3, 3), (12, 2, 3), (6, 2, 2, 2, 2)])
def test_against_loops(shape, absolute):
    weight = normal(*shape)
    expected = naive.weight_correlation(weight.flatten(1).numpy(), absolute)
    result = weight_correlation(weight, absolute)
    assert result.shape == ()
    assert result.dtype == torch.float64
    assert result.item() == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("n_units", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_tiles_meet(n_units, monkeypatch):
    monkeypatch.setattr(cosine_sums, "TILE_ROWS", 100)
    monkeypatch.setitem(resultant.BUFFER_BYTES, "cpu", 7 * 8 * 5)
    weight = normal(n_units, 5)
    unit = torch.nn.functional.normalize(weight)
    values = (unit @ unit.T)[torch.ones(n_units, n_units).triu(1).bool()]
    assert weight_correlation(weight).item() == pytest.approx(values.abs().mean().item(), abs=1e-13)
    assert weight_correlation(weight, absolute=False).item() == pytest.approx(values.mean().item(), abs=1e-13)
    expected = values.abs().quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    torch.testing.assert_close(weight_correlation_quartiles(weight), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("fan_in", "expected"), [(9, 0.27344), (20, 0.18066), (100, 0.07999), (784, 0.02850)])
def test_random_weights_have_the_known_mean(fan_in, expected):
    weight = normal(600, fan_in)
    assert weight_correlation(weight).item() == pytest.approx(expected, rel=0.02)
    assert abs(weight_correlation(weight, absolute=False).item()) < 0.002
    assert expected == pytest.approx(
        math.exp(math.lgamma(fan_in / 2) - math.lgamma((fan_in + 1) / 2)) / math.pi**0.5, abs=6e-6
    )


def test_quartiles_of_many_pairs_agree_with_sorting():
    weight = normal(1600, 6).float()  # more pairs than are ever sorted
    unit = torch.nn.functional.normalize(weight.double())
    values = (unit @ unit.T).abs()[torch.ones(1600, 1600).triu(1).bool()].numpy()
    np.testing.assert_allclose(weight_correlation_quartiles(weight), np.quantile(values, [0.25, 0.5, 0.75]), atol=3e-7)


@pytest.mark.parametrize("few", [0, pair_tiles.FEW_PAIRS])
@pytest.mark.parametrize("n_zero", [0, 1, 25])
def test_quartiles_of_what_has_a_direction_sorted_or_counted(n_zero, few, monkeypatch):
    monkeypatch.setattr(pair_tiles, "FEW_PAIRS", few)
    monkeypatch.setattr(pair_tiles, "BLOCK", 16)
    weight = normal(40, 6)
    method = "linear" if few else "lower"  # counts find one value of the data
    expected = np.quantile(np.abs(naive.cosines(weight.numpy())), [0.25, 0.5, 0.75], method=method)
    with_zeros = torch.cat([weight, torch.zeros(n_zero, 6, dtype=torch.float64)])[torch.randperm(40 + n_zero)]
    summary = weight_correlation_summary(with_zeros)
    np.testing.assert_allclose(weight_correlation_quartiles(with_zeros), expected, rtol=0, atol=7e-8)
    assert summary.median == pytest.approx(expected[1], abs=7e-8)
    assert summary.mean_abs == pytest.approx(naive.weight_correlation(weight.numpy()), abs=1e-13)


def test_simplex_reaches_the_lower_bound():
    simplex = torch.eye(5, dtype=torch.float64) - 0.2
    assert weight_correlation(simplex, absolute=False).item() == pytest.approx(-1 / 4, abs=1e-14)
    assert weight_correlation(simplex).item() == pytest.approx(1 / 4, abs=1e-14)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types(dtype):
    weight = normal(20, 30).to(dtype)
    expected = naive.weight_correlation(weight.double().numpy())
    assert weight_correlation(weight).item() == pytest.approx(expected, abs=1e-7)
    signed = naive.weight_correlation(weight.double().numpy(), absolute=False)
    assert weight_correlation(weight, absolute=False).item() == pytest.approx(signed, abs=1e-14)


def test_integers_booleans_and_numpy():
    weight = torch.tensor([[1, 0, 1], [1, 1, 0], [0, 0, 1]])
    expected = weight_correlation(weight.double())
    for same in (weight, weight.bool(), weight.to(torch.uint8), weight.numpy(), weight.numpy().astype(np.float16)):
        torch.testing.assert_close(weight_correlation(same), expected, rtol=0, atol=1e-7)
    assert weight_correlation(weight).item() == pytest.approx((0.5 + 0.5**0.5 + 0) / 3)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-30, 1e30, 1e200])
def test_scale_does_not_matter(scale):
    weight = normal(12, 5)
    for absolute in (True, False):
        expected = weight_correlation(weight, absolute).item()
        assert weight_correlation(weight * scale, absolute).item() == pytest.approx(expected, abs=1e-13)
        rows = torch.tensor([scale, 1.0] * 6, dtype=torch.float64)[:, None]
        assert weight_correlation(weight * rows, absolute).item() == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("scale", [1e-36, 1e36])
def test_scale_in_float32(scale):
    weight = normal(12, 5).float()
    assert weight_correlation(weight * scale).item() == pytest.approx(weight_correlation(weight).item(), abs=1e-6)


def test_duplicates_and_opposites():
    row = normal(1, 300).float()
    weight = torch.cat([row, row, -row])
    assert weight_correlation(weight).item() == pytest.approx(1.0, abs=1e-7)
    assert weight_correlation(weight).item() <= 1
    assert weight_correlation(weight, absolute=False).item() == pytest.approx(-1 / 3, abs=1e-14)


def test_zero_and_nonfinite_vectors_are_left_out_and_counted():
    weight = normal(9, 4)
    kept = weight[[0, 2, 4, 6, 7, 8]]
    weight[1] = 0.0
    weight[3, 2] = torch.nan
    weight[5, 0] = -torch.inf
    for absolute in (True, False):
        expected = weight_correlation(kept, absolute)
        torch.testing.assert_close(weight_correlation(weight, absolute), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(weight_correlation_quartiles(weight), weight_correlation_quartiles(kept))
    summary = weight_correlation_summary(weight)
    assert (summary.n_vectors, summary.n_zero, summary.n_nonfinite, summary.n_pairs) == (9, 1, 2, 15)


def test_summary_agrees_with_its_parts():
    weight = normal(15, 6)
    summary = weight_correlation_summary(weight)
    assert summary.mean_abs == weight_correlation(weight).item()
    assert summary.mean == weight_correlation(weight, absolute=False).item()
    quartiles = [summary.lower_quartile, summary.median, summary.upper_quartile]
    assert quartiles == weight_correlation_quartiles(weight).tolist()


@pytest.mark.parametrize(
    "weight",
    [
        torch.ones(1, 4),
        torch.tensor([[0.1, 0.2, 0.7]]),  # of length 1 but for rounding
        torch.zeros(5, 4),
        torch.tensor([[1.0], [torch.nan]]),
    ],
)
def test_without_a_pair_nothing_is_defined(weight):
    assert weight_correlation(weight).isnan()
    assert weight_correlation(weight, absolute=False).isnan()
    assert weight_correlation_quartiles(weight).isnan().all()
    assert weight_correlation_summary(weight).n_pairs == 0


@pytest.mark.parametrize("seed", range(20))
def test_one_vector_has_no_signed_mean_whatever_its_rounding(seed):
    assert weight_correlation(normal(1, 7, seed=seed), absolute=False).isnan()
    one_of_three = torch.cat([torch.zeros(2, 7, dtype=torch.float64), normal(1, 7, seed=seed)])
    assert weight_correlation(one_of_three, absolute=False).isnan()


@pytest.mark.parametrize("n_units", [2, 3, 5, 17])
def test_copies_never_exceed_one(n_units):
    for seed in range(10):
        weight = normal(1, 9, seed=seed).expand(n_units, 9)
        assert weight_correlation(weight, absolute=False).item() == pytest.approx(1, abs=1e-14)
        assert weight_correlation(weight, absolute=False).item() <= 1
        assert weight_correlation(weight).item() <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_signed_mean_of_a_large_layer_in_long_doubles(dtype):
    # large enough for the compiled pass; two of the rows are far longer than the others
    weight = normal(300, 4000).to(dtype)
    weight[[3, 7]] *= 1000
    exact = weight.numpy().astype(np.longdouble)
    total = (exact / np.sqrt((exact * exact).sum(1, keepdims=True))).sum(0)
    expected = float(((total * total).sum() - 300) / (300 * 299))
    for stored, unit_axis in [(weight, 0), (weight.T.contiguous(), 1)]:
        found = weight_correlation(stored, absolute=False, unit_axis=unit_axis).item()
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-16)


@pytest.mark.parametrize("absolute", [True, False])
def test_views_are_read_as_they_are(absolute):
    stored = normal(20, 12)
    for view in (stored[::2], stored[:, ::3], stored.T, stored.flip(0), stored[:, 2:7]):
        expected = weight_correlation(view.contiguous(), absolute).item()
        assert weight_correlation(view, absolute).item() == pytest.approx(expected, abs=1e-14)
        assert weight_correlation(view.numpy(), absolute).item() == pytest.approx(expected, abs=1e-14)


def test_two_vectors_at_an_angle():
    for degrees in (0.01, 30, 60, 90, 120, 179.99):
        angle = math.radians(degrees)
        weight = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]], dtype=torch.float64)
        assert weight_correlation(weight, absolute=False).item() == pytest.approx(math.cos(angle), abs=1e-15)
        assert weight_correlation(weight).item() == pytest.approx(abs(math.cos(angle)), abs=1e-15)


def test_default_dtype_and_inference_mode_do_not_matter():
    weight = normal(10, 6)
    expected = weight_correlation_summary(weight)
    torch.set_default_dtype(torch.float16)
    try:
        with torch.inference_mode():
            assert weight_correlation_summary(weight) == expected
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("absolute", [True, False])
def test_grouped_convolution_is_its_dense_equivalent(absolute):
    conv = nn.Conv2d(6, 12, 3, groups=3)
    dense = naive.dense_rows(conv.weight.detach().numpy(), 3)
    expected = naive.weight_correlation(dense.reshape(12, -1), absolute)
    assert weight_correlation(conv.weight, absolute, groups=3).item() == pytest.approx(expected, abs=1e-7)
    by_channel = weight_correlation(conv.weight, absolute, groups=3, reading="per_input_channel")
    assert by_channel.item() == pytest.approx(naive.per_input_channel(dense, absolute), abs=1e-7)


def test_quartiles_of_a_grouped_convolution_count_the_orthogonal_pairs():
    conv = nn.Conv1d(4, 8, 3, groups=4)
    values = np.abs(naive.cosines(naive.dense_rows(conv.weight.detach().numpy(), 4).reshape(8, -1)))
    expected = np.quantile(values, [0.25, 0.5, 0.75])
    np.testing.assert_allclose(weight_correlation_quartiles(conv.weight, groups=4), expected, atol=1e-7)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("absolute", [True, False])
def test_transposed_convolution(groups, absolute):
    conv = nn.ConvTranspose2d(4, 6, 2, groups=groups)
    dense = naive.transposed_dense_rows(conv.weight.detach().numpy(), groups)
    expected = naive.weight_correlation(dense.reshape(6, -1), absolute)
    result = weight_correlation(conv.weight, absolute, unit_axis=1, groups=groups)
    assert result.item() == pytest.approx(expected, abs=1e-7)


def test_embedding_units_are_features():
    table = nn.Embedding(50, 7).weight
    expected = naive.weight_correlation(table.detach().numpy().T)
    assert weight_correlation(table, unit_axis=1).item() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("absolute", [True, False])
def test_per_input_channel(absolute):
    weight = normal(5, 3, 2, 2)
    weight[:, 1] = 0.0  # a channel that nothing reads has no cosines, and is no zero in the average
    result = weight_correlation(weight, absolute, reading="per_input_channel")
    expected = naive.per_input_channel(weight[:, [0, 2]].numpy(), absolute)
    assert result.item() == pytest.approx(expected, abs=1e-13)
    assert weight_correlation_summary(weight, reading="per_input_channel").n_zero == 5


def test_gradients_autocast_and_the_argument_are_left_alone():
    layer = nn.Linear(30, 20)
    before = layer.weight.detach().clone()
    plain = weight_correlation(layer.weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(weight_correlation(layer.weight), plain)
    assert not plain.requires_grad
    assert torch.equal(layer.weight, before)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(1, 8), st.integers(0, 10_000))
def test_laws(n_units, fan_in, seed):
    weight = normal(n_units, fan_in, seed=seed)
    absolute, signed = weight_correlation(weight).item(), weight_correlation(weight, absolute=False).item()
    assert -1 / (n_units - 1) - 1e-12 <= signed <= absolute + 1e-12
    assert absolute <= 1 + 1e-12
    order = torch.randperm(n_units)
    lengths = normal(n_units, 1, seed=seed + 1).exp()
    assert weight_correlation((weight * lengths)[order]).item() == pytest.approx(absolute, abs=1e-12)
    assert weight_correlation((weight * lengths)[order], absolute=False).item() == pytest.approx(signed, abs=1e-12)
    flips = normal(n_units, 1, seed=seed + 2).sign()
    assert weight_correlation(weight * flips).item() == pytest.approx(absolute, abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.ones(3),), r"shape \(out, in, ...\)"),
        ((torch.ones(0, 3),), "no empty axis"),
        ((torch.ones(2, 2, dtype=torch.complex64),), "real numbers"),
    ],
)
def test_what_is_no_weight_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        weight_correlation(*arguments)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((4, 3), {"reading": "per_input_channel"}, "at least two positions"),
        ((4, 3, 1, 1), {"reading": "per_input_channel"}, "use reading='flattened'"),
        ((4, 3, 2), {"reading": "rows"}, "got 'rows'"),
        ((4, 3, 2), {"groups": 3}, "groups must divide"),
        ((4, 3, 2), {"unit_axis": 2}, "unit_axis must be 0, or 1"),
    ],
)
def test_impossible_options_are_refused(shape, options, message):
    with pytest.raises(ValueError, match=message):
        weight_correlation(torch.ones(shape), **options)


def test_a_zero_vector_costs_the_others_no_digit() -> None:
    weight = torch.randn(20, 7)
    expected = weight_correlation(weight, absolute=False)
    with_zero = weight_correlation(torch.cat([weight, torch.zeros(1, 7)]), absolute=False)
    assert with_zero.item() == pytest.approx(expected.item(), abs=1e-15)
