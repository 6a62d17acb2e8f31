"""A learning rate and a weight that follow a penalty."""

import pytest
import torch
from torch import nn

from cofire.nets.penalties import CorrelationPenalty, DeCovPenalty, Penalty, PenaltyLR, PenaltyWeight


def shown(penalty: Penalty, value: float) -> None:
    """Make the penalty's last value this one: DeCov of two units with covariance √value."""
    penalty(torch.tensor([[1.0, value**0.5], [-1.0, -(value**0.5)]]))


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.1, 0.2)])


VALUES = [2.0, 4.0, 2.0, 3.0, 1.0, 0.04]
FACTORS = [1.0, 1.0, 0.5, 0.5, 0.25, 0.05]


def test_the_rate_follows_the_drop_from_the_peak_and_never_grows():
    penalty, sgd = DeCovPenalty(), optimizer()
    scheduler = PenaltyLR(sgd, penalty, smoothing=0.0, least=0.05)
    assert scheduler.get_last_lr() == [0.1, 0.2]
    for value, factor in zip(VALUES, FACTORS, strict=True):
        shown(penalty, value)
        sgd.step()
        scheduler.step()
        assert scheduler.get_last_lr() == pytest.approx([0.1 * factor, 0.2 * factor])
        assert [group["lr"] for group in sgd.param_groups] == scheduler.get_last_lr()


def test_the_weight_follows_likewise():
    penalty = DeCovPenalty(weight=3.0)
    scheduler = PenaltyWeight(penalty, smoothing=0.0, least=0.05)
    for value, factor in zip(VALUES, FACTORS, strict=True):
        shown(penalty, value)
        scheduler.step()
        assert penalty.weight == scheduler.get_last_weight() == pytest.approx(3 * factor)


def test_power_floor_and_smoothing():
    penalty = DeCovPenalty()
    scheduler = PenaltyWeight(penalty, power=0.5, floor=1.0, smoothing=0.5)
    for value in (5.0, 3.0, 1.0):  # smoothed 5, 4, 2.5
        shown(penalty, value)
        scheduler.step()
    assert penalty.weight == pytest.approx((1.5 / 4) ** 0.5)
    for _ in range(60):
        shown(penalty, 0.5)
        scheduler.step()
    assert penalty.weight == 0.0  # below the floor


def test_a_value_that_is_missing_or_no_number_changes_nothing():
    penalty, sgd = DeCovPenalty(), optimizer()
    rate, weight = PenaltyLR(sgd, penalty), PenaltyWeight(penalty)
    for value in (None, float("nan"), float("inf")):
        if value is not None:
            shown(penalty, value)
        sgd.step()
        rate.step()
        weight.step()
    assert rate.get_last_lr() == [0.1, 0.2]
    assert penalty.weight == 1.0


def test_both_resume(tmp_path):
    penalty, sgd = DeCovPenalty(weight=2.0), optimizer()
    rate, weight = PenaltyLR(sgd, penalty), PenaltyWeight(penalty)
    for value in (4.0, 1.0):
        shown(penalty, value)
        sgd.step()
        rate.step()
        weight.step()
    torch.save([rate.state_dict(), weight.state_dict(), sgd.state_dict()], tmp_path / "state.pt")
    states = torch.load(tmp_path / "state.pt", weights_only=True)
    fresh, sgd2 = DeCovPenalty(weight=2.0), optimizer()
    rate2, weight2 = PenaltyLR(sgd2, fresh), PenaltyWeight(fresh)
    for one, state in zip((rate2, weight2, sgd2), states, strict=True):
        one.load_state_dict(state)
    assert fresh.weight == penalty.weight < 2
    for one, other in ((penalty, sgd), (fresh, sgd2)):
        shown(one, 0.3)
        other.step()
    for one in (rate, weight, rate2, weight2):
        one.step()
    assert rate2.get_last_lr() == pytest.approx(rate.get_last_lr())
    assert fresh.weight == pytest.approx(penalty.weight)


def test_is_a_scheduler_of_torch_in_a_real_loop():
    model, x = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2)), torch.randn(64, 8)
    sgd = torch.optim.Adam(model.parameters(), lr=0.02)
    with CorrelationPenalty(model, "0", weight=0.5) as penalty:
        scheduler = PenaltyLR(sgd, penalty, floor=0.5, least=0.1)
        assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
        for _ in range(40):
            sgd.zero_grad()
            (model(x).square().mean() + penalty()).backward()
            sgd.step()
            scheduler.step()
    assert 0.002 <= scheduler.get_last_lr()[0] < 0.02


@pytest.mark.parametrize("bad", [{"power": 0.0}, {"smoothing": 1.0}, {"floor": float("nan")}, {"least": 2.0}])
def test_refusals(bad):
    with pytest.raises(ValueError, match="power must be above 0"):
        PenaltyWeight(DeCovPenalty(), **bad)
    with pytest.raises(ValueError, match="power must be above 0"):
        PenaltyLR(optimizer(), DeCovPenalty(), **bad)
    with pytest.raises(ValueError, match="function of the step"):
        PenaltyWeight(DeCovPenalty(weight=lambda step: 1.0))


def test_penalties_and_their_schedulers_say_what_they_are() -> None:
    penalty = CorrelationPenalty(weight=0.2, top=0.5)
    assert repr(penalty) == "CorrelationPenalty(weight=0.2, debiased=False, scale='mean', top=0.5)"
    assert repr(DeCovPenalty(weight=lambda step: 0.1 * step)) == "DeCovPenalty(weight=<lambda>)"
    told = "power=2, smoothing=0.9, floor=0.0, least=0.0, factor=1.0"
    assert repr(PenaltyWeight(penalty, power=2)) == f"PenaltyWeight({penalty!r}, {told})"
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    assert repr(PenaltyLR(optimizer, penalty, power=2, least=0.0)) == f"PenaltyLR({penalty!r}, {told})"
