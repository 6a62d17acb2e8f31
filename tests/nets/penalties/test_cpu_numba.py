"""Squared correlations in the host's memory: compiled loops against tensor operations, there and back."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cofire.nets.penalties import batch_arithmetic, correlation_penalty, cpu_arithmetic
from cofire.nets.penalties.cpu_numba import keep_strongest
from cofire.nets.penalties.process_group import Alone

TINY, CONSTANT = 4, 2  # in a_batch


def there_and_back(x: Tensor, *, compiled: bool, top: float = 1.0) -> tuple[Tensor, int, int, Tensor]:
    x = x.clone().requires_grad_()
    found = (
        cpu_arithmetic.squared_correlations(x, top)
        if compiled
        else batch_arithmetic.squared_correlations(x, top, Alone())
    )
    assert found.n_samples == len(x)
    return found.total.detach(), int(found.n_units), int(found.n_pairs), torch.autograd.grad(found.total, x)[0]


def a_batch(n_samples: int, dtype: torch.dtype) -> Tensor:
    x = torch.randn(n_samples, 9, generator=torch.Generator().manual_seed(3)) * 2 + 1000
    x[:, CONSTANT] = 0.3
    x[:, TINY] = x[:, TINY] * 1e-30  # in float32 its squares underflow
    return x.to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-11)])
@pytest.mark.parametrize("n_samples", [1, 2, 8, 9, 63, 64, 65, 300])
@pytest.mark.parametrize("top", [1.0, 0.5, 1e-9])
def test_loops_equal_tensors(dtype, tolerance, n_samples, top) -> None:
    x = a_batch(n_samples, dtype)
    if dtype == torch.float32:
        x[:, TINY] = x[:, 0] + 3.0
    fast = there_and_back(x, compiled=True, top=top)
    plain = there_and_back(x.double(), compiled=False, top=top)
    assert fast[0].item() == pytest.approx(plain[0].item(), rel=tolerance)
    assert fast[1:3] == plain[1:3]
    usual = [unit for unit in range(9) if unit != TINY]  # its gradient is 1e30 times what rounding left of a difference
    difference = (fast[3].double() - plain[3])[:, usual].abs().max()
    assert difference <= 3 * tolerance * max(1.0, plain[3][:, usual].abs().max().item())
    assert not fast[3][:, CONSTANT].any()


@pytest.mark.parametrize("top", [1.0, 0.5])
def test_squares_that_underflow_count_as_constant(top) -> None:
    x = a_batch(40, torch.float32)
    for compiled in (True, False):
        _, n_units, _, grad = there_and_back(x, compiled=compiled, top=top)
        assert n_units == 7
        assert not grad[:, [CONSTANT, TINY]].any()


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, 1e30])
@pytest.mark.parametrize("n_samples", [6, 20])
def test_what_is_not_a_number_and_what_overflows_is_seen(odd, n_samples) -> None:
    x = a_batch(n_samples, torch.float32)
    x[-1, 1] = odd
    for top in (1.0, 0.1):
        for compiled in (True, False):
            total, n_units, _, grad = there_and_back(x, compiled=compiled, top=top)
            assert total.isnan()
            assert n_units == 7
            assert grad[:, 1].isnan().all()


@pytest.mark.parametrize("layout", ["transposed", "strided", "channels"])
def test_any_layout_is_taken(layout) -> None:
    x = {
        "transposed": torch.randn(9, 30).T,
        "strided": torch.randn(60, 18)[::2, ::2],
        "channels": torch.randn(5, 6, 9).movedim(0, 1).reshape(30, 9),
    }[layout]
    fast, plain = (there_and_back(x, compiled=compiled) for compiled in (True, False))
    torch.testing.assert_close(fast, plain)


@pytest.mark.parametrize("shape", [(4, 7), (12, 4)])
@pytest.mark.parametrize("top", [1.0, 0.4])
def test_second_derivatives_are_those_of_tensors(shape, top) -> None:
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: cpu_arithmetic.squared_correlations(x, top).total, x)
    direction, hessians = torch.randn(shape, dtype=torch.float64), []
    for squares in (
        cpu_arithmetic.squared_correlations(x, top).total,
        batch_arithmetic.squared_correlations(x, top, Alone()).total,
    ):
        (grad,) = torch.autograd.grad(squares, x, create_graph=True)
        hessians.append(torch.autograd.grad((grad * direction).sum(), x)[0])
    torch.testing.assert_close(*hessians)


def test_second_derivatives_of_pairs_that_do_not_correlate() -> None:
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64, requires_grad=True)
    assert correlation_penalty(x).item() == 0.5
    (grad,) = torch.autograd.grad(correlation_penalty(x), x, create_graph=True)
    assert not grad.any()
    assert torch.autograd.grad(grad.square().sum() + grad[0, 1], x)[0].any()


def naive_strongest(pairs: Tensor, n_wanted: int) -> Tensor:
    """One after the other, of equals the first."""
    kept, n = torch.zeros_like(pairs), len(pairs)
    order = sorted(((i, j) for i in range(n) for j in range(i + 1, n)), key=lambda at: -abs(pairs[at].item()))
    for i, j in order[:n_wanted]:
        kept[i, j] = kept[j, i] = pairs[i, j]
    return kept


def a_table(kind: str, n: int, dtype: torch.dtype) -> Tensor:
    some = torch.rand(n, n, dtype=dtype) * 2 - 1
    values = {
        "any": some,
        "alike": 0.5 + some * 1e-5,
        "ties": (some * 3).round() / 3,
        "all equal": torch.full_like(some, -0.25),
        "tiny": some * torch.finfo(dtype).tiny,
        "few": some * (some > 0.9),
    }[kind].triu(1)
    return values + values.T


@pytest.mark.parametrize("kind", ["any", "alike", "ties", "all equal", "tiny", "few"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [2, 17, 70])
def test_the_strongest_pairs_are_kept(kind, dtype, n) -> None:
    pairs, n_pairs = a_table(kind, n, dtype), n * (n - 1) // 2
    for n_wanted in {1, max(n_pairs // 10, 1), n_pairs - 1 or 1, n_pairs}:
        found = pairs.clone()
        table = found.numpy()
        keep_strongest(table, table.view(f"u{table.itemsize}"), n_wanted)
        assert torch.equal(found, naive_strongest(pairs, n_wanted))


@pytest.mark.parametrize("odd", [math.nan, -math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_table_that_holds_what_is_not_a_number_stays(odd, dtype) -> None:
    table = a_table("any", 9, torch.float64).numpy().astype(dtype)
    table[2, 5] = table[5, 2] = odd
    before = table.copy()
    keep_strongest(table, table.view(f"u{table.itemsize}"), 3)
    np.testing.assert_array_equal(table, before)
