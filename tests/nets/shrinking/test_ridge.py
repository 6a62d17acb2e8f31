"""The refit of a weight against ridge regression written out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cofire.nets.shrinking.refit.ridge import GRID, Normal, Refit, Rows, refit, refit_wide


def normal(x: Tensor, y: Tensor) -> Normal:
    found = Normal.empty(x.shape[1], y.shape[1])
    for a, b in zip(x.chunk(3), y.chunk(3), strict=True):
        found.add(a, b)
    return found


def kept(x: Tensor, y: Tensor) -> Rows:
    found = Rows()
    for a, b in zip(x.chunk(3), y.chunk(3), strict=True):
        found.add(a, b)
    return found


def ridge_toward(x: Tensor, y: Tensor, old: Tensor, strength: Tensor) -> Tensor:
    """Return the weight that minimizes the mean squared error plus a penalty of the distance to the old one."""
    n = x.shape[1]
    rows = torch.cat([x / len(x) ** 0.5, strength.sqrt() * torch.eye(n, dtype=torch.float64)])
    miss = torch.cat([(y - x @ old.T) / len(x) ** 0.5, torch.zeros(n, y.shape[1], dtype=torch.float64)])
    return old + torch.linalg.lstsq(rows, miss, driver="gelsd").solution.T


def naive(
    x: Tensor, y: Tensor, x2: Tensor, y2: Tensor, old: Tensor, *, constant: bool, least: float, both: bool
) -> Refit:
    a, b = (x.mean(0), y.mean(0)) if constant else (torch.zeros_like(x[0]), torch.zeros_like(y[0]))
    scale = (x - a).square().mean()
    best, ridge = float((y2 - b - (x2 - a) @ old.T).square().sum()), None
    weight = old
    for one in GRID:
        trial = ridge_toward(x - a, y - b, old, max(one, least) * scale)
        error = float((y2 - b - (x2 - a) @ trial.T).square().sum())
        if error < best:
            best, ridge, weight = error, one, trial
    if both:
        x, y = torch.cat([x, x2]), torch.cat([y, y2])
        a, b = (x.mean(0), y.mean(0)) if constant else (a, b)
        weight = old if ridge is None else ridge_toward(x - a, y - b, old, max(ridge, 1e-10) * scale)
    return Refit(weight, b - weight @ a if constant else None, ridge)


def problem(n: int, n_columns: int, noise: float, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    old, true = draw(2, n_columns), draw(2, n_columns)
    mixing, mean, shift = draw(n_columns, n_columns), draw(n_columns), draw(2)
    x, x2 = (draw(size, n_columns) @ mixing + mean for size in (n, 9))
    y, y2 = (part @ true.T + shift + noise * draw(len(part), 2) for part in (x, x2))
    return x, y, x2, y2, old


PROBLEMS = (
    st.integers(6, 30),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.3, 3.0, 30.0]),
    st.booleans(),
    st.integers(0, 9999),
)


@given(*PROBLEMS)
def test_a_refit_is_a_ridge_toward_the_old_weight_that_held_out_rows_choose(n, n_columns, noise, constant, seed):
    x, y, x2, y2, old = problem(n, n_columns, noise, seed)
    found = refit(normal(x, y), normal(x2, y2), old, constant=constant)
    check(found, naive(x, y, x2, y2, old, constant=constant, least=1e-12, both=True), x)


@given(*PROBLEMS)
def test_rows_give_the_same_as_sums(n, n_columns, noise, constant, seed):
    x, y, x2, y2, old = problem(n, n_columns, noise, seed)
    found = refit_wide(kept(x, y), kept(x2, y2), old, constant=constant)
    check(found, naive(x, y, x2, y2, old, constant=constant, least=1e-8, both=False), x)


def check(found: Refit, expected: Refit, x: Tensor) -> None:
    close = {found.ridge, expected.ridge}
    if len(close) > 1:  # two ridges that held-out rows tell apart by rounding only
        assert None not in close
        assert max(one for one in close if one is not None) <= GRID[2]
    torch.testing.assert_close(x @ found.weight.T, x @ expected.weight.T, rtol=1e-4, atol=1e-4)
    assert (found.constant is None) == (expected.constant is None)
    if found.constant is not None and expected.constant is not None:
        torch.testing.assert_close(found.constant, expected.constant, rtol=1e-4, atol=1e-4)


def test_more_columns_than_rows_are_solved_by_rows():
    x, y, x2, y2, old = problem(12, 5, 0.1, 0)
    wide = torch.cat([x, x.square(), x.sin()], 1), torch.cat([x2, x2.square(), x2.sin()], 1)
    more = torch.cat([old, old, old], 1)
    found = refit_wide(kept(wide[0], y), kept(wide[1], y2), more, constant=True)
    expected = naive(wide[0], y, wide[1], y2, more, constant=True, least=1e-8, both=False)
    assert found.ridge == expected.ridge
    torch.testing.assert_close(found.weight, expected.weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("constant", [True, False])
def test_the_old_weight_stays_where_the_rows_to_fit_hold_only_noise(constant):
    generator = torch.Generator().manual_seed(0)
    old = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    x, x2 = (torch.randn(20, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    y = x @ old.T + torch.randn(20, 2, generator=generator, dtype=torch.float64)
    y = y - (y - x @ old.T).mean(0) if constant else y
    for fit, rows in ((refit, normal), (refit_wide, kept)):
        mean = x.mean(0)
        found = fit(rows(x - mean, y - mean @ old.T), rows(x2 - mean, (x2 - mean) @ old.T), old, constant=constant)
        assert found.ridge is None and torch.equal(found.weight, old)


def test_too_few_rows_pull_toward_the_old_weight():
    """Half as many rows as columns: without a pull, what the rows don't show would become 0."""
    generator = torch.Generator().manual_seed(1)
    old = torch.randn(3, 20, generator=generator, dtype=torch.float64)
    true = old + 0.05 * torch.randn(3, 20, generator=generator, dtype=torch.float64)
    x, x2, x3 = (torch.randn(n, 20, generator=generator, dtype=torch.float64) for n in (10, 5, 200))
    found = refit(normal(x, x @ true.T), normal(x2, x2 @ true.T), old, constant=False)
    miss = lambda weight: float((x3 @ (weight - true).T).square().mean())  # noqa: E731
    assert miss(found.weight) <= miss(old) < 0.1 * miss(torch.linalg.lstsq(x, x @ true.T).solution.T)


def test_inputs_that_are_all_zero_leave_the_weight():
    x, y, old = torch.zeros(8, 3, dtype=torch.float64), torch.ones(8, 2, dtype=torch.float64), torch.ones(2, 3)
    found = refit(normal(x, y), normal(x, y), old, constant=True)
    assert torch.equal(found.weight, old.double())
    assert found.constant is not None
    torch.testing.assert_close(found.constant, torch.ones(2, dtype=torch.float64))


def test_sums_add_up():
    x, y, x2, y2, _ = problem(10, 3, 1.0, 0)
    together, apart = normal(torch.cat([x, x2]), torch.cat([y, y2])), normal(x, y).plus(normal(x2, y2))
    for name in ("second", "cross", "inputs", "outputs", "n"):
        torch.testing.assert_close(getattr(together, name), getattr(apart, name))
