"""Units chosen one by one, against least squares."""

import pytest
import torch

from cofire.stats.redundancy.selection import SPARE, Selection


@pytest.fixture
def x() -> torch.Tensor:
    signals = torch.randn(400, 3, dtype=torch.float64)
    return torch.cat([signals, signals @ torch.randn(3, 4, dtype=torch.float64)], 1) * torch.logspace(-3, 3, 7).double()


def rest_by_least_squares(x: torch.Tensor, chosen: list[int]) -> torch.Tensor:
    centered = x - x.mean(0)
    part = centered[:, chosen]
    return centered - part @ torch.linalg.lstsq(part, centered).solution


def test_what_is_left_is_what_least_squares_leaves(x):
    x = x + 0.1 * x.std(0) * torch.randn_like(x)
    selection = Selection(x.T.cov(), freedom=len(x) - 1)
    for unit in (2, 5, 0):
        selection.choose(unit)
    left = rest_by_least_squares(x, [2, 5, 0]).square().sum(0) / (x - x.mean(0)).square().sum(0)
    raised = left * (len(x) - 1) / (len(x) - 1 - 3)
    others = [1, 3, 4, 6]
    torch.testing.assert_close(selection.unexplained()[others], raised[others], rtol=1e-6, atol=1e-9)
    assert selection.unexplained()[[2, 5, 0]].eq(0).all()
    wanted = torch.linalg.lstsq((x - x.mean(0))[:, [2, 5, 0]], x - x.mean(0)).solution
    torch.testing.assert_close(selection.coefficients(), wanted, rtol=1e-5, atol=1e-8)


def test_it_stops_once_all_is_explained(x):
    selection = Selection(x.T.cov(), freedom=len(x) - 1)
    selection.choose_until_explained(1e-9)
    assert len(selection.chosen) == 3
    assert (rest_by_least_squares(x, selection.chosen).std(0) / x.std(0)).max() < 1e-6
    selection.choose_by(torch.ones(7), 7)
    assert len(selection.chosen) == 3  # nothing is left to choose


def test_a_tolerance_of_each_unit(x):
    tolerance = torch.full((7,), 1e-9)
    tolerance[4:] = 1.0
    selection = Selection(x.T.cov(), freedom=len(x) - 1)
    selection.choose_until_explained(tolerance)
    assert len(selection.chosen) == 3 and not set(selection.chosen) & {4, 5, 6}


def test_importance_decides(x):
    worth = torch.tensor([0.0, 0, 0, 0, 0, 0, 1])
    selection = Selection(x.T.cov(), freedom=len(x) - 1)
    selection.choose_by(worth, 1)
    assert selection.chosen == [6]


def test_constant_and_unusable_units_are_not_chosen():
    gram = torch.diag(torch.tensor([1.0, 0.0, torch.nan, 2.0], dtype=torch.float64))
    gram[2, :] = gram[:, 2] = torch.nan
    selection = Selection(gram, freedom=100)
    selection.choose_until_explained(1e-9)
    assert sorted(selection.chosen) == [0, 3]
    left = selection.unexplained()
    assert left[[0, 1, 3]].eq(0).all() and left[2].isnan()


def test_it_stops_before_samples_run_short():
    selection = Selection(torch.eye(50, dtype=torch.float64), freedom=SPARE + 4)
    selection.choose_until_explained(1e-9)
    assert len(selection.chosen) == 5 and not selection.enough_samples
    assert not selection.explained[5:].any()


def test_ties_go_to_the_first():
    gram = torch.ones(3, 3, dtype=torch.float64)
    selection = Selection(gram + 1e-13 * torch.diag(torch.tensor([0.0, 1, 2]).double()), freedom=100)
    selection.choose_by(torch.ones(3), 1)
    assert selection.chosen == [0]
