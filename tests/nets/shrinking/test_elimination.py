"""Backward elimination against a twin that refits all readers for every candidate."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cofire.nets.shrinking.elimination import RIDGE, Inputs, eliminate


class Reader:
    """Rows that a reader takes in, its weight, and a factor of the sensitivity to what it puts out."""

    def __init__(self, x: Tensor, weight: Tensor, root: Tensor, units: Tensor, columns: Tensor, *, constant: bool):
        self.x, self.effect, self.units, self.columns, self.constant = x, root @ weight, units, columns, constant

    def inputs(self) -> Inputs:
        rows = torch.cat([self.x, torch.ones(len(self.x), 1, dtype=torch.float64)], 1) if self.constant else self.x
        return Inputs(rows.T @ rows / len(rows), self.effect.T @ self.effect, self.units, self.columns)

    def error(self, gone: list[int], ridge: float) -> float:
        """Return what is left once the columns of all other units, and a constant, are refitted by least squares."""
        n = self.x.shape[1]
        at = torch.isin(self.units, torch.tensor(gone, dtype=torch.int64))
        out = torch.zeros(n, dtype=torch.bool)
        out[self.columns[at].flatten()] = True
        if not out.any():
            return 0.0
        scale = self.x.var(0, correction=0).mean() if self.constant else self.x.square().mean()
        rows = torch.cat([self.x / len(self.x) ** 0.5, (ridge * scale).sqrt() * torch.eye(n, dtype=torch.float64)])
        kept = rows[:, ~out]
        if self.constant:
            ones = torch.zeros(len(rows), 1, dtype=torch.float64)
            ones[: len(self.x)] = len(self.x) ** -0.5
            kept = torch.cat([kept, ones], 1)
        lost = rows[:, out] @ self.effect[:, out].T
        return float((lost - kept @ torch.linalg.lstsq(kept, lost, driver="gelsd").solution).square().sum())


def random_reader(n_units: int, each: int, seed: int, *, constant: bool, some: bool = False) -> Reader:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    units = (
        torch.randperm(n_units, generator=generator)[: n_units - 1 if some and n_units > 2 else n_units].sort().values
    )
    n, beside = len(units) * each, int(torch.randint(0, 3, (), generator=generator))
    columns = torch.randperm(n + beside, generator=generator)[:n].view(len(units), each)
    mixing = draw(n + beside, n + beside)
    x = draw(4 * (n + beside), n + beside) @ mixing + draw(n + beside)
    return Reader(x, draw(3, n + beside), draw(2, 3), units, columns, constant=constant)


def naive(readers: list[Reader], n_units: int, ridge: float) -> tuple[list[int], list[float]]:
    gone: list[int] = []
    errors = [0.0]
    while len(gone) < n_units - 1:
        left = [unit for unit in range(n_units) if unit not in gone]
        found = {unit: sum(one.error([*gone, unit], ridge) for one in readers) for unit in left}
        best = min(left, key=found.__getitem__)
        gone.append(best)
        errors.append(found[best])
    return gone, errors


@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(0, 2**16))
def test_each_step_takes_the_unit_that_the_others_make_up_for_best(n_units, each, n_readers, constant, seed):
    readers = [random_reader(n_units, each, seed + 7 * k, constant=constant, some=k > 0) for k in range(n_readers)]
    order, errors = naive(readers, n_units, RIDGE)
    found = eliminate([one.inputs() for one in readers], n_units)
    torch.testing.assert_close(found.error, torch.tensor(errors, dtype=torch.float64), rtol=1e-5, atol=1e-9)
    assert found.order[: n_units - 1].tolist() == order
    assert found.order.sort().values.tolist() == list(range(n_units))


def test_errors_of_chunks_are_those_of_all_units_that_are_gone():
    reader = random_reader(300, 1, 0, constant=True)
    found = eliminate([reader.inputs()], 300)
    for k in (2, 50, 150, 296):  # two go at once
        expected = reader.error(found.order[:k].tolist(), RIDGE)
        assert float(found.error[k]) == pytest.approx(expected, rel=1e-5)
    assert bool((found.error.diff() >= 0).all())


def test_zeros_constants_and_copies_go_first_at_no_cost():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(400, 6, generator=generator, dtype=torch.float64) + 5
    x[:, 1], x[:, 4], x[:, 5] = -2 * x[:, 0] + 3, 7.0, 0.0  # a copy, a constant, a zero
    effect = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    reader = Reader(
        x, effect, torch.eye(4, dtype=torch.float64), torch.arange(6), torch.arange(6)[:, None], constant=True
    )
    found = eliminate([replace(reader.inputs(), ridge=1e-9)], 6)
    first = set(found.order[:3].tolist())
    assert {4, 5} < first and len(first & {0, 1}) == 1
    assert float(found.error[3]) < 1e-6 * float(found.error[4])


def test_units_that_nothing_reads_here_cost_nothing():
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    units, columns = torch.tensor([0, 2]), torch.tensor([[0], [1]])
    reader = Reader(
        x, torch.eye(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64), units, columns, constant=False
    )
    found = eliminate([reader.inputs()], 4)
    assert set(found.order[:2].tolist()) == {1, 3}
    assert found.error[:3].tolist() == [0, 0, 0] and float(found.error[3]) > 0


def test_large_means_change_nothing_where_a_constant_takes_them_up():
    reader = random_reader(5, 1, 1, constant=True)
    before = eliminate([reader.inputs()], 5)
    reader.x = reader.x + 1000
    after = eliminate([reader.inputs()], 5)
    assert torch.equal(before.order, after.order)
    torch.testing.assert_close(before.error, after.error, rtol=1e-4, atol=1e-9)


def test_kept_units_are_the_last_of_the_order_ascending():
    reader = random_reader(6, 2, 5, constant=False)
    advanced = []
    found = eliminate([reader.inputs()], 6, advance=advanced.append)
    assert sum(advanced) == 5
    for n in range(1, 7):
        kept = found.kept(n).tolist()
        assert kept == sorted(kept) and set(kept) == set(found.order[6 - n :].tolist())
