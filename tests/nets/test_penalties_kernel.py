"""Standardizing columns: compiled loops against tensor operations, there and back."""

import pytest
import torch
from torch import Tensor

from cofire.nets.penalties import _batch
from cofire.nets.penalties._batch import standardized
from cofire.nets.penalties._ranks import Alone


def there_and_back(x: Tensor, grad: Tensor, *, compiled: bool, monkeypatch) -> tuple[Tensor, Tensor, Tensor]:
    with monkeypatch.context() as patch:
        if not compiled:
            patch.setattr(_batch, "_compiles", lambda x, ranks: False)
        x = x.clone().requires_grad_()
        units, varies, _ = standardized(x, Alone())
        return units.detach(), varies, torch.autograd.grad(units, x, grad)[0]


def a_batch(n_samples: int, dtype: torch.dtype) -> Tensor:
    x = torch.randn(n_samples, 9, generator=torch.Generator().manual_seed(3)) * 2 + 1000
    x[:, 2] = 0.3
    x[:, 4] = x[:, 4] * 1e-30
    return x.to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-11)])
@pytest.mark.parametrize("n_samples", [1, 2, 63, 64, 65, 300])
@pytest.mark.parametrize("transposed", [False, True])
def test_loops_equal_tensors(dtype, tolerance, n_samples, transposed, monkeypatch) -> None:
    x = a_batch(n_samples, dtype)
    grad = torch.randn(9, n_samples, dtype=dtype).T if transposed else torch.randn(n_samples, 9, dtype=dtype)
    fast = there_and_back(x, grad, compiled=True, monkeypatch=monkeypatch)
    plain = there_and_back(x.double(), grad.double(), compiled=False, monkeypatch=monkeypatch)
    regular = [unit for unit in range(9) if unit != 4 or dtype == torch.float64]  # in float32 its squares underflow
    torch.testing.assert_close(fast[0][:, regular].double(), plain[0][:, regular], rtol=tolerance, atol=tolerance)
    # the tiny unit's gradient may be 1e30 times what rounding left of a difference
    usual = [unit for unit in range(9) if unit != 4]
    torch.testing.assert_close(fast[2][:, usual].double(), plain[2][:, usual], rtol=tolerance, atol=tolerance)
    assert not fast[0][:, 2].any() and not fast[2][:, 2].any() and not fast[1][2]
    same = there_and_back(x, grad, compiled=False, monkeypatch=monkeypatch)
    assert torch.equal(fast[1], same[1])


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, 1e30])
def test_what_is_not_a_number_and_what_overflows_stay_in_their_unit(odd, monkeypatch) -> None:
    x = a_batch(20, torch.float32)
    x[7, 1] = odd
    for compiled in (True, False):
        units, _, grad = there_and_back(x, torch.ones(20, 9), compiled=compiled, monkeypatch=monkeypatch)
        assert units[:, 1].isnan().all() and grad[:, 1].isnan().all()
        assert not units[:, [0, 2, 3]].isnan().any() and not grad[:, [0, 2, 3]].isnan().any()


def test_second_derivatives_come_from_tensors() -> None:
    x = torch.randn(12, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: standardized(x, Alone())[0], x)
