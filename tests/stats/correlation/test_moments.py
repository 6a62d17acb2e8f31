import copy
import math
import pickle
from threading import Barrier, Thread

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import correlation, magnitudes

from cofire.stats import Moments, neuronal_correlation

DTYPES = [torch.float64, torch.float32]


def layer(n: int, d: int, *, offset: float = 0.0, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(n, d, generator=generator, dtype=torch.float64) @ torch.randn(
        d, d, generator=generator, dtype=torch.float64
    )
    return (mixed + offset * torch.randn(d, generator=generator, dtype=torch.float64)).to(dtype)


def gathered(x: torch.Tensor, size: int, **options) -> Moments:
    m = Moments(**options)
    for batch in x.split(size):
        m = m.update(batch)
    return m


@pytest.mark.parametrize("d", [1, 2, 7, 255, 256, 257, 600])
@pytest.mark.parametrize("compute_dtype", DTYPES)
def test_agrees_with_numpy_across_block_edges(d: int, compute_dtype: torch.dtype) -> None:
    x = layer(400, d, offset=10.0)
    m = gathered(x, 37, compute_dtype=compute_dtype)
    tolerance = 1e-12 if compute_dtype == torch.float64 else 1e-6
    np.testing.assert_allclose(m.correlation(), np.atleast_2d(np.corrcoef(x.T)), atol=tolerance)
    scale = np.atleast_2d(np.cov(x.T)).max()
    np.testing.assert_allclose(m.covariance() / scale, np.atleast_2d(np.cov(x.T)) / scale, atol=tolerance)
    np.testing.assert_allclose(m.mean(), x.mean(0), rtol=1e-12, atol=1e-12)


def test_large_offset_in_float32_agrees_with_sixty_digits() -> None:
    x = (torch.randn(60, 4) + torch.tensor([1e4, -1e4, 3e4, 0.0])).float()
    x[:, 3] += x[:, 0] - 1e4
    np.testing.assert_allclose(gathered(x, 7).correlation(), correlation(x.numpy()), atol=1e-11)


def test_float32_products_stay_below_1e_6_at_mean_1e4() -> None:
    x = torch.randn(5000, 40) + 1e4
    truth = np.corrcoef(x.double().numpy().T)
    for m in (gathered(x, 128, compute_dtype=torch.float32), gathered(x, 5000, compute_dtype=torch.float32)):
        assert np.abs(m.correlation().numpy() - truth).max() < 1e-6


def test_drifting_means_are_kept_apart_from_spread() -> None:
    x = torch.randn(3000, 5, dtype=torch.float64) + torch.arange(3000, dtype=torch.float64)[:, None] * 10
    np.testing.assert_allclose(gathered(x, 100).correlation(), np.corrcoef(x.T), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int32, torch.uint8, torch.bool])
def test_every_real_type_is_upcast_first(dtype: torch.dtype) -> None:
    x = (torch.rand(300, 5) * 4).floor().to(dtype)
    np.testing.assert_allclose(gathered(x, 50).correlation(), np.corrcoef(x.double().numpy().T), atol=1e-12)
    twin = Moments().update(x.double())
    torch.testing.assert_close(Moments().update(x).covariance(), twin.covariance(), rtol=1e-13, atol=1e-13)


def test_batches_of_different_types_mix() -> None:
    x = layer(90, 4)
    m = Moments().update(x[:30].float()).update(x[30:60]).update(x[60:].numpy())
    joined = torch.cat([x[:30].float().double(), x[30:]])
    np.testing.assert_allclose(m.correlation(), np.corrcoef(joined.T), atol=1e-13)
    assert m.count == 90


def test_none_and_one_sample_give_nan_and_no_exception() -> None:
    empty, one = Moments(), Moments().update(torch.ones(1, 3))
    assert empty.count == 0 and empty.mean().shape == (0,) and empty.correlation().shape == (0, 0)
    assert one.count == 1 and one.correlation().isnan().all() and one.covariance().isnan().all()
    assert not one.constant_units().any()
    for m in (empty, one):
        assert math.isnan(m.summary().mean_abs) and m.summary().n_pairs == 0
        assert m.quartiles().isnan().all() and m.histogram().sum() == 0


def test_empty_batch_shows_the_number_of_units() -> None:
    m = Moments().update(torch.empty(0, 5))
    assert m.count == 0 and m.n_units == 5 and m.mean().isnan().all() and m.covariance().isnan().all()
    assert m.summary().n_units == 5 and m.summary().n_nonfinite == 0
    with pytest.raises(ValueError, match="2 units, but earlier batches had 5"):
        m.update(layer(10, 2))
    with pytest.raises(ValueError, match="cannot merge"):
        m + Moments().update(layer(10, 2))
    for none in (m + Moments(), Moments() + m, m + m):
        assert none.count == 0 and none.n_units == 5
    five = layer(10, 5)
    late = Moments().update(five)
    for same in (Moments().update(five[:0]).update(five), m + late, late + m):
        assert torch.equal(same.covariance(), late.covariance()) and same.count == 10
    x = layer(10, 2)
    assert torch.equal(Moments().update(x).update(x[:0]).covariance(), Moments().update(x).covariance())


@pytest.mark.parametrize("value", [0.3, 1e8 + 0.1, -7e-300, 0.0])
@pytest.mark.parametrize("compute_dtype", DTYPES)
def test_constant_unit_has_variance_exactly_zero(value: float, compute_dtype: torch.dtype) -> None:
    x = torch.randn(254, 3, dtype=torch.float64)
    x[:, 1] = value
    m = gathered(x, 17, compute_dtype=compute_dtype)
    m = m + m
    assert m.variance()[1] == 0 and m.constant_units().tolist() == [False, True, False]
    assert m.correlation()[1].isnan().all() and m.correlation()[:, 1].isnan().all()
    summary = m.summary()
    assert (summary.n_constant, summary.n_pairs) == (1, 1)
    assert summary.mean_abs == pytest.approx(abs(np.corrcoef(x[:, 0], x[:, 2])[0, 1]), abs=1e-6)


def test_a_unit_that_fires_once_is_not_constant() -> None:
    x = torch.zeros(10_000, 2)
    x[5_000, 0] = 1e-20
    x[:, 1] = torch.randn(10_000)
    for compute_dtype in DTYPES:
        m = gathered(x, 100, compute_dtype=compute_dtype)
        assert not m.constant_units().any()
        assert m.correlation()[0, 1] == pytest.approx(np.corrcoef(x.double().T)[0, 1], abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("row", [0, 50])
def test_one_bad_value_poisons_its_unit_only(bad: float, row: int) -> None:
    x = layer(100, 300)
    clean = np.corrcoef(np.delete(x.numpy(), 299, axis=1).T)
    x[row, 299] = bad
    m = gathered(x, 30)
    assert m.correlation()[299].isnan().all()
    np.testing.assert_allclose(m.correlation()[:299, :299], clean, atol=1e-12)
    for summary in (m.summary(), neuronal_correlation(x)):
        assert summary.n_nonfinite == 1 and summary.n_constant == 0 and summary.n_pairs == 299 * 298 // 2
        assert summary.mean_abs == pytest.approx(magnitudes(clean).mean(), abs=1e-12)


def test_duplicate_is_one_negated_is_minus_one_never_beyond() -> None:
    x = layer(1000, 300, offset=100.0)
    x = torch.cat([x, x * 3 + 7, -x], 1)
    rho = gathered(x, 64).correlation()
    index = torch.arange(300)
    assert (rho.abs() <= 1).all()
    assert (rho[index, index + 300] == 1).all() and (rho[index, index + 600] == -1).all()


def test_scales_far_apart_lose_nothing() -> None:
    x = torch.randn(500, 3, dtype=torch.float64)
    x[:, 2] += x[:, 0]
    scaled = x * torch.tensor([1e-150, 1e150, 1e-25], dtype=torch.float64)
    for compute_dtype, tolerance in zip(DTYPES, (1e-13, 1e-6), strict=True):
        np.testing.assert_allclose(
            gathered(scaled, 50, compute_dtype=compute_dtype).correlation(), np.corrcoef(x.T), atol=tolerance
        )


def test_values_that_outgrow_the_first_batch_are_rescaled() -> None:
    x = torch.randn(400, 2, dtype=torch.float64)
    x[:200] *= 1e-30
    m = gathered(x, 200, compute_dtype=torch.float32)
    m.state()
    first = Moments(compute_dtype=torch.float32).update(x[:200])
    first.mean()
    np.testing.assert_allclose(first.update(x[200:]).correlation(), np.corrcoef(x.T), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=2, max_size=6), st.integers(1, 5), st.randoms(use_true_random=False))
def test_merging_in_any_order_is_one_pass(sizes: list[int], d: int, random) -> None:
    x = layer(sum(sizes), d, offset=5.0) if sum(sizes) else torch.empty(0, d, dtype=torch.float64)
    parts = [Moments().update(part) for part in x.split(sizes)]
    random.shuffle(parts)
    while len(parts) > 1:
        a = parts.pop(random.randrange(len(parts)))
        parts[0] = parts[0] + a if random.random() < 0.5 else a + parts[0]
    whole = Moments().update(x)
    assert parts[0].count == whole.count
    torch.testing.assert_close(parts[0].covariance(), whole.covariance(), rtol=1e-10, atol=1e-10, equal_nan=True)


def test_addition_changes_neither_operand() -> None:
    a, b = Moments().update(layer(30, 4)), Moments().update(layer(20, 4, offset=3.0, seed=1))
    before = [copy.deepcopy(m) for m in (a, b)]
    a + b
    for old, now in zip(before, (a, b), strict=True):
        assert old.count == now.count and torch.equal(old.covariance(), now.covariance())


def test_count_is_exact_past_two_to_the_24() -> None:
    m = Moments().update(torch.randn(10, 1))
    m.mean()
    m.state().count = 2**24
    assert m.update(torch.randn(1, 1)).count == 2**24 + 1


def test_process_wide_modes_change_nothing() -> None:
    x = torch.randn(300, 40)
    plain = Moments(compute_dtype=torch.float32).update(x).correlation()
    torch.set_float32_matmul_precision("medium")
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            m = Moments(compute_dtype=torch.float32).update(x)
            assert torch.equal(m.correlation(), plain)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.set_default_dtype(torch.float32)


def test_inference_mode_and_gradients_leave_no_trace() -> None:
    x = torch.randn(50, 3, requires_grad=True)
    with torch.inference_mode():
        m = Moments().update(x * 1)
    m = m.update(x)
    assert m.count == 100 and not m.covariance().requires_grad and not m.covariance().is_inference()


def test_copies_made_in_inference_mode_can_be_updated_outside() -> None:
    x = torch.randn(60, 3)
    p, q = Moments().update(x[:20]), Moments().update(x[20:50])
    with torch.inference_mode():
        copies = [p + q, Moments() + p, copy.deepcopy(p), pickle.loads(pickle.dumps(p))]
    for made in copies:
        expected = torch.cat([x[: made.count], x[50:]]).double().T.cov()
        torch.testing.assert_close(made.update(x[50:]).covariance(), expected)


@pytest.mark.parametrize(
    "copied",
    [
        lambda m: m + Moments(),
        lambda m: Moments() + m,
        copy.deepcopy,
        lambda m: pickle.loads(pickle.dumps(m)),
        lambda m: m,
    ],
)
def test_threads_may_read_copy_and_add(copied) -> None:
    x = layer(200, 600)
    expected = Moments().update(x).covariance()
    for _ in range(25):
        m, start, got = Moments().update(x), Barrier(2), []

        def copy_and_read(m=m, start=start, got=got) -> None:
            start.wait()
            got.append(copied(m).covariance())

        def read(m=m, start=start, got=got) -> None:
            start.wait()
            got.append(m.covariance())

        threads = [Thread(target=copy_and_read), Thread(target=read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        torch.testing.assert_close(got[0], expected)
        torch.testing.assert_close(got[1], expected)


def test_input_is_neither_kept_nor_changed() -> None:
    x = torch.randn(50, 3)
    before, m = x.clone(), Moments().update(x)
    assert torch.equal(x, before)
    x.zero_()
    np.testing.assert_allclose(m.correlation(), np.corrcoef(before.double().T), atol=1e-12)


def test_wrong_input_says_what_is_expected() -> None:
    with pytest.raises(ValueError, match=r"shape \(n_samples, n_units\).*got \(3,\)"):
        Moments().update(torch.ones(3))
    with pytest.raises(ValueError, match="4 units, but earlier batches had 3"):
        Moments().update(torch.ones(2, 3)).update(torch.ones(2, 4))
    with pytest.raises(ValueError, match="real numbers"):
        Moments().update(torch.ones(2, 2, dtype=torch.complex64))
    with pytest.raises(ValueError, match="real numbers"):
        Moments().update(np.array([["a", "b"]]))
    with pytest.raises(ValueError, match=r"real numbers, got torch\.float8_e5m2"):
        Moments().update(torch.ones(2, 2).to(torch.float8_e5m2))
    with pytest.raises(ValueError, match="meta device"):
        Moments().update(torch.ones(2, 2, device="meta"))
    with pytest.raises(ValueError, match="has masked values"):
        Moments().update(np.ma.masked_less(np.arange(6.0).reshape(3, 2), 2))
    with pytest.raises(ValueError, match=r"bins must be a whole number of at least 1, got 2\.5"):
        Moments().update(torch.ones(2, 2)).histogram(2.5)  # pyright: ignore
    with pytest.raises(ValueError, match="compute_dtype must be"):
        Moments(compute_dtype=torch.float16)
    with pytest.raises(ValueError, match="cannot merge moments of 3 units with moments of 2"):
        Moments().update(torch.ones(2, 3)) + Moments().update(torch.ones(2, 2))
    with pytest.raises(TypeError):
        Moments() + 3


@pytest.mark.parametrize("compute_dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e30, 5e37])
def test_float32_at_the_ends_of_its_range(scale: float, compute_dtype: torch.dtype) -> None:
    x = (layer(200, 5).float() / 30).clamp(-1, 1) * scale
    truth = np.corrcoef(x.double().numpy().T / scale)
    np.testing.assert_allclose(gathered(x, 60, compute_dtype=compute_dtype).correlation(), truth, atol=1e-6)


def test_nothing_asked_of_an_empty_state_raises() -> None:
    m = Moments()
    rho, partner = m.strongest_partner()
    assert len(rho) == len(partner) == 0 and m.histogram().sum() == 0 and m.quartiles().isnan().all()
    assert m.summary().n_pairs == 0 and math.isnan(m.summary().mean_abs)


def test_mean_of_a_bad_unit_is_nan_in_whatever_pieces_it_came() -> None:
    x = layer(60, 3)
    x[20, 1] = math.inf
    pieces = [Moments().update(part) for part in x.split(20)]
    for m in (gathered(x, 60), gathered(x, 1), pieces[0] + pieces[1] + pieces[2], pieces[2] + pieces[1] + pieces[0]):
        assert m.mean().isnan().tolist() == [False, True, False] and m.summary().n_nonfinite == 1


def test_it_says_what_it_holds() -> None:
    assert repr(Moments()) == "Moments(nothing yet, compute_dtype=torch.float64, device='cpu')"
    found = Moments(compute_dtype=torch.float32).update(torch.zeros(1200, 3))
    assert repr(found) == "Moments(count=1,200, n_units=3, compute_dtype=torch.float32, device='cpu')"


def test_counts_are_exact_beyond_float32_and_float64() -> None:
    once = Moments().update(layer(1001, 4))
    many = once
    for _ in range(50):
        many = many + many
    assert many.count == many.summary().n_samples == 1001 * 2**50
    assert (many + once).count == 1001 * 2**50 + 1001
    torch.testing.assert_close(many.correlation(), once.correlation(), rtol=0, atol=1e-12)
