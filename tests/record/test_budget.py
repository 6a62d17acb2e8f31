"""A budget is kept by a clock that the test moves; some units tell, without bias, what all would."""

import math
from itertools import pairwise
from statistics import median

import pytest
import torch
from torch import Tensor, nn

from cofire import Tracker
from cofire.record import Measure, Row, correlation
from cofire.record.budget import Budget
from cofire.record.some_units import correlation_of_some, of_some_units, unit_error
from cofire.stats import neuronal_correlation
from cofire.stats._base.quantities import QUANTITIES

SHARE = 0.02


class Clock:
    """Time that passes when it is told to, and a little whenever somebody looks at it."""

    def __init__(self, look: float = 0.0) -> None:
        self.now, self.look = 0.0, look

    def __call__(self) -> float:
        self.now += self.look
        return self.now


def follow(
    n_steps: int, *, cost: float, step: float = 1.0, hooks: float = 0.0, every=1, share=SHARE, look: float = 0.0
):
    """Rows and the tracker of a training whose steps take ``step`` seconds and whose recordings take ``cost``."""
    clock, rows = Clock(look), []

    def statistic(x: Tensor) -> float:
        clock.now += cost
        return 0.0

    model = nn.Linear(2, 3)
    budget = Budget(share, clock=clock)
    with Tracker(model, [Measure(statistic, every=every)], sink=rows.extend, budget=budget) as tracker:
        for _ in range(n_steps):
            clock.now += step + (hooks if model._forward_hooks else 0)
            model(torch.ones(4, 2))
            tracker.step()
    return rows, tracker, clock


@pytest.mark.parametrize(("cost", "hooks"), [(0.5, 0.0), (0.1, 0.05), (0.004, 0.0), (3.0, 1.0)])
def test_the_budget_is_kept_and_used(cost, hooks):
    rows, tracker, clock = follow(1000, cost=cost, hooks=hooks)
    found = tracker.overhead
    assert clock.now / 1000 - 1 <= SHARE + (cost + hooks) / 1000
    # The first step, whose pass shows how the model is wired, is not timed.
    assert found.seconds == pytest.approx(clock.now - hooks - 1000, abs=1e-6)
    assert found.share == pytest.approx(found.seconds / 1000, rel=2e-3)
    recorded = [row for row in rows if row.measure == "statistic"]
    assert found.recordings == len(recorded)
    assert len(recorded) == pytest.approx(min(1000, 0.9 * SHARE * 1000 / (cost + hooks)), abs=2)


def test_recordings_are_spread_evenly():
    """What a recording has cost counts before the next one is granted."""
    rows, _, _ = follow(1000, cost=0.1)
    steps = [row.step for row in rows if row.measure == "statistic"]
    assert {b - a for a, b in pairwise(steps[1:])} <= {5, 6}


def test_what_is_cheap_is_recorded_when_it_is_due():
    rows, tracker, _ = follow(100, cost=0.001, every=10)
    assert [row.step for row in rows if row.measure == "statistic"] == list(range(10, 101, 10))
    assert tracker.overhead.postponed == 0


def test_what_is_dear_comes_later_but_comes():
    rows, tracker, _ = follow(1000, cost=2.0, every=[10, 20, 30])
    first, second = (row.step for row in rows if row.measure == "statistic")
    assert first == 10 and 220 <= second <= 226  # 4 s are 1.8 % of 222 steps
    assert tracker.overhead.postponed == 2


def test_the_first_recording_is_made_whatever_it_costs():
    """Also where the tracker's own time for a step is above the budget already."""
    rows, tracker, _ = follow(50, cost=0.5, step=1e-3, look=1e-3)
    assert [row.step for row in rows if row.measure == "statistic"] == [3]  # the second is the first that is timed
    assert tracker.overhead.recordings == 1 and tracker.overhead.share > 1


def test_a_pause_between_steps_is_no_time_of_training():
    budget = Budget(SHARE, clock=(clock := Clock()))
    for step in range(100):
        clock.now += 500.0 if step == 50 else 1.0
        with budget.spending():
            pass
    assert budget.overhead.training_seconds == 99


def test_the_overhead_is_told_in_rows_and_in_words():
    rows, tracker, _ = follow(100, cost=0.01)
    told = [row for row in rows if row.measure == "overhead"]
    assert told and told[-1].site == "" and told[-1].value <= SHARE
    assert "budget" in str(tracker.overhead) and "0.02" in str(tracker.overhead)
    with Tracker(nn.Linear(2, 3), [correlation()]) as without:
        assert without.overhead is None


def test_the_end_of_an_epoch_waits_too():
    clock, rows = Clock(), []
    model = nn.Sequential(nn.Linear(2, 3))
    with Tracker(model, [correlation()], every="epoch", sink=rows.extend, budget=Budget(0.5, clock=clock)) as tracker:
        for step in range(12):
            clock.now += 1
            model(torch.randn(9, 2))
            tracker.step()
            if step % 4 == 3:
                tracker.end_epoch()
    assert sorted({row.step for row in rows if row.site}) == [6, 10]


@pytest.mark.parametrize("share", [0, 1, -0.1, True, "2%", math.nan])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="a budget is a share of training time"):
        Tracker(nn.Linear(2, 3), [correlation()], budget=share)


def test_no_budget_with_a_window_or_several_processes():
    for options in ({"window": 2}, {"synchronize": True}):
        with pytest.raises(ValueError, match="budget requires window=1 and a single process"):
            Tracker(nn.Linear(2, 3), [correlation()], budget=0.1, **options)


def layer(n_units: int = 200) -> Tensor:
    """Units that share a factor to different degrees."""
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(400, 1, generator=generator)
    degree = torch.rand(n_units, generator=generator)
    return factor * degree + torch.randn(400, n_units, generator=generator)


def estimates(n_chosen: int, n_trials: int) -> list[dict[str, float]]:
    generator = torch.Generator().manual_seed(1)
    return [correlation_of_some(layer(), n_chosen, generator, compute_dtype="float64") for _ in range(n_trials)]


def test_some_units_are_unbiased_and_their_error_is_right():
    truth = neuronal_correlation(layer())
    found = estimates(40, 150)
    values = torch.tensor([one["nc"] for one in found], dtype=torch.float64)
    spread = values.std().item()
    assert abs(values.mean().item() - truth.mean_abs) < 3.5 * spread / math.sqrt(150)
    errors = torch.tensor([one["nc_unit_error"] for one in found], dtype=torch.float64)
    assert errors.square().mean().sqrt().item() == pytest.approx(spread, rel=0.15)
    covered = [one["nc_low"] <= truth.debiased <= one["nc_high"] for one in found]
    assert sum(covered) / 150 > 0.95  # the interval also allows for other samples


def test_all_units_have_no_error_of_choice():
    assert unit_error(layer(50), 50) == 0
    assert math.isnan(unit_error(layer(2), 10))


def test_only_what_can_be_estimated_is_and_only_in_wide_layers():
    generator = torch.Generator().manual_seed(0)
    own = Measure(len)
    assert of_some_units(own, 64, generator) is own
    measure = of_some_units(correlation(), 64, generator)
    assert measure.identity == correlation().identity
    assert measure.values((layer(64),)) == correlation().values((layer(64),))
    wide = measure.values((layer(100),))
    assert wide["n_units"] == 100 and wide["n_units_seen"] == 64 and wide["nc_unit_error"] > 0


def test_constant_units_are_scaled_up():
    x = layer(100)
    x[:, ::2] = 1.0
    generator = torch.Generator().manual_seed(0)
    counts = [of_some_units(correlation(), 50, generator).values((x,))["n_constant"] for _ in range(30)]
    assert sum(counts) / 30 == pytest.approx(50, abs=3)


def test_a_real_clock_keeps_a_real_training_within_its_budget_in_the_tracker_s_own_books():
    rows: list[Row] = []
    model = nn.Sequential(nn.Linear(20, 300), nn.ReLU(), nn.Linear(300, 4))
    with Tracker(model, [correlation()], every=1, sink=rows.extend, budget=0.2) as tracker:
        for _ in range(60):
            model(torch.randn(64, 20)).square().mean().backward()
            tracker.step()
    assert tracker.overhead.recordings == len({row.step for row in rows if row.site}) > 0
    assert tracker.overhead.training_seconds > 0


@pytest.mark.parametrize(("a_unit", "wanted"), [(1e-3, 64), (0.0, 144)])
def test_fewer_units_are_looked_at_only_where_that_is_cheaper(a_unit, wanted):
    """Recordings of a fixed cost lose precision by it and win nothing."""
    clock = Clock()
    budget = Budget(SHARE, clock=clock)
    model = nn.Linear(2, 1000)
    seen: list[int] = []

    def pay(*args: object) -> None:
        clock.now += a_unit * budget.overhead.units or 0.2
        seen.append(budget.overhead.units)

    with Tracker(model, [correlation()], every=1, sink=pay, budget=budget) as tracker:
        for _ in range(600):
            clock.now += 1.0
            model(torch.randn(9, 2))
            tracker.step()
    assert seen[0] == 216 and min(seen) == wanted
    assert median(seen) == (64 if a_unit else 216)


def test_a_level_that_seemed_dear_is_tried_again():
    clock = Clock()
    budget = Budget(SHARE, clock=clock)
    costs = iter([1.0, 9.0])  # the second recording is disturbed
    model = nn.Linear(2, 1000)

    def pay(*args: object) -> None:
        clock.now += next(costs, 0.001 * budget.overhead.units)

    with Tracker(model, [correlation()], every=1, sink=pay, budget=budget) as tracker:
        for _ in range(4000):
            clock.now += 1.0
            model(torch.randn(9, 2))
            tracker.step()
    assert tracker.overhead.units == 64


@pytest.mark.parametrize("shared", [0.0, 0.3, 30.0])
def test_every_number_from_some_units_is_in_its_range(shared):
    generator = torch.Generator().manual_seed(2)
    for n_samples in (2, 3, 5, 40):
        common = shared * torch.randn(n_samples, 1, generator=generator)
        x = common + torch.randn(n_samples, 200, generator=generator)
        for name, value in correlation_of_some(x, 64, generator, compute_dtype="float64").items():
            assert math.isnan(value) or QUANTITIES[name].low <= value <= QUANTITIES[name].top, name
